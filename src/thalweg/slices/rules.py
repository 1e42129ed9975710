"""The normalisation of directions, stated once: per filter, per layer, or whole.

Li et al. 2018, §4: each filter of a random direction is scaled to the norm of the same filter of theta, so
that a network and its rescaled twin are drawn alike; one-dimensional tensors are left at zero. What a filter is
says :mod:`thalweg.core.filters`. ``"head"`` differs from ``"filter"`` in attention alone, where the group is one
head's query, key or value matrix: what a rotation within a head leaves as it is.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from thalweg.core.space import Entry
from thalweg.errors import InputError

Norm = Literal["filter", "layer", "head", "whole"] | None
Biases = Literal["zero", "scale"]

NORMS: tuple[Norm, ...] = ("filter", "layer", "head", "whole", None)


def check(norm: Norm, biases: Biases) -> None:
    """Refuse an unknown rule.

    Raises
    ------
    InputError
        With the value and the choices.
    """
    if norm not in NORMS:
        raise InputError(f"norm={norm!r}: choose 'filter', 'layer', 'head', 'whole' or None")
    if biases not in ("zero", "scale"):
        raise InputError(f"biases={biases!r}: choose 'zero' or 'scale'")


def grouped(entry: Entry, tensor: Tensor, norm: Norm) -> tuple[Tensor, tuple[int, ...]]:
    """A [..., *shape] tensor viewed so that its groups' inner axes are the ones returned.

    What the groups are for a norm of a layer's own says :mod:`thalweg.core.filters`.
    """
    assert norm in ("filter", "layer", "head")  # the others have no groups
    lead = tensor.ndim - len(entry.shape)
    view, axes = entry.layout.division(norm)
    inner = tuple(lead + i for i in range(len(view)) if i not in axes)
    return tensor.reshape(*tensor.shape[:lead], *view), inner


def orthogonalised(entry: Entry, block: Tensor, norm: Norm) -> Tensor:
    """Gram–Schmidt among the k directions [k, *shape] inside every group, in float64.

    Orthogonal in each group, they stay orthogonal when the groups are scaled afterwards, so both hold
    exactly. A group of one element cannot hold two orthogonal directions and is left as drawn.
    """
    view, axes = grouped(entry, block.double(), norm)
    inner = 1
    for axis in axes:
        inner *= view.shape[axis]
    rows = [view[i] for i in range(len(view))]
    dims = tuple(axis - 1 for axis in axes)
    for i in range(1, len(rows)):
        if inner <= i:
            continue  # no room for another orthogonal direction inside so small a group
        for _ in range(2):  # the second sweep removes what rounding left of the first
            for j in range(i):
                size = rows[j].square().sum(dims, keepdim=True)
                along = (rows[i] * rows[j]).sum(dims, keepdim=True) / torch.where(size > 0, size, 1.0)
                rows[i] = rows[i] - along * rows[j]
    return torch.stack(rows).reshape(block.shape)


def scaled(entry: Entry, block: Tensor, theta: Tensor, norm: Norm) -> Tensor:
    """Each group of the directions [k, *shape] scaled to the norm of theta's group [*shape]."""
    view, axes = grouped(entry, block.double(), norm)
    target, inner = grouped(entry, theta.double(), norm)
    size = view.square().sum(axes, keepdim=True).sqrt()
    wanted = target.square().sum(inner, keepdim=True).sqrt()
    return (view * torch.where(size > 0, wanted / size, torch.zeros_like(size))).reshape(block.shape)
