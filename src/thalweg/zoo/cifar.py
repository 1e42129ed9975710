"""Reading CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from the files of their binary version.

A row is its label bytes (CIFAR-10: the class; CIFAR-100: the superclass, then the class) and 3,072 bytes of
pixels: the red, the green and the blue plane, each 32×32 row by row. There is no header, so sizes and labels are
what can be checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from thalweg import limits
from thalweg.errors import DataError

PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Layout:
    """The files of one of the two data sets.

    ``labels`` are the numbers of values of each label byte, the class last; ``mean`` and ``std`` those of each
    channel over the 50,000 training images, with pixels in [0, 1].
    """

    name: str
    subject: str
    folder: str
    labels: tuple[int, ...]
    train: tuple[str, ...]
    test: tuple[str, ...]
    file_rows: tuple[int, int]
    pickled: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def row(self) -> int:
        """Bytes of a row."""
        return len(self.labels) + PIXELS

    @property
    def archive(self) -> str:
        """The archive of the binary version."""
        return f"{self.name.lower()}-binary.tar.gz"


CIFAR10 = Layout(
    name="CIFAR-10",
    subject="cifar10",
    folder="cifar-10-batches-bin",
    labels=(10,),
    train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    test=("test_batch.bin",),
    file_rows=(10_000, 10_000),
    pickled=("data_batch_1", "test_batch", "batches.meta", "cifar-10-batches-py"),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
)

CIFAR100 = Layout(
    name="CIFAR-100",
    subject="cifar100",
    folder="cifar-100-binary",
    labels=(20, 100),
    train=("train.bin",),
    test=("test.bin",),
    file_rows=(50_000, 10_000),
    pickled=("train", "test", "meta", "cifar-100-python"),
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
)


def read_cifar(
    directory: str | Path, layout: Layout, split: str = "train", rows: int | None = None
) -> tuple[Tensor, Tensor]:
    """Images float32 [n, 3, 32, 32] and classes int64 [n] of the first ``rows`` rows of a split, or of all.

    Each channel has the mean and the standard deviation of the training set's, constants of the layout,
    subtracted and divided out: (x/255 − mean)/std. Files are read in order and only as far as needed; fewer
    rows than asked for come back where the last file ends before.

    Raises
    ------
    DataError
        If a file is missing, is of the pickled Python version, is no whole number of rows, or has a label
        beyond its range.
    """
    folder = _folder(directory, layout)
    names = layout.train if split == "train" else layout.test
    parts: list[np.ndarray] = []
    have = 0
    for name in names:
        if rows is not None and have >= rows:
            break
        if not (folder / name).is_file():
            raise DataError(_missing(folder, name, layout, have))
        parts.append(read_rows(folder / name, layout, None if rows is None else rows - have))
        have += len(parts[-1])
    table = np.concatenate(parts)
    mean, std = (torch.tensor(x).reshape(3, 1, 1) for x in (layout.mean, layout.std))
    labels = torch.from_numpy(table[:, len(layout.labels) - 1].astype(np.int64))
    pixels = torch.from_numpy(table[:, len(layout.labels) :]).reshape(-1, 3, 32, 32).float()
    return pixels.div_(255).sub_(mean).div_(std), labels


def read_rows(path: Path, layout: Layout, rows: int | None = None) -> np.ndarray:
    """The first rows of one file, or all: uint8 [n, label bytes + 3,072].

    Raises
    ------
    DataError
        If the size is no whole number of rows, or a label is beyond its range.
    LimitError
        If it is mostly holes, see :mod:`thalweg.limits`.
    """
    try:
        limits.whole(path)
        size = path.stat().st_size
        with path.open("rb") as file:
            body = file.read(-1 if rows is None else min(rows, size // layout.row) * layout.row)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}): check the file and its permissions") from error
    if size == 0 or size % layout.row:
        raise DataError(f"{path} has {size:,} bytes, no whole rows of {layout.row:,}: {_why(path, size, layout)}")
    table = np.frombuffer(body, dtype=np.uint8).reshape(-1, layout.row)
    for i, count in enumerate(layout.labels):
        bad = np.flatnonzero(table[:, i] >= count)
        if len(bad):
            raise DataError(
                f"{path}: row {bad[0]} has label {table[bad[0], i]}, and byte {i} of a {layout.name} row is 0 to "
                f"{count - 1}: the file is damaged or of another data set; take it from {layout.archive}"
            )
    return table


def _folder(directory: str | Path, layout: Layout) -> Path:
    """The folder itself, or the one in it that the archive unpacks to."""
    folder = Path(directory)
    if folder.is_file():
        raise DataError(f"--data {directory} is a file: unpack {layout.archive} and give the folder of .bin files")
    if not folder.is_dir():
        raise DataError(f"--data {directory}: no such directory; give the folder that holds {layout.train[0]}")
    inner = folder / layout.folder
    return inner if inner.is_dir() and not (folder / layout.train[0]).exists() else folder


def _missing(folder: Path, name: str, layout: Layout, have: int) -> str:
    """Why a file that is not there may be missing, and what to do."""
    seen = sorted(p.name for p in folder.iterdir())
    other = CIFAR100 if layout is CIFAR10 else CIFAR10
    if have:
        return f"{folder} has no {name}, only {have:,} rows in the files before it: copy it there or pass rows={have}"
    pickled = [n for n in seen if n in layout.pickled or n == f"{layout.name.lower()}-python.tar.gz"]
    if pickled:
        return (
            f"{folder} holds {pickled[0]}, of the Python version of {layout.name}, which is pickled and never loaded: "
            f"take the binary version ({layout.archive}, {name})"
        )
    if layout.archive in seen:
        return f"{folder} holds {layout.archive} still packed: unpack it there with tar -xzf"
    if set(seen) & {*other.train, *other.test, other.folder}:
        return f"{folder} has no {name}; it holds {other.name}: use {other.subject}"
    return f"{folder} has no {name} (found: {', '.join(seen[:4]) or 'nothing'}): it comes with {layout.archive}"


def _why(path: Path, size: int, layout: Layout) -> str:
    """What a file of the wrong size is."""
    with path.open("rb") as file:
        first = file.read(2)
    other = CIFAR100 if layout is CIFAR10 else CIFAR10
    if first == b"\x1f\x8b":
        return "it is gzipped; unpack it"
    if first[:1] == b"\x80":
        return f"it is a pickle, which is never loaded; take the binary version ({layout.archive})"
    if size and size % other.row == 0:
        return f"they are rows of {other.name}; use {other.subject}"
    whole = layout.file_rows[path.name in layout.test] * layout.row
    return f"it is truncated or damaged (a complete file has {whole:,})"
