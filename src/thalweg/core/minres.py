"""Least-squares solutions of symmetric systems, indefinite or singular, for a batch of points at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import InputError

SINGULAR = 1e-10
"""What the recurrence's rounding makes of a zero: below this share of ‖A‖, a pivot is taken for one."""

Product = Callable[[Tensor], Tensor]
"""vectors [B, P] -> A_b·vectors [B, P], each point with its own symmetric A."""


@dataclass(frozen=True)
class Solution:
    """x [B, P] with ‖Ax − b‖ least and ‖x‖ least among those, up to what stopped the iteration.

    residual [B] = ‖Ax − b‖; negative [B]: whether a direction of non-positive curvature was met; products: how many
    were taken at every point.
    """

    x: Tensor
    residual: Tensor
    negative: Tensor
    products: int


def minres(matvec: Product, b: Tensor, tol: float = 1e-10, most: int | None = None) -> Solution:
    """MINRES (Paige & Saunders 1975) with full reorthogonalisation in float64, batched over points.

    Stops where ‖r‖ ≤ tol‖b‖, or ‖Ar‖ ≤ tol‖A‖‖r‖ (then b has a part outside A's range), or after ``most`` products (P).
    Non-positive curvature rᵀAr ≤ 0 is read off the recurrence, and the solution is lifted to the one of least norm:
    both by Liu & Roosta 2022, §3 and §2.3.

    Raises
    ------
    InputError
        If tol or most is not positive.
    """
    if not 0 < tol < 1 or (most is not None and most < 1):
        raise InputError(f"tol={tol}, most={most}: tol must lie in (0, 1), and most be at least 1")
    b = b.double()
    count, size = b.shape
    most = min(size, size if most is None else most)
    length = b.norm(dim=1)
    one, tiny = torch.ones_like(length), torch.finfo(torch.float64).tiny
    basis = torch.zeros(count, most + 1, size, dtype=torch.float64, device=b.device)
    projected = torch.zeros(count, most + 1, most, dtype=torch.float64, device=b.device)
    basis[:, 0] = b / length.clamp(min=tiny)[:, None]
    phi, cos, sin = length.clone(), -one, 0 * one
    delta, norm = 0 * one, 0 * one
    running, negative = length > 0, torch.zeros(count, dtype=torch.bool, device=b.device)
    products = 0
    while products < most and bool(running.any()):
        k = products
        w = matvec(basis[:, k]).double()
        products += 1
        alpha = (basis[:, k] * w).sum(1)
        known = basis[:, : k + 1]
        for _ in range(2):
            w = w - torch.einsum("bk,bkp->bp", torch.einsum("bkp,bp->bk", known, w), known)
        beta = w.norm(dim=1)
        basis[:, k + 1] = w / beta.clamp(min=tiny)[:, None]
        gamma = sin * delta - cos * alpha
        negative |= running & (cos * gamma >= 0)
        norm = torch.maximum(norm, (alpha.square() + beta.square()).sqrt())
        # ‖A r‖ of the iterate before this product: where it vanishes, that one is a least-squares solution already.
        running &= (k == 0) | ((gamma.square() + (cos * beta).square()).sqrt() > max(tol, SINGULAR) * norm)
        projected[:, k, k] = torch.where(running, alpha, 0.0)
        projected[:, k + 1, k] = torch.where(running, beta, 0.0)
        if k:
            projected[:, k - 1, k] = torch.where(running, projected[:, k, k - 1], 0.0)
        root = (gamma.square() + beta.square()).sqrt().clamp(min=tiny)
        delta, cos, sin = -cos * beta, gamma / root, beta / root
        phi = torch.where(running, sin * phi, phi)
        running &= (phi > tol * length) & (beta > SINGULAR * norm)
    # The small problem by its singular values: recurrences for x divide by what rounding leaves of a zero pivot.
    small = projected[:, : products + 1, :products]
    y = torch.linalg.pinv(small, rtol=SINGULAR)[:, :, 0] * length[:, None]
    x = torch.einsum("bk,bkp->bp", y, basis[:, :products])
    left = length[:, None] * torch.eye(products + 1, 1, dtype=torch.float64)[:, 0] - torch.einsum(
        "bij,bj->bi", small, y
    )
    r = torch.einsum("bk,bkp->bp", left, basis[:, : products + 1])
    return Solution(_lifted(x, r, length), r.norm(dim=1), negative, products)


def _lifted(x: Tensor, r: Tensor, length: Tensor) -> Tensor:
    """The solution without its part along the residual, which lies in the null space at a least-squares solution."""
    square = r.square().sum(1)
    along = torch.where(square.sqrt() > 1e-8 * length, (r * x).sum(1) / square.clamp(min=1e-300), 0.0)
    return x - along[:, None] * r
