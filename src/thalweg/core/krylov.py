"""Krylov methods on a matrix–vector product; they know neither objectives nor records."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from thalweg.core.basis import Basis
from thalweg.core.rng import Stream
from thalweg.errors import BudgetSpent, InputError

Matvec = Callable[[Tensor], Tensor]
"""vectors [k, n] -> A·vectors [k, n], for a symmetric A."""

Which = Literal["LA", "SA", "LM", "BE"]
"""Largest, smallest, largest in magnitude, or both ends (the larger half from the top)."""


LOCKS = 0.01
"""Wanted vectors are locked once their residual is this share of the tolerance: what is neglected is far below it."""


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
    spent: bool = False
    """The budget ended the iteration."""


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


@dataclass(frozen=True)
class Ends:
    """What is asked of Lanczos: ``k`` eigenpairs at an end of the spectrum, how well, and from how much.

    ``tol`` bounds residuals relative to the largest |Ritz value|. ``basis`` vectors are held at a time (2k + 10, and
    at least 30), in ``storage``: float32 halves them and keeps every sum in float64. ``max_products`` ends the
    iteration (50 times the basis).
    """

    k: int
    which: Which = "LA"
    tol: float = 1e-6
    basis: int | None = None
    max_products: int | None = None
    storage: torch.dtype = torch.float64

    def within(self, size: int) -> tuple[int, int, int]:
        """(k, vectors held, most products) in a space of this size.

        Raises
        ------
        InputError
            If k pairs cannot come out of so few vectors or products.
        """
        k = min(self.k, size)
        most = min(size, self.basis or max(2 * k + 10, 30))
        if most < min(k + 2, size):
            raise InputError(f"basis={self.basis}: {k} eigenpairs need at least {k + 2} vectors")
        limit = 50 * most if self.max_products is None else self.max_products
        if limit < k + 1:
            raise InputError(f"max_products={self.max_products}: {k} eigenpairs take at least {k + 1} products")
        return k, most, limit


@dataclass(frozen=True)
class Restart:
    """Where a thick restart begins: all that is needed to go on bit for bit.

    vectors [m + 1, n]: the m Ritz vectors kept, of which the first ``locked`` are final, and the direction that
    follows them, in the dtype of the basis that they may be a view of; values [m]. ``products`` and
    ``draws`` count what was taken, ``norm`` is the largest |Ritz value| met.
    """

    vectors: Tensor
    values: Tensor
    locked: int = 0
    products: int = 0
    draws: int = 1
    norm: float = 0.0
    residual: float = 1.0
    """The largest residual of a wanted pair, relative to ``norm``: by it the rest is foretold."""

    def foretold(self, ends: Ends, size: int) -> int:
        """Products in all, fresh residuals with them, if residuals go on falling as they did from 1; 0 where unknown.

        A forecast for whoever waits and no bound: a wanted vector that comes late makes it longer.
        """
        k, _, limit = ends.within(size)
        if not (self.products and ends.tol < self.residual < 1):
            return 0
        return min(limit, math.ceil(self.products * math.log(ends.tol) / math.log(self.residual))) + k


def lanczos(matvec: Matvec, size: int, ends: Ends, rng: Stream, *, start: Tensor | None = None) -> RitzPairs:
    """Extremal eigenpairs by :func:`iterate`, with residuals from fresh products.

    Converged means every residual <= tol times the largest |Ritz value|. A Krylov space sees one vector of an
    eigenspace: multiplicities can be missed until a breakdown.
    """
    return checked(matvec, iterate(matvec, size, ends, begin(size, rng, start), rng), ends.tol)


def begin(size: int, rng: Stream, start: Tensor | None = None) -> Restart:
    """The first direction: along ``start`` [n], or random."""
    first = _random(size, rng, 0) if start is None else start.double().cpu()
    return Restart(_unit(first)[None], torch.empty(0, dtype=torch.float64))


def iterate(
    matvec: Matvec,
    size: int,
    ends: Ends,
    state: Restart,
    rng: Stream,
    keep: Callable[[Restart], None] = lambda restart: None,
) -> RitzPairs:
    """Thick-restart Lanczos with full reorthogonalisation in float64; residuals are its own estimates.

    Wu & Simon 2000, Algorithm 1: when the basis is full, the wanted Ritz vectors and the last residual start the next
    one. Wanted vectors whose residual is below a hundredth of the tolerance are locked: they leave the projected
    matrix and stay as they are, and the others are kept orthogonal to them. ``keep`` is called with every restart,
    whose vectors are the basis itself and change when it returns.
    A product that raises BudgetSpent ends the iteration with what there is, which may be nothing.
    """
    k, most, limit = ends.within(size)
    basis = Basis(most + 1, size, ends.storage)
    vectors = basis.rows
    vectors[: len(state.vectors)] = state.vectors
    state = replace(state, vectors=torch.empty(0))  # the basis is held once
    while True:
        first, lock = len(state.values), state.locked
        projected = torch.zeros(most, most, dtype=torch.float64)
        projected[range(first), range(first)] = state.values
        products, draws, norm = state.products, state.draws, state.norm
        beta, last, spent = 0.0, most, False
        for j in range(first, most):
            if products >= limit and j >= k:
                last = j
                break
            try:
                w = matvec(vectors[j : j + 1])[0].to("cpu", torch.float64)
            except BudgetSpent:
                last, spent = j, True
                break
            products += 1
            if not bool(torch.isfinite(w).all()):
                return nothing(size, products, float("nan"))
            w, column = basis.orthogonal(w, j + 1)
            projected[lock : j + 1, j] = projected[j, lock : j + 1] = column[lock:]
            beta = float(w.norm())
            norm = max(norm, float(column.norm()), beta)
            if beta <= 1e-13 * max(norm, 1e-300) * size**0.5:
                # The space is invariant: go on from a fresh direction, uncoupled from what is known.
                w, beta = _fresh(basis, j + 1, rng, draws), 0.0
                draws += 1
                vectors[j + 1] = w
            else:
                vectors[j + 1] = w / beta
        if last == 0:
            return replace(nothing(size, products, norm), spent=True)
        values, mix = torch.linalg.eigh(projected[lock:last, lock:last])
        values, mix = torch.cat([state.values[:lock], values]), torch.block_diag(torch.eye(lock).double(), mix)
        couplings = beta * mix[-1].abs()
        couplings[:lock] = 0.0
        wanted, norm = select(values, k, ends.which), float(values.abs().max())
        settled = not spent and bool((couplings[wanted] <= ends.tol * norm).all())
        if settled or spent or products >= limit or most == size:
            wanted = wanted[values[wanted].argsort(descending=True)]
            ritz = basis.mixed(mix[:, wanted])
            return RitzPairs(values[wanted], ritz, couplings[wanted], norm, products, False, settled, spent)
        final = wanted[couplings[wanted] <= LOCKS * ends.tol * norm]
        others = select(values, kept_of(k, most), ends.which)
        kept = torch.cat([final, others[~torch.isin(others, final)]])
        # Final vectors come first and are not mixed again: a sum with a single 1 is that row, bit for bit.
        basis.mix(mix[:, kept])
        vectors[len(kept)] = vectors[most]
        far = float(couplings[wanted].max()) / norm if norm else 0.0
        state = Restart(vectors[: len(kept) + 1], values[kept], len(final), products, draws, norm, far)
        keep(state)


def kept_of(k: int, most: int) -> int:
    """Ritz vectors with which a restart of a basis of ``most`` vectors begins."""
    return min(k + (most - k) // 2, most - 1)


def held(k: int, most: int, storage: torch.dtype = torch.float64) -> float:
    """Vectors of float64 numbers at the peak: the basis, the last product, and beside them its parts, or the answer."""
    return (most + 1) * storage.itemsize / 8 + max(k, 4) + 2


def checked(matvec: Matvec, pairs: RitzPairs, tol: float) -> RitzPairs:
    """The same pairs in descending order, with residuals from one fresh product each."""
    if not len(pairs.values):
        return pairs
    values, vectors = pairs.values, pairs.vectors
    if bool((values.diff() > 0).any()):
        order = values.argsort(descending=True)
        values, vectors = values[order], vectors[order]
    pairings = zip(values, vectors, strict=True)
    residuals = torch.stack([(matvec(v[None])[0].to("cpu", torch.float64) - x * v).norm() for x, v in pairings])
    converged = pairs.settled and bool((residuals <= tol * pairs.norm).all())
    products = pairs.products + len(values)
    return replace(pairs, values=values, vectors=vectors, residuals=residuals, products=products, converged=converged)


def nothing(size: int, products: int, norm: float) -> RitzPairs:
    """No eigenpair of a space of this size."""
    empty = torch.empty(0, dtype=torch.float64)
    return RitzPairs(empty, torch.empty(0, size, dtype=torch.float64), empty, norm, products, False, settled=False)


def _random(size: int, rng: Stream, draw: int) -> Tensor:
    return torch.randn(size, generator=rng("start", draw).torch(), dtype=torch.float64)


def _unit(vector: Tensor) -> Tensor:
    norm = vector.norm()
    if not float(norm) > 0:
        raise InputError("the start vector is zero: leave it out, or give another")
    return vector / norm


def _fresh(basis: Basis, count: int, rng: Stream, draw: int) -> Tensor:
    """A unit vector orthogonal to the first rows; zero when they span the space."""
    size = basis.rows.shape[1]
    w, _ = basis.orthogonal(_random(size, rng, draw), count)
    norm = float(w.norm())
    return w / norm if norm > 1e-8 and count < size else torch.zeros_like(w)
