"""Small images and their classes by the name of the data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.errors import DataError, InputError
from thalweg.zoo.cifar import CIFAR10, CIFAR100, Layout, read_cifar
from thalweg.zoo.idx import has_test, read_pair

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Images:
    """``inputs`` [n, channels, height, width], ``labels`` int64 [n] in 0 … ``classes`` − 1."""

    inputs: Tensor
    labels: Tensor
    classes: int

    @property
    def channels(self) -> int:
        """Of an image."""
        return self.inputs.shape[1]


def load(
    dataset: str,
    data: str | None = None,
    *,
    split: str = "train",
    rows: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Images:
    """The first ``rows`` images of a split, or all, from the files in the folder ``data``.

    "digits" (scikit-learn's, 1×8×8, in [0, 1], without files), "mnist", "fashion_mnist" (IDX files, 1×28×28, in
    [0, 1]), "cifar10", "cifar100" (binary version, 3×32×32, normalised by channel, see
    :mod:`thalweg.zoo.cifar`). Pixels are computed in float32, then cast.

    Raises
    ------
    InputError
        If the data set or the split is unknown, or has fewer rows.
    DataError
        If the folder or a file is missing or damaged.
    """
    if dataset not in DATASETS:
        raise InputError(f"dataset={dataset!r} is unknown: choose {', '.join(map(repr, DATASETS))}")
    if split not in SPLITS:
        raise InputError(f"split={split!r} is unknown: choose {' or '.join(map(repr, SPLITS))}")
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 1):
        raise InputError(f"rows={rows!r}: give a whole number, at least 1")
    read, classes = DATASETS[dataset]
    if read is not _digits and data is None:
        raise DataError(f"{dataset} reads files that you provide: pass --data FOLDER (data='FOLDER' in Python)")
    inputs, labels = read(data, split, rows)
    if rows is not None and rows > len(inputs):
        raise InputError(f"rows={rows}: {dataset} has {len(inputs):,} rows")
    if int(labels.max()) >= classes:
        raise DataError(f"--data {data}: label {int(labels.max())} is beyond the {classes} classes of {dataset}")
    return Images(inputs[:rows].to(dtype), labels[:rows], classes)


def load_both(
    dataset: str,
    data: str | None = None,
    *,
    split: str = "train",
    rows: int | None = None,
    test: int = 0,
    dtype: torch.dtype = torch.float32,
) -> tuple[Images, Images | None]:
    """Rows as :func:`load` reads them, and ``test`` rows beside them; None where that is 0.

    They are the first of the test split. Where there is none, as of digits and of a folder with one pair of IDX files,
    the last rows are held out.

    Raises
    ------
    InputError, DataError
        As :func:`load`; and if the rows are themselves of the test split, or none would be left.
    """
    if isinstance(test, bool) or not isinstance(test, int) or test < 0:
        raise InputError(f"test={test!r}: give how many test rows to bring, 0 for none")
    images = load(dataset, data, split=split, rows=rows, dtype=dtype)
    if not test:
        return images, None
    if split != "train":
        raise InputError(f"test={test} and split={split!r}: test rows are brought beside training rows; drop one")
    if not _single(dataset, data):
        return images, load(dataset, data, split="test", rows=test, dtype=dtype)
    every = load(dataset, data, dtype=dtype)
    if test >= len(every.inputs):
        raise InputError(f"test={test}: {dataset} has {len(every.inputs):,} rows in all; hold out fewer")
    kept = min(len(images.inputs), len(every.inputs) - test)
    held = Images(every.inputs[-test:], every.labels[-test:], every.classes)
    return Images(images.inputs[:kept], images.labels[:kept], images.classes), held


def _single(dataset: str, data: str | None) -> bool:
    """Whether there are no test rows of its own."""
    return dataset == "digits" or (DATASETS[dataset][0] is _idx and data is not None and not has_test(data))


def _digits(data: str | None, split: str, rows: int | None) -> tuple[Tensor, Tensor]:
    if data is not None:
        raise InputError(f"--data {data}: digits come with scikit-learn; name the data set of these files (dataset=…)")
    if split != "train":
        raise InputError(f"split={split!r}: digits have one split, 'train'")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = torch.from_numpy(np.ascontiguousarray(bunch.images)).float() / 16
    return pixels.unsqueeze(1), torch.from_numpy(bunch.target).long()


def _idx(data: str | None, split: str, rows: int | None) -> tuple[Tensor, Tensor]:
    assert data is not None
    pixels, labels = read_pair(data, split)
    return pixels[:rows].unsqueeze(1).float() / 255, labels if rows is None else labels[:rows]


def _cifar(layout: Layout) -> Callable[[str | None, str, int | None], tuple[Tensor, Tensor]]:
    def read(data: str | None, split: str, rows: int | None) -> tuple[Tensor, Tensor]:
        assert data is not None
        return read_cifar(data, layout, split, rows)

    return read


DATASETS: dict[str, tuple[Callable[[str | None, str, int | None], tuple[Tensor, Tensor]], int]] = {
    "digits": (_digits, 10),
    "mnist": (_idx, 10),
    "fashion_mnist": (_idx, 10),
    "cifar10": (_cifar(CIFAR10), CIFAR10.labels[-1]),
    "cifar100": (_cifar(CIFAR100), CIFAR100.labels[-1]),
}
"""How each data set is read, (folder, split, rows) -> (images, labels), and its number of classes."""
