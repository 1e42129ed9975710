"""Where answers are kept: a directory per study, an SQLite ledger of tasks, a zarr group per record."""

from thalweg.store.directory import Directory as Directory
from thalweg.store.ledger import Ledger as Ledger
from thalweg.store.record import read_record as read_record
from thalweg.store.sink import Sink as Sink
