"""Both ends of a spectrum from a start block: what a map of many neighbouring points asks for.

A subspace is widened by the residuals of both extreme Ritz pairs. From one random vector that is Lanczos' iteration,
because both residuals then point along its next vector; from several vectors it goes on from what they hold, which
Lanczos cannot (Davidson 1975 without a preconditioner; Crouzeix, Philippe & Sadkane 1994). When the basis is full, Ritz
vectors near both ends are kept, with their products (thick restart, Wu & Simon 2000).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core.krylov import Matvec
from thalweg.core.rng import Stream

KEPT = 2
"""Ritz vectors of each end that a neighbour starts from: the runner-up is followed as well, as it may overtake."""

PROBES = 3
"""Krylov steps from a fresh random vector that a warm start takes besides, to meet what its neighbour did not have."""

_TINY = 1e-10


@dataclass(frozen=True)
class Extremes:
    """The extreme Ritz pairs: values, residuals ‖Av − λv‖, Ritz vectors near both ends [≤ 2·KEPT, n], products taken.

    In exact arithmetic the largest Ritz value is at most the largest eigenvalue and within its residual of one.
    """

    largest: float
    smallest: float
    largest_residual: float
    smallest_residual: float
    vectors: Tensor
    products: int
    converged: bool


def extremes(
    matvec: Matvec,
    size: int,
    rng: Stream,
    *,
    start: Tensor | None = None,
    tol: float = 1e-2,
    basis: int = 40,
    limit: int = 400,
    probes: int = PROBES,
) -> Extremes:
    """The largest and the smallest eigenvalue of a symmetric matrix, until both residuals are ≤ tol · max|λ|.

    ``start`` [k, n] are vectors to begin from, such as those of a neighbour. Products are taken a block at a time and
    at most ``limit`` of them; ``basis`` vectors and their products are held in float64.
    """
    held = _Basis(torch.zeros(0, size, dtype=torch.float64), torch.zeros(0, size, dtype=torch.float64))
    random = _random(size, rng, 0)[None]
    block = held.fresh(random if start is None else torch.cat([start.double().cpu(), random]))
    chain = len(block) - 1 if start is not None else None  # the row of the newest vector of the probe's Krylov space
    products, explored, draws = 0, 0, 1
    while True:
        applied = matvec(block).to("cpu", torch.float64)
        products += len(block)
        if not bool(torch.isfinite(applied).all()):
            return Extremes(*(float("nan"),) * 4, torch.zeros(0, size), products, False)
        held = held.joined(block, applied)
        values, mix = torch.linalg.eigh(held.projected)
        ends = mix[:, [-1, 0]].T
        residuals = ends @ held.products - values[[-1, 0]].unsqueeze(1) * (ends @ held.vectors)
        norms, scale = residuals.norm(dim=1), float(values.abs().max())
        open_ = norms > tol * scale
        explored += 1
        whole = len(held.vectors) == size
        searching = chain is not None and explored < probes
        if whole or products >= limit or not (bool(open_.any()) or searching):
            near = mix[:, [i for i in range(len(values)) if i < KEPT or i >= len(values) - KEPT]].T
            return Extremes(
                float(values[-1]), float(values[0]), float(norms[0]), float(norms[1]),
                near @ held.vectors, products, whole or not bool(open_.any()),
            )  # fmt: skip
        wanted = [residuals[open_]]
        if searching and chain is not None:
            wanted.append(held.products[chain][None])
        block = held.fresh(torch.cat(wanted))
        if not len(block):  # the space is invariant: go on from a fresh direction
            block = held.fresh(_random(size, rng, draws)[None])
            draws += 1
        if searching:
            chain = len(held.vectors) + len(block) - 1
        if len(held.vectors) + len(block) > max(basis, 4 * KEPT + len(block)):
            keep = min(len(values) // 2, 2 * KEPT)
            held = held.mixed(torch.cat([mix[:, -keep:], mix[:, :keep]], dim=1).T)
            block = held.fresh(block)


@dataclass(frozen=True)
class _Basis:
    """Orthonormal rows and their products, both float64 [m, n]."""

    vectors: Tensor
    products: Tensor

    @property
    def projected(self) -> Tensor:
        """The matrix in this basis, symmetrised."""
        found = self.vectors @ self.products.T
        return (found + found.T) / 2

    def joined(self, vectors: Tensor, products: Tensor) -> _Basis:
        """With further vectors."""
        return _Basis(torch.cat([self.vectors, vectors]), torch.cat([self.products, products]))

    def mixed(self, mix: Tensor) -> _Basis:
        """Combinations of the rows, [k, m]; their products need not be taken."""
        return _Basis(mix @ self.vectors, mix @ self.products)

    def fresh(self, rows: Tensor) -> Tensor:
        """Rows [k, n] made orthonormal to the basis and to each other; those that add nothing are left out."""
        found = self.vectors
        for row in rows:
            size = float(row.norm())
            if not size > 0 or len(found) == found.shape[1]:
                continue
            row = row / size
            for _ in range(2):  # twice is enough (Parlett 1998, §6.9)
                row = row - (found @ row) @ found
            left = float(row.norm())
            if left > _TINY:
                row = row / left
                row = row - (found @ row) @ found  # what was small was mostly rounding
                found = torch.cat([found, (row / row.norm())[None]])
        return found[len(self.vectors) :]


def _random(size: int, rng: Stream, draw: int) -> Tensor:
    return torch.randn(size, generator=rng("start", draw).torch(), dtype=torch.float64)
