"""Krylov methods on a matrix–vector product; they know neither objectives nor records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.errors import InputError

Matvec = Callable[[Tensor], Tensor]
"""vectors [k, n] -> A·vectors [k, n], for a symmetric A."""

Which = Literal["LA", "SA", "LM", "BE"]
"""Largest, smallest, largest in magnitude, or both ends (the larger half from the top)."""


@dataclass(frozen=True)
class RitzPairs:
    """Approximate eigenpairs of a symmetric operator.

    values [k] descending, vectors [k, n] orthonormal rows, residuals [k] = ‖Av − λv‖ from fresh products,
    norm: the largest |Ritz value| met, products: how many were taken. All float64.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    norm: float
    products: int
    converged: bool
    """Every fresh residual is at most tol times ``norm``."""
    settled: bool = True
    """The iteration itself ended by its own estimate and not by its limit."""


def select(values: Tensor, k: int, which: Which) -> Tensor:
    """Indices of the k wanted among ``values``, most wanted first."""
    if which == "LM":
        return values.abs().argsort(descending=True)[:k]
    ascending = values.argsort()
    if which == "SA":
        return ascending[:k]
    if which == "LA":
        return ascending.flip(0)[:k]
    if which == "BE":
        top = -(-k // 2)
        return torch.cat([ascending.flip(0)[:top], ascending[: k - top]])
    raise InputError(f"which={which!r}: choose 'LA', 'SA', 'LM' or 'BE'")


def dense(matvec: Matvec, size: int, chunk: int = 64) -> Tensor:
    """The matrix itself, float64 [n, n], symmetrised; ``size`` products."""
    eye = torch.eye(size, dtype=torch.float64)
    rows = torch.cat([matvec(part).double() for part in eye.split(chunk)])
    return (rows + rows.T) / 2


def lanczos(
    matvec: Matvec,
    size: int,
    k: int,
    rng: Stream,
    *,
    which: Which = "LA",
    tol: float = 1e-6,
    basis: int | None = None,
    max_products: int | None = None,
    start: Tensor | None = None,
) -> RitzPairs:
    """Extremal eigenpairs by thick-restart Lanczos with full reorthogonalisation in float64.

    Wu & Simon 2000, Algorithm 1: when the basis of ``basis`` vectors is full, the wanted Ritz vectors and
    the last residual start the next one. Converged means every residual <= tol times the largest |Ritz
    value|. A Krylov space sees one vector of an eigenspace: multiplicities can be missed until a breakdown.
    """
    k = min(k, size)
    most = min(size, basis or max(2 * k + 10, 30))
    if most < min(k + 2, size):
        raise InputError(f"basis={basis}: {k} eigenpairs need at least {k + 2} vectors")
    limit = 50 * most if max_products is None else max_products
    if limit < k + 1:
        raise InputError(f"max_products={max_products}: {k} eigenpairs take at least {k + 1} products")
    vectors = torch.zeros(most + 1, size, dtype=torch.float64)
    vectors[0] = _unit(_random(size, rng, 0) if start is None else start.double().cpu())
    projected = torch.zeros(most, most, dtype=torch.float64)
    first, products, draws, norm = 0, 0, 1, 0.0
    while True:
        beta, last = 0.0, most
        for j in range(first, most):
            if products >= limit and j >= k:
                last = j
                break
            w = matvec(vectors[j : j + 1])[0].to("cpu", torch.float64)
            products += 1
            if not bool(torch.isfinite(w).all()):
                return RitzPairs(torch.empty(0), torch.empty(0, size), torch.empty(0), float("nan"), products, False)
            column = torch.zeros(j + 1, dtype=torch.float64)
            for _ in range(2):  # twice is enough (Parlett 1998, §6.9)
                h = vectors[: j + 1] @ w
                w = w - h @ vectors[: j + 1]
                column += h
            projected[: j + 1, j] = projected[j, : j + 1] = column
            beta = float(w.norm())
            norm = max(norm, float(column.norm()), beta)
            if beta <= 1e-13 * max(norm, 1e-300) * size**0.5:
                # The space is invariant: go on from a fresh direction, uncoupled from what is known.
                w, beta = _fresh(vectors[: j + 1], rng, draws), 0.0
                draws += 1
                vectors[j + 1] = w
            else:
                vectors[j + 1] = w / beta
        values, mix = torch.linalg.eigh(projected[:last, :last])
        wanted = select(values, k, which)
        norm = float(values.abs().max())
        settled = bool((beta * mix[-1, wanted].abs() <= tol * norm).all())
        if settled or products >= limit or most == size:
            return _checked(matvec, values[wanted], mix[:, wanted].T @ vectors[:last], norm, products, tol, settled)
        keep = select(values, min(k + (most - k) // 2, most - 1), which)
        first = len(keep)
        vectors[:first] = mix[:, keep].T @ vectors[:most]
        vectors[first] = vectors[most].clone()
        projected.zero_()
        projected[range(first), range(first)] = values[keep]


def _checked(
    matvec: Matvec, values: Tensor, vectors: Tensor, norm: float, products: int, tol: float, settled: bool
) -> RitzPairs:
    order = values.argsort(descending=True)
    values, vectors = values[order], vectors[order]
    applied = torch.cat([matvec(v[None]).to("cpu", torch.float64) for v in vectors])
    residuals = (applied - values.unsqueeze(1) * vectors).norm(dim=1)
    converged = settled and bool((residuals <= tol * norm).all())
    return RitzPairs(values, vectors, residuals, norm, products + len(values), converged, settled)


def _random(size: int, rng: Stream, draw: int) -> Tensor:
    return torch.randn(size, generator=rng("start", draw).torch(), dtype=torch.float64)


def _unit(vector: Tensor) -> Tensor:
    norm = vector.norm()
    if not float(norm) > 0:
        raise InputError("the start vector is zero: leave it out, or give another")
    return vector / norm


def _fresh(known: Tensor, rng: Stream, draw: int) -> Tensor:
    """A unit vector orthogonal to the rows known; zero when they span the space."""
    w = _random(known.shape[1], rng, draw)
    for _ in range(2):
        w = w - (known @ w) @ known
    norm = float(w.norm())
    return w / norm if norm > 1e-8 and len(known) < known.shape[1] else torch.zeros_like(w)
