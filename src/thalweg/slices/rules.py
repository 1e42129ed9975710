"""The normalisation of directions, stated once: per filter, per layer tensor, or whole.

Li et al. 2018, §4: each filter of a random direction is scaled to the norm of the same filter of theta, so
that a network and its rescaled twin are drawn alike; one-dimensional tensors are left at zero.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from thalweg.core.space import Entry
from thalweg.errors import InputError

Norm = Literal["filter", "layer", "whole"] | None
Biases = Literal["zero", "scale"]

NORMS: tuple[Norm, ...] = ("filter", "layer", "whole", None)


def check(norm: Norm, biases: Biases) -> None:
    """Refuse an unknown rule.

    Raises
    ------
    InputError
        With the value and the choices.
    """
    if norm not in NORMS:
        raise InputError(f"norm={norm!r}: choose 'filter', 'layer', 'whole' or None")
    if biases not in ("zero", "scale"):
        raise InputError(f"biases={biases!r}: choose 'zero' or 'scale'")


def grouped(entry: Entry, tensor: Tensor, norm: Norm) -> tuple[Tensor, tuple[int, ...]]:
    """A [..., *shape] tensor viewed so that its groups' inner axes are the ones returned.

    The groups are filters for ``norm="filter"``; a one-dimensional tensor, and any tensor under another
    norm, is one group.
    """
    lead = tensor.ndim - len(entry.shape)
    if norm == "filter" and not entry.vector:
        view = tensor.reshape(*tensor.shape[:lead], *entry.view)
        return view, tuple(lead + axis for axis in entry.within)
    flat = tensor.reshape(*tensor.shape[:lead], -1)
    return flat, (lead,)


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
