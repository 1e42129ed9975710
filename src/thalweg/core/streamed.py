"""Data that do not fit into memory: rows are read block by block whenever a pass needs them, and never held whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from thalweg.core.data import Table
from thalweg.core.sources import Source, source_of
from thalweg.core.tree import Tree, leaves
from thalweg.errors import DataError


@final
class Streamed(Table):
    """Data for an objective that are read again in every pass: ``EmpiricalRisk(model, loss, Streamed(data))``.

    ``data`` is (inputs, targets) of arrays on disk, as ``np.load(mmap_mode="r")`` or zarr give them, a Dataset, a
    DataLoader or an IterableDataset. Row blocks are fixed by the number of rows, as for data in memory, and one of them
    is held at a time. Values at several points take one reading together, every gradient and every product one
    of its own. All rows are read twice at the door: to be counted and checked, and to see that both readings agree.

    Raises
    ------
    DataError
        If the rows come shuffled or differ between readings, there are none, or an input is NaN.
    """

    streamed: ClassVar[bool] = True
    _source: Source
    _digest: str
    _cast: tuple[torch.dtype, torch.device] | None
    _last: tuple[tuple[int, int], Table] | None

    def __init__(self, data: Any) -> None:
        source = source_of(data)
        count, digest = _read(source)
        if _read(source) != (count, digest):
            raise DataError(
                f"two readings of the {source.kind} differ: turn off shuffling and random augmentation, and give "
                "what can be read again from the start"
            )
        self._set(source, count, digest, None)

    def _set(self, source: Source, count: int, digest: str, cast: tuple[torch.dtype, torch.device] | None) -> None:
        for name, value in {"_source": source, "count": count, "_digest": digest, "_cast": cast}.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_last", None)

    @property
    def inputs(self) -> Tree:
        """Refused: they are not held."""
        raise DataError(f"this needs all {self.count:,} rows in memory, and they are streamed: give fewer, as tensors")

    @property
    def targets(self) -> Tree:
        """Refused: they are not held."""
        return self.inputs

    @property
    def digest(self) -> str:
        """A digest of every shape and value, other than that of the same rows in memory."""
        return self._digest

    def at(self, index: Tensor | slice) -> Table:
        """The rows of a slice, read when they are used; or those of an index [n], read now."""
        if isinstance(index, Tensor):
            return self._moved(self._source.picked(index))
        low, high, step = index.indices(self.count)
        if step != 1:
            raise DataError(f"rows {low}:{high}:{step} of streamed data: they are read in order, with step 1")
        return Later(self, low, max(low, high))

    def to(self, dtype: torch.dtype, device: torch.device) -> Streamed:
        """The same source; what is read is moved."""
        made = object.__new__(Streamed)
        made._set(self._source, self.count, self._digest, (dtype, device))
        return made

    def checked(self, first: int = 0) -> Streamed:
        """They were, when they were first read."""
        return self

    def read(self, low: int, high: int) -> Table:
        """Rows low to high; the last ones read are held, for a block is used more than once in a row."""
        if self._last is None or self._last[0] != (low, high):
            object.__setattr__(self, "_last", None)  # two blocks are never held
            object.__setattr__(self, "_last", ((low, high), self._moved(self._source.span(low, high))))
        assert self._last is not None  # it was just read
        return self._last[1]

    def _moved(self, part: Table) -> Table:
        cast = self._cast
        return part if cast is None else part.to(*cast)


@final
class Later(Table):
    """Rows low to high of streamed data, read when their tensors are asked for."""

    _whole: Streamed
    _low: int
    _high: int

    def __init__(self, whole: Streamed, low: int, high: int) -> None:
        for name, value in {"_whole": whole, "_low": low, "_high": high, "count": high - low}.items():
            object.__setattr__(self, name, value)

    @property
    def inputs(self) -> Tree:
        """Of these rows."""
        return self._read().inputs

    @property
    def targets(self) -> Tree:
        """Of these rows."""
        return self._read().targets

    def at(self, index: Tensor | slice) -> Table:
        """Some of them, read."""
        return self._read().at(index)

    def to(self, dtype: torch.dtype, device: torch.device) -> Table:
        """Read and moved."""
        return self._read().to(dtype, device)

    def _read(self) -> Table:
        return self._whole.read(self._low, self._high)


def _read(source: Source) -> tuple[int, str]:
    """The number of rows and a digest of every shape and value, whatever parts they come in."""
    digests: dict[str, Any] = {}
    count = 0
    for part in source.passes():
        part.checked(count)
        for name, tensor in _tensors(part):
            kept = tensor.detach().cpu()
            kept = kept.float() if kept.is_floating_point() else kept
            if name not in digests:
                digests[name] = hashlib.blake2b(f"{name}:{tuple(kept.shape[1:])}".encode(), digest_size=8)
            digests[name].update(kept.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        count += part.count
    if not count:
        raise DataError(f"the {source.kind} has 0 rows: give at least one")
    joined = hashlib.blake2b("".join(d.hexdigest() for d in digests.values()).encode(), digest_size=8)
    return count, joined.hexdigest()


def _tensors(part: Table) -> Iterator[tuple[str, Tensor]]:
    yield from leaves(part.inputs, "inputs")
    yield from leaves(part.targets, "targets")
