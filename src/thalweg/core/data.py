"""Reading the user's data once, into trees of tensors whose first axis is the row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from thalweg.core.tree import Tree, leaves, stack_rows, tree_map
from thalweg.errors import DataError


@dataclass(frozen=True)
class Table:
    """``inputs`` and ``targets``: trees of tensors [rows, …] that share their first axis."""

    inputs: Tree
    targets: Tree
    count: int

    streamed: ClassVar[bool] = False
    """Whether only parts of the rows can be held: then ``inputs`` and ``targets`` are those of its parts."""

    def at(self, index: Tensor | slice) -> Table:
        """The rows of an index [n] or a slice, in its order."""

        def pick(x: Tensor) -> Tensor:
            return x[index.to(x.device)] if isinstance(index, Tensor) else x[index]

        count = len(index) if isinstance(index, Tensor) else len(range(*index.indices(self.count)))
        return Table(tree_map(pick, self.inputs), tree_map(pick, self.targets), count)

    def to(self, dtype: torch.dtype, device: torch.device) -> Table:
        """Floating tensors in ``dtype``, all on ``device``; integers keep their dtype."""

        def move(x: Tensor) -> Tensor:
            if device.type == "cuda" and x.device.type == "cpu":  # from pinned memory the copy need not be waited for
                x = x.pin_memory().to(device=device, non_blocking=True)
            return x.to(device=device, dtype=dtype if x.is_floating_point() else None)

        return Table(tree_map(move, self.inputs), tree_map(move, self.targets), self.count)

    def checked(self, first: int = 0) -> Table:
        """Itself, once it has rows and no input is NaN; ``first`` is the number of its first row.

        Raises
        ------
        DataError
            Otherwise.
        """
        if self.count == 0:
            raise DataError("the data have 0 rows: give at least one")
        for name, tensor in leaves(self.inputs, "inputs"):
            if tensor.is_floating_point() and bool(torch.isnan(tensor).any()):
                row = int(torch.isnan(tensor).reshape(self.count, -1).any(1).nonzero()[0])
                raise DataError(f"{name} is NaN in row {row + first}: clean the data, or drop that row")
        return self

    @cached_property
    def digest(self) -> str:
        """A digest of every shape and value; 16 hexadecimal digits. Floats are compared as float32."""
        digest = hashlib.blake2b(digest_size=8)
        for name, tensor in (*leaves(self.inputs, "inputs"), *leaves(self.targets, "targets")):
            kept = tensor.detach().cpu()
            kept = kept.float() if kept.is_floating_point() else kept
            digest.update(f"{name}:{tuple(kept.shape)}".encode())
            digest.update(kept.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def read(data: Any) -> Table:
    """A pair of trees, a Dataset, or a DataLoader read once in order, as a :class:`Table`.

    Raises
    ------
    DataError
        If the data are empty, rows do not match, an input is NaN, or two readings of a loader differ.
    """
    if isinstance(data, Table):
        table = data
    elif isinstance(data, IterableDataset) or isinstance(getattr(data, "dataset", None), IterableDataset):
        raise DataError("an IterableDataset may have no end: pass thalweg.Streamed(data), or its rows as tensors")
    elif isinstance(data, DataLoader):
        if getattr(data, "drop_last", False):
            raise DataError(
                "the DataLoader has drop_last=True and leaves rows out: set it to False, or pass its Dataset"
            )
        table = _twice(lambda: _from_loader(data), "DataLoader")
    elif isinstance(data, Dataset):
        table = _twice(lambda: _from_dataset(data), "Dataset")
    elif isinstance(data, (tuple, list)) and len(data) == 2:
        table = as_table(*(tree_map(lambda x: x, tree) for tree in data))
    else:
        raise DataError(
            f"data of type {type(data).__name__} cannot be read: pass (inputs, targets), a Dataset or a DataLoader"
        )
    return table.checked()


def paired(row: Any) -> tuple[Tree, Tree]:
    """An (input, target) pair, of a row or of a batch.

    Raises
    ------
    DataError
        If it is none.
    """
    if not isinstance(row, (tuple, list)) or len(row) != 2:
        raise DataError(f"a row of type {type(row).__name__} is no (input, target) pair: map the data set to pairs")
    return row[0], row[1]


def _twice(once: Callable[[], Table], kind: str) -> Table:
    """What ``once`` reads, after a second reading has given the same."""
    table = once()
    if once().digest != table.digest:
        raise DataError(
            f"two readings of the {kind} differ: turn off shuffling and random augmentation, "
            "or pass the tensors (inputs, targets)"
        )
    return table


def _from_dataset(data: Any) -> Table:
    rows = [paired(data[i]) for i in range(len(data))]
    if not rows:
        raise DataError("the data set has 0 rows: give it at least one")
    return joined(rows, torch.stack)


def _from_loader(loader: DataLoader) -> Table:
    batches = [paired(batch) for batch in loader]
    if not batches:
        raise DataError("the DataLoader gives 0 batches: give it at least one row")
    return joined(batches, torch.cat)


def joined(pairs: list[tuple[Tree, Tree]], join: Callable[[list[Tensor]], Tensor]) -> Table:
    """Rows by torch.stack, or batches by torch.cat, as one table."""
    return as_table(*stack_rows(pairs, lambda tensors: join(tensors)))


def as_table(inputs: Tree, targets: Tree) -> Table:
    """Trees of tensors, arrays and numbers as a table.

    Raises
    ------
    DataError
        If something is no tensor and becomes none, or the numbers of rows differ.
    """
    inputs, targets = _tensors(inputs, "inputs"), _tensors(targets, "targets")
    sizes = {name: len(x) if x.ndim else 0 for name, x in (*leaves(inputs, "inputs"), *leaves(targets, "targets"))}
    if loose := [name for name, x in (*leaves(inputs, "inputs"), *leaves(targets, "targets")) if not x.ndim]:
        raise DataError(
            f"{loose[0]} is a single number: give tensors or arrays whose first axis is the row, not lists of numbers"
        )
    if not sizes:
        raise DataError("the data hold no tensor: pass (inputs, targets) of tensors")
    if len(set(sizes.values())) > 1:
        named = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise DataError(f"the data have different numbers of rows ({named}): the first axis is the row")
    return Table(inputs, targets, next(iter(sizes.values())))


def _tensors(tree: Tree, name: str) -> Tree:
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_tensors(item, f"{name}[{i}]") for i, item in enumerate(tree)))
    if isinstance(tree, (tuple, list)):
        return type(tree)(_tensors(item, f"{name}[{i}]") for i, item in enumerate(tree))
    if isinstance(tree, dict):
        return {key: _tensors(item, f"{name}[{key!r}]") for key, item in tree.items()}
    if isinstance(tree, Tensor) or tree is None:
        return tree
    try:
        return torch.as_tensor(tree)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} of type {type(tree).__name__} is no tensor: convert it first") from error
