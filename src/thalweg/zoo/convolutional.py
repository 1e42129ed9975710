"""Convolutional classifiers of small images: residual and densely connected networks."""

from __future__ import annotations

import torch
from torch import nn

from thalweg.core.data import read
from thalweg.core.metrics import accuracy
from thalweg.core.network import Network
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rows import BLOCK_ROWS, RowBlocks
from thalweg.zoo import networks
from thalweg.zoo.datasets import Images, load_both


def resnet(
    depth: int = 8,
    width: float = 1,
    *,
    skip: bool = True,
    norm: str | None = "batch",
    shortcut: str = "pad",
    activation: str = "relu",
    dataset: str = "digits",
    data: str | None = None,
    rows: int | None = None,
    split: str = "train",
    test: int = 0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> EmpiricalRisk:
    """A ResNet for small images (He et al. 2016), with or without skips, on a data set by name; mean cross-entropy.

    The network is :func:`thalweg.zoo.networks.resnet`, with its parameter counts; the images are those of
    :func:`thalweg.zoo.datasets.load` ("digits" without files; "mnist", "fashion_mnist", "cifar10", "cifar100" from
    the folder ``data``), with ``test`` test rows as in :func:`thalweg.zoo.datasets.load_both`. BatchNorm's running
    statistics are those of the first 1,024 rows at the initial parameters, so that the initial point is normalised.

    Raises
    ------
    InputError, DataError
        If the network, the data set or the rows do not exist, or files are missing or damaged.
    """
    images, held = load_both(dataset, data, split=split, rows=rows, test=test, dtype=dtype)
    model = networks.resnet(
        depth,
        images.classes,
        channels=images.channels,
        width=width,
        skip=skip,
        shortcut=shortcut,
        norm=norm,
        activation=activation,
        seed=seed,
        dtype=dtype,
    )
    return _classifier(model, images, held)


def densenet(
    depth: int = 22,
    growth: int = 12,
    *,
    norm: str | None = "batch",
    activation: str = "relu",
    dataset: str = "digits",
    data: str | None = None,
    rows: int | None = None,
    split: str = "train",
    test: int = 0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> EmpiricalRisk:
    """A DenseNet-BC for small images (Huang et al. 2017) on a data set by name; mean cross-entropy.

    The network is :func:`thalweg.zoo.networks.densenet`; images and running statistics are as in :func:`resnet`.

    Raises
    ------
    InputError, DataError
        If the network, the data set or the rows do not exist, or files are missing or damaged.
    """
    images, held = load_both(dataset, data, split=split, rows=rows, test=test, dtype=dtype)
    model = networks.densenet(
        depth,
        images.classes,
        channels=images.channels,
        growth=growth,
        norm=norm,
        activation=activation,
        seed=seed,
        dtype=dtype,
    )
    return _classifier(model, images, held)


def _classifier(model: nn.Module, images: Images, held: Images | None) -> EmpiricalRisk:
    rows = images.inputs[:BLOCK_ROWS], images.labels[:BLOCK_ROWS]
    # Running statistics of torch's constructors are 0 and 1 whatever the network: a frozen norm would do nothing.
    network = Network.of_module(model)
    buffers = network.recalibrated(dict(model.named_parameters()), RowBlocks(read(rows)))
    model.load_state_dict(buffers, strict=False)
    data, test = (images.inputs, images.labels), None if held is None else (held.inputs, held.labels)
    return EmpiricalRisk(model, nn.CrossEntropyLoss(), data, metrics={"accuracy": accuracy}, test=test)
