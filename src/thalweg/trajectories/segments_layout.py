"""What the rows of a recorded trajectory are: ``trajectory.json``, and a network's tensors as the bytes of one row."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thalweg import __version__, limits
from thalweg.core.space import ParameterSpace
from thalweg.errors import DamagedError, LimitError, StoreError
from thalweg.trajectories.segments import digest

NAME = "trajectory.json"
SCHEMA = 1

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
"""In what a point may be kept."""

_HELD = (*DTYPES.values(), torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool)
"""In what a buffer may be kept."""

_MOST = 2**48
"""No tensor has as many numbers, and fewer can still be multiplied by their size without overflow."""


@dataclass(frozen=True)
class Kept:
    """One tensor of a row: its name, shape and dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return int(torch.Size(self.shape).numel())

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return self.count * self.torch_dtype.itemsize

    @property
    def torch_dtype(self) -> torch.dtype:
        """Its dtype."""
        found = getattr(torch, self.dtype)
        assert isinstance(found, torch.dtype)
        return found


@dataclass(frozen=True)
class RowLayout:
    """The rows of one trajectory: parameters (all of one dtype), buffers behind them, or ``sketch`` numbers instead.

    ``seed`` is that of the sketch; ``shards`` says that rows are safetensors files of their own.
    """

    parameters: tuple[Kept, ...]
    buffers: tuple[Kept, ...]
    sketch: int | None
    seed: int
    shards: bool

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return sum(entry.count for entry in self.parameters)

    @property
    def fingerprint(self) -> str:
        """That of the parameter space: names and shapes."""
        text = ";".join(f"{entry.name}:{entry.shape}" for entry in self.parameters)
        return digest([text.encode()]).hex()

    @property
    def dtype(self) -> torch.dtype:
        """In what the points are kept."""
        return self.parameters[0].torch_dtype

    @property
    def tensors(self) -> tuple[Kept, ...]:
        """What a row is made of, in order."""
        first = self.parameters if self.sketch is None else (Kept("sketch", (self.sketch,), "float64"),)
        return (*first, *self.buffers)

    @property
    def nbytes(self) -> int:
        """How many bytes a row has."""
        return sum(entry.nbytes for entry in self.tensors)

    def unpack(self, content: bytes) -> dict[str, Tensor]:
        """The named tensors of a row.

        Raises
        ------
        DamagedError
            If it has more or fewer bytes than they.
        """
        if len(content) != self.nbytes:
            raise DamagedError(
                f"a point has {len(content):,} bytes, and {self.nbytes:,} are described: use another copy"
            )
        found, offset = {}, 0
        for entry in self.tensors:
            part = bytearray(content[offset : offset + entry.nbytes])
            offset += entry.nbytes
            flat = torch.frombuffer(part, dtype=entry.torch_dtype) if entry.count else torch.empty(0)
            found[entry.name] = flat.reshape(entry.shape)
        return found

    def difference(self, space: ParameterSpace) -> str | None:
        """How a network's parameters differ from those recorded, in words; None where they are the same.

        The same network inside another module (``model.0.weight`` for ``0.weight``) is the same.
        """
        mine, theirs = self.parameters, space.entries
        if len(mine) != len(theirs):
            return f"it has {len(mine)} tensors, the network {len(theirs)}"
        prefix = self.prefix(space)
        for own, other in zip(mine, theirs, strict=True):
            if own.name != prefix + other.name and prefix + own.name != other.name:
                return f"its {own.name!r} stands where the network has {other.name!r}"
            if own.shape != other.shape:
                return f"its {own.name} has shape {list(own.shape)}, the network's {list(other.shape)}"
        return None

    def prefix(self, space: ParameterSpace) -> str:
        """What the names have before those of ``space``, or lack."""
        mine, theirs = self.parameters[0].name, space.entries[0].name
        longer, shorter = (mine, theirs) if len(mine) >= len(theirs) else (theirs, mine)
        return longer.removesuffix(shorter) if longer.endswith(f".{shorter}") else ""


def raw(tensors: Sequence[Tensor]) -> Iterator[memoryview]:
    """The bytes of tensors on the CPU, without a copy where they lie together."""
    for tensor in tensors:
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        yield flat.view(torch.uint8).numpy().data


def write_header(folder: Path, layout: RowLayout, about: Mapping[str, Any]) -> None:
    """Write ``trajectory.json``, whole or not at all."""
    content = {"schema": SCHEMA, "thalweg": __version__, "layout": asdict(layout), "about": dict(about)}
    content = json.loads(json.dumps(content))
    text = json.dumps({**content, "checksum": _digest(content)}, indent=1) + "\n"
    partial = folder / f".{NAME}.partial-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / NAME)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror or error}: give a directory that can be written to") from error


def read_header(folder: Path) -> tuple[RowLayout, dict[str, Any]]:
    """The layout of a recorded trajectory, and what else was said of it.

    Raises
    ------
    StoreError
        If there is no trajectory in the folder, or this version cannot read it.
    DamagedError
        If the file differs from its checksum, or describes no rows.
    LimitError
        If it is longer than a text may be, see :mod:`thalweg.limits`.
    """
    path = folder / NAME
    try:
        content = limits.read_json(path)
        kept = content.pop("checksum")
    except FileNotFoundError as error:
        raise StoreError(f"{folder} holds no trajectory: give the directory that was recorded into") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror or error}): mend its permissions") from error
    except LimitError:
        raise
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DamagedError(f"{path} is damaged: copy it from another recording of the same network") from error
    if kept != _digest(content):
        raise DamagedError(f"{path} differs from its checksum: copy it from another recording of the same network")
    if content.get("schema") != SCHEMA:
        schema = content.get("schema")
        raise StoreError(f"{path} has schema {schema}, this version reads {SCHEMA}: use a newer thalweg")
    try:
        layout = content["layout"]
        parts = {part: tuple(_kept(entry) for entry in layout[part]) for part in ("parameters", "buffers")}
        found = RowLayout(**{**layout, **parts})
        _count(found.sketch if found.sketch is not None else 1)
        return found, dict(content["about"])
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise DamagedError(f"{path} describes no rows of tensors ({line}): use another copy") from error


def closed_with(about: Mapping[str, Any]) -> int:
    """How many rows a trajectory had when it was last closed; 0 where it never was, as its training was killed."""
    points = about.get("points", 0)
    return points if isinstance(points, int) else 0


def _kept(entry: Mapping[str, Any]) -> Kept:
    """One tensor of a row as the file describes it; ValueError where there can be none such."""
    found = Kept(str(entry["name"]), tuple(_count(size) for size in entry["shape"]), entry["dtype"])
    if getattr(torch, found.dtype, None) not in _HELD:
        raise ValueError(f"{found.name} has dtype {found.dtype}")
    if math.prod(found.shape) >= _MOST:
        raise ValueError(f"{found.name} has shape {found.shape}")
    return found


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MOST:
        raise ValueError(f"{value!r} is no size")
    return value


def _digest(content: object) -> str:
    return digest([json.dumps(content, sort_keys=True).encode()]).hex()
