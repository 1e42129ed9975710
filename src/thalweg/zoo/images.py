"""Fully connected classifiers of small images: scikit-learn's digits, MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100.

``test`` is how many test rows they bring, see :func:`thalweg.zoo.datasets.load_both`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from thalweg.core.metrics import accuracy
from thalweg.core.risk import EmpiricalRisk
from thalweg.zoo.datasets import Images, load_both
from thalweg.zoo.networks import mlp


def digits(
    seed: int = 0,
    hidden: Sequence[int] = (32, 32),
    activation: str = "relu",
    test: int = 0,
    dtype: torch.dtype = torch.float32,
) -> EmpiricalRisk:
    """scikit-learn's 1,797 digits (8×8, pixels in [0, 1]) and a 64-32-32-10 network, mean cross-entropy.

    ``test`` of them, the last, are held out as test rows.
    """
    return _classifier(load_both("digits", test=test, dtype=dtype), hidden, activation, seed)


def mnist(
    data: str | None = None,
    seed: int = 0,
    hidden: Sequence[int] = (64,),
    activation: str = "relu",
    rows: int | None = None,
    split: str = "train",
    test: int = 0,
    dtype: torch.dtype = torch.float32,
) -> EmpiricalRisk:
    """MNIST from IDX files in the folder ``data`` (``*images-idx3-ubyte``, gzipped or not), a 784-64-10 network."""
    return _classifier(
        load_both("mnist", data, split=split, rows=rows, test=test, dtype=dtype), hidden, activation, seed
    )


def fashion_mnist(
    data: str | None = None,
    seed: int = 0,
    hidden: Sequence[int] = (64,),
    activation: str = "relu",
    rows: int | None = None,
    split: str = "train",
    test: int = 0,
    dtype: torch.dtype = torch.float32,
) -> EmpiricalRisk:
    """Fashion-MNIST (Xiao et al. 2017) from IDX files in the folder ``data``, a 784-64-10 network."""
    return _classifier(
        load_both("fashion_mnist", data, split=split, rows=rows, test=test, dtype=dtype), hidden, activation, seed
    )


def cifar10(
    data: str | None = None,
    seed: int = 0,
    hidden: Sequence[int] = (64,),
    activation: str = "relu",
    rows: int | None = None,
    split: str = "train",
    test: int = 0,
    dtype: torch.dtype = torch.float32,
) -> EmpiricalRisk:
    """CIFAR-10 from its binary version in the folder ``data`` (``data_batch_1.bin`` …), a 3072-64-10 network.

    Channels are normalised by constants of the training set, see :func:`thalweg.zoo.cifar.read_cifar`.
    """
    return _classifier(
        load_both("cifar10", data, split=split, rows=rows, test=test, dtype=dtype), hidden, activation, seed
    )


def cifar100(
    data: str | None = None,
    seed: int = 0,
    hidden: Sequence[int] = (64,),
    activation: str = "relu",
    rows: int | None = None,
    split: str = "train",
    test: int = 0,
    dtype: torch.dtype = torch.float32,
) -> EmpiricalRisk:
    """CIFAR-100 (100 classes) from its binary version in the folder ``data`` (``train.bin``), a 3072-64-100 network.

    Channels are normalised by constants of the training set, see :func:`thalweg.zoo.cifar.read_cifar`.
    """
    return _classifier(
        load_both("cifar100", data, split=split, rows=rows, test=test, dtype=dtype), hidden, activation, seed
    )


def _classifier(both: tuple[Images, Images | None], hidden: Sequence[int], activation: str, seed: int) -> EmpiricalRisk:
    images, held = both
    inputs = images.inputs.flatten(1)
    widths = (inputs.shape[1], *hidden, images.classes)
    model = mlp(widths, activation=activation, seed=seed, dtype=inputs.dtype)
    test = None if held is None else (held.inputs.flatten(1), held.labels)
    metrics = {"accuracy": accuracy}
    return EmpiricalRisk(model, nn.CrossEntropyLoss(), (inputs, images.labels), metrics=metrics, test=test)
