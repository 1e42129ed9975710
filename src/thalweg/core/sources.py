"""Where streamed rows come from: arrays on disk, data sets by index, loaders in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler

from thalweg.core.data import Table, as_table, joined, paired
from thalweg.core.tree import Tree
from thalweg.errors import DataError

READ_ROWS = 1024
"""Rows read at a time where nothing else says how many."""


class Source(ABC):
    """Rows that are read when they are asked for and kept by nobody."""

    kind: str

    @abstractmethod
    def passes(self) -> Iterator[Table]:
        """Every row once, in order, in parts."""

    @abstractmethod
    def span(self, low: int, high: int) -> Table:
        """The rows from ``low`` up to ``high``."""

    def picked(self, index: Tensor) -> Table:
        """The rows of an index [n], in its order.

        Raises
        ------
        DataError
            If rows can only be read one after another.
        """
        raise DataError(f"the {self.kind} is read in order: to take rows by number, give arrays or a Dataset")


@final
class Arrays(Source):
    """A pair of trees of arrays that can be cut along their first axis, such as those of ``np.load(mmap_mode="r")``."""

    kind = "arrays"

    def __init__(self, inputs: Tree, targets: Tree) -> None:
        self._trees = inputs, targets
        sizes = {len(x) for x in _arrays(self._trees)}
        if len(sizes) != 1:
            raise DataError(f"the arrays have {sorted(sizes)} rows: the first axis is the row, the same in all")
        (self._count,) = sizes

    def passes(self) -> Iterator[Table]:
        """In parts of READ_ROWS."""
        for low in range(0, self._count, READ_ROWS):
            yield self.span(low, min(low + READ_ROWS, self._count))

    def span(self, low: int, high: int) -> Table:
        """Copies of the rows."""
        return as_table(*(_cut(tree, slice(low, high)) for tree in self._trees))

    def picked(self, index: Tensor) -> Table:
        """Copies of the rows."""
        return as_table(*(_cut(tree, index.cpu().numpy()) for tree in self._trees))


@final
class Indexed(Source):
    """A data set with rows by index."""

    kind = "Dataset"

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def passes(self) -> Iterator[Table]:
        """In parts of READ_ROWS."""
        count = len(self._dataset)
        for low in range(0, count, READ_ROWS):
            yield self.span(low, min(low + READ_ROWS, count))

    def span(self, low: int, high: int) -> Table:
        """The rows stacked."""
        return self._stacked(range(low, high))

    def picked(self, index: Tensor) -> Table:
        """The rows stacked."""
        return self._stacked(index.tolist())

    def _stacked(self, numbers: Iterable[int]) -> Table:
        return joined([paired(self._dataset[i]) for i in numbers], torch.stack)


@final
class Ordered(Source):
    """Batches or rows that can only be read one after another, from the first on: a loader, an iterable data set."""

    def __init__(self, batches: Iterable[Any], kind: str, *, rows: bool) -> None:
        self.kind, self._batches, self._join = kind, batches, torch.stack if rows else torch.cat
        self._size = READ_ROWS if rows else 1
        self._open: Iterator[Table] | None = None
        self._at, self._left = 0, list[Table]()

    def passes(self) -> Iterator[Table]:
        """Batch by batch, or rows by READ_ROWS."""
        waiting: list[tuple[Tree, Tree]] = []
        for item in self._batches:
            waiting.append(paired(item))
            if len(waiting) == self._size:
                yield joined(waiting, self._join)
                waiting = []
        if waiting:
            yield joined(waiting, self._join)

    def span(self, low: int, high: int) -> Table:
        """The rows, from where the last reading ended, or from the first row again."""
        if self._open is None or low < self._at:
            self._open, self._at, self._left = self.passes(), 0, []
        while True:
            have = sum(part.count for part in self._left)
            if self._at + have <= low:  # nothing of this is asked for
                self._at, self._left = self._at + have, []
            elif self._at + have >= high:
                break
            try:
                self._left.append(next(self._open))
            except StopIteration:
                self._open = None
                raise DataError(
                    f"the {self.kind} ended after {self._at + have} rows, {high} were there before"
                ) from None
        whole = joined([(part.inputs, part.targets) for part in self._left], torch.cat)
        found = whole.at(slice(low - self._at, high - self._at))
        rest = whole.at(slice(high - self._at, whole.count))
        self._at, self._left = high, [rest] if rest.count else []
        return found


def source_of(data: Any) -> Source:
    """The source of a pair of arrays, a Dataset, a DataLoader or an IterableDataset.

    Raises
    ------
    DataError
        If it is none of these, shuffles, leaves rows out, or can be read only once.
    """
    if isinstance(data, DataLoader):
        if getattr(data, "drop_last", False):
            raise DataError("the DataLoader has drop_last=True and leaves rows out: set it to False")
        if isinstance(getattr(data, "sampler", None), RandomSampler):
            raise DataError("the DataLoader shuffles its rows: F needs them in one order; set shuffle=False")
        return Ordered(data, "DataLoader", rows=data.batch_size is None and data.batch_sampler is None)
    if isinstance(data, IterableDataset):
        return Ordered(data, "IterableDataset", rows=True)
    if isinstance(data, Dataset):
        return Indexed(data)
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return Arrays(*data)
    raise DataError(
        f"data of type {type(data).__name__} cannot be streamed: give (inputs, targets) of arrays, a Dataset, "
        "a DataLoader or an IterableDataset"
    )


def _arrays(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, (tuple, list)):
        for item in tree:
            yield from _arrays(item)
    elif tree is not None:
        yield tree


def _cut(tree: Any, rows: Any) -> Any:
    """Rows of every array as tensors of their own, so that no view keeps a file's pages."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_cut(item, rows) for item in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(_cut(item, rows) for item in tree)
    if isinstance(tree, dict):
        return {key: _cut(item, rows) for key, item in tree.items()}
    if isinstance(tree, Tensor):
        return tree[rows].clone()
    return None if tree is None else torch.from_numpy(np.array(tree[rows]))
