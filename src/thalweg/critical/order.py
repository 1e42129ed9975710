"""What happens along the null space of a Hessian: derivatives of third and fourth order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.products import differentiable_twice
from thalweg.core.rng import Stream
from thalweg.critical.index import Index

NOISE = 1e-6
"""A derivative below this share of the largest derivative met counts as zero."""

STARTS = 8
"""Directions from which the largest third derivative is sought, for each null dimension up to eight."""


@dataclass(frozen=True)
class Order:
    """The first derivative along the null space that is not zero.

    order: 3, 4 or None (constant up to fourth order). value: that derivative where it is smallest. direction: the unit
    vector [P] where that is; F falls along it, or along its negative, where order is 3 or value is negative. looked:
    how many directions were looked at.
    """

    order: int | None
    value: float
    direction: Tensor
    looked: int


def along_null_space(objective: Objective, theta: Tensor, found: Index, null: Tensor, rng: Stream) -> Order:
    """Third derivatives on the unit sphere of ``null`` [m, P] (orthonormal rows), then fourth.

    The third is maximised by the power iteration of symmetric tensors (Kolda & Mayo 2011) from several starts. Along a
    null direction z at which it vanishes, F follows its valley: to fourth order it is D⁴F[z⁴] − 3 wᵀH⁺w with
    w = D³F[z, z, ·], because moving across the null space lowers it (the splitting lemma; Poston & Stewart 1978, §4).
    """
    m = len(null)
    count = 1 if m == 1 else STARTS * min(m, 8)
    starts = torch.randn(count, m, generator=rng("null").torch(), dtype=torch.float64)
    directions = torch.nn.functional.normalize(starts, dim=1) @ null
    best, third = directions[0], 0.0
    for z in directions:
        for _ in range(1 if m == 1 else 6):
            w = _bent(objective, theta, z)
            along = null.T @ (null @ w)
            if float(w @ z) < 0:
                along = -along
            if not float(along.norm()) > 0:
                break
            if m > 1:
                z = along / along.norm()
        value = abs(float(_bent(objective, theta, z) @ z))
        if value > third:
            best, third = z, value
    fourths = [(_fourth(objective, theta, z, found), z) for z in directions]
    scale = max(found.norm, third, *(abs(v) for v, _ in fourths))
    if third > NOISE * scale:
        sign = -1.0 if float(_bent(objective, theta, best) @ best) > 0 else 1.0
        return Order(3, -third, sign * best, count)
    value, z = min(fourths, key=lambda pair: pair[0])
    if abs(value) > NOISE * scale:
        return Order(4, value, z, count)
    return Order(None, value, z, count)


def _bent(objective: Objective, theta: Tensor, z: Tensor) -> Tensor:
    """D³F[z, z, ·], float64 [P]."""
    leaf = objective.space.check(theta).clone().requires_grad_()
    z = z.to(leaf)
    with differentiable_twice():
        found = objective.scalar(leaf)
        for _ in range(3):
            if not found.requires_grad:  # F does not depend on theta at this order any more
                return torch.zeros_like(leaf).double().cpu()
            (gradient,) = torch.autograd.grad(found, leaf, create_graph=True, materialize_grads=True)
            found = gradient @ z
    return gradient.detach().double().cpu()


def _fourth(objective: Objective, theta: Tensor, z: Tensor, found: Index) -> float:
    """The fourth derivative of F along its valley over z."""
    plain = float(objective.directional(theta, z.to(objective.space.dtype), order=4)[4])
    curved = found.values.abs() > found.threshold
    w = found.vectors[curved] @ _bent(objective, theta, z)
    return plain - 3 * float((w.square() / found.values[curved]).sum())
