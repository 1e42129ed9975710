"""Errors and warnings: one line each, the offending value and the remedy in it.

Every refusal of thalweg is a :class:`ThalwegError`, raised before anything is written. The family also
derives from the built-in error a caller would expect, so ``except ValueError`` keeps its meaning.
"""

from __future__ import annotations


class ThalwegError(Exception):
    """Base of every refusal; ``str(error)`` is one line that names the value and the remedy."""


class InputError(ThalwegError, ValueError):
    """An argument, option or combination of them that cannot be worked with."""


class SubjectError(ThalwegError, ValueError):
    """The model, its factory or the zoo name does not give an objective."""


class DataError(ThalwegError, ValueError):
    """The data are empty, uneven, unreadable or change between two readings."""


class LossError(ThalwegError, ValueError):
    """The loss cannot be written as a sum over rows divided by a constant."""


class CheckpointError(ThalwegError, ValueError):
    """A checkpoint is missing, unsafe to read, damaged or of another network."""


class LimitError(ThalwegError, ValueError):
    """A file asks for more memory than it holds and than the limit allows, or has no end."""


class StatisticsError(ThalwegError, ValueError):
    """A normalisation policy does not offer what was asked of it."""


class BudgetSpent(ThalwegError, RuntimeError):
    """The budget ended before the answer; finished tasks and checkpoints are kept where a store was given."""


class StoreError(ThalwegError, RuntimeError):
    """A study directory is foreign, finished, of another objective, or not writable."""


class DamagedError(StoreError):
    """A stored array differs from the checksum that the ledger keeps."""


class ThalwegWarning(UserWarning):
    """Base of every warning: the answer stands, with the reservation that is said."""


class StatisticsWarning(ThalwegWarning):
    """A normalisation policy was forced that the points do not suggest."""


class BackendWarning(ThalwegWarning):
    """A backend that was asked for was refused by its self-check; the reference ran instead."""
