"""Classifiers of small images: scikit-learn's digits, MNIST and Fashion-MNIST."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from thalweg.core.metrics import accuracy
from thalweg.core.risk import EmpiricalRisk
from thalweg.errors import DataError, InputError
from thalweg.zoo.idx import images
from thalweg.zoo.networks import mlp

CLASSES = 10
"""Of every subject here, whichever of them the rows at hand hold."""


def digits(
    seed: int = 0, hidden: Sequence[int] = (32, 32), activation: str = "relu", dtype: torch.dtype = torch.float32
) -> EmpiricalRisk:
    """scikit-learn's 1,797 digits (8×8, pixels in [0, 1]) and a 64-32-32-10 network, mean cross-entropy."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    inputs = torch.from_numpy(np.ascontiguousarray(bunch.data)).to(dtype) / 16
    return _classifier(inputs, torch.from_numpy(bunch.target).long(), hidden, activation, seed, dtype)


def mnist(
    data: str | None = None,
    seed: int = 0,
    hidden: Sequence[int] = (64,),
    activation: str = "relu",
    rows: int | None = None,
    split: str = "train",
    dtype: torch.dtype = torch.float32,
) -> EmpiricalRisk:
    """MNIST from IDX files in the folder ``data`` (``*images-idx3-ubyte``, gzipped or not), a 784-64-10 network."""
    return _from_idx("mnist", data, seed, hidden, activation, rows, split, dtype)


def fashion_mnist(
    data: str | None = None,
    seed: int = 0,
    hidden: Sequence[int] = (64,),
    activation: str = "relu",
    rows: int | None = None,
    split: str = "train",
    dtype: torch.dtype = torch.float32,
) -> EmpiricalRisk:
    """Fashion-MNIST (Xiao et al. 2017) from IDX files in the folder ``data``, a 784-64-10 network."""
    return _from_idx("fashion_mnist", data, seed, hidden, activation, rows, split, dtype)


def _from_idx(
    name: str,
    data: str | None,
    seed: int,
    hidden: Sequence[int],
    activation: str,
    rows: int | None,
    split: str,
    dtype: torch.dtype,
) -> EmpiricalRisk:
    if data is None:
        raise DataError(f"{name} reads files that you provide: pass --data FOLDER (data='FOLDER' in Python)")
    inputs, labels = images(data, split)
    if rows is not None and not 1 <= rows <= len(inputs):
        raise InputError(f"rows={rows}: {name} has {len(inputs):,} rows")
    return _classifier(inputs[:rows].to(dtype), labels[:rows], hidden, activation, seed, dtype)


def _classifier(
    inputs: torch.Tensor, labels: torch.Tensor, hidden: Sequence[int], activation: str, seed: int, dtype: torch.dtype
) -> EmpiricalRisk:
    widths = (inputs.shape[1], *hidden, CLASSES)
    model = mlp(widths, activation=activation, seed=seed, dtype=dtype)
    return EmpiricalRisk(model, nn.CrossEntropyLoss(), (inputs, labels), metrics={"accuracy": accuracy})
