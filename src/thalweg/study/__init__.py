"""Method × objective × evaluator × store: what a command of the command line does."""

from thalweg.study.beside import compare_studies as compare_studies
from thalweg.study.compare import compare_records as compare_records
from thalweg.study.export import export_record as export_record
from thalweg.study.perform import perform as perform
from thalweg.study.request import Request as Request
from thalweg.study.show import list_zoo as list_zoo
from thalweg.study.show import show_record as show_record
from thalweg.study.subject import Subject as Subject
