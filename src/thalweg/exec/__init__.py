"""How work is watched and shared out."""

from thalweg.exec.progress import bar as bar
from thalweg.exec.ranks import follows as follows
from thalweg.exec.ranks import speaks as speaks
