"""Reading IDX files (LeCun's format of MNIST and its kin), gzipped or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from thalweg import limits
from thalweg.errors import DataError

DEFLATE = 1032
"""No stream of gzip's holds more than so many times its own length (zlib's technical details: 1032:1)."""


TESTS = ("t10k", "test")
"""What the names of test files begin with."""


def read_idx(path: Path) -> Tensor:
    """An IDX file of unsigned bytes as a uint8 tensor of the shape in its header.

    Raises
    ------
    DataError
        If the file is missing, no IDX file of bytes, or shorter or longer than it says.
    LimitError
        If it grows beyond the limit when it is unpacked, see :mod:`thalweg.limits`.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            zero, kind, ndim = struct.unpack(">HBB", file.read(4))
            if zero != 0 or kind != 0x08 or not 1 <= ndim <= 4:
                raise DataError(f"{path} begins with {zero:#06x} {kind:#04x}: no IDX file of unsigned bytes")
            shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
            size = math.prod(shape)
            length = path.stat().st_size
            if size > (DEFLATE * length if packed else length):
                raise DataError(
                    f"{path} promises {size:,} bytes and has {length:,}: it is truncated, or its header is damaged"
                )
            limits.afford(path, size, limits.stored_bytes(path))
            body = file.read(size + 1)
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}): it is truncated or no IDX file") from error
    if len(body) != size:
        found = "more" if len(body) > size else f"{len(body):,}"
        raise DataError(f"{path} says {size:,} bytes and holds {found}: it is truncated or damaged")
    return torch.from_numpy(np.frombuffer(body, dtype=np.uint8).reshape(shape).copy())


def find(directory: str | Path, kind: str, split: str) -> Path:
    """The file in ``directory`` that ends as ``kind`` ("images-idx3-ubyte") does, gzipped or not.

    Where several do, the one that begins with train (or t10k, test) is meant by ``split``.

    Raises
    ------
    DataError
        If there is none, or several and no way to tell.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise DataError(f"--data {directory}: no such directory; give the folder that holds the IDX files")
    found = sorted(p for p in folder.iterdir() if p.name.removesuffix(".gz").endswith(kind))
    tests = [p for p in found if p.name.startswith(TESTS)]
    others = [p for p in found if p not in tests]
    named = [p for p in others if p.name.startswith("train")]
    chosen = tests if split != "train" else named or (others if len(others) == 1 else [])
    if not chosen:
        seen = ", ".join(p.name for p in found[:4]) or "none"
        raise DataError(f"{folder} has no {split} file ending in {kind} or {kind}.gz (found: {seen})")
    return chosen[0]


def has_test(directory: str | Path) -> bool:
    """Whether the folder holds test images beside those to train on."""
    return any(p.name.startswith(TESTS) and "images-idx3-ubyte" in p.name for p in Path(directory).iterdir())


def read_pair(directory: str | Path, split: str = "train") -> tuple[Tensor, Tensor]:
    """Images uint8 [n, height, width] and labels int64 [n] of one split.

    Raises
    ------
    DataError
        If a file is missing or damaged, holds no images, or images and labels differ in number.
    """
    path = find(directory, "images-idx3-ubyte", split)
    pixels = read_idx(path)
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise DataError(f"{path} has shape {list(pixels.shape)}: images are [n, height, width], at least one")
    labels = read_idx(find(directory, "labels-idx1-ubyte", split))
    if len(pixels) != len(labels):
        raise DataError(f"{directory}: {len(pixels):,} images and {len(labels):,} labels do not belong together")
    return pixels, labels.long()


def images(directory: str | Path, split: str = "train") -> tuple[Tensor, Tensor]:
    """Images float32 [n, height·width] in [0, 1] and labels int64 [n] of one split; raises as :func:`read_pair`."""
    pixels, labels = read_pair(directory, split)
    return pixels.flatten(1).float() / 255, labels
