"""Frank–Wolfe: all groups improved at once over doubly stochastic matrices, then rounded (Crisostomi et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.errors import InputError
from thalweg.paths.align.aligner import Aligner, Found, Work
from thalweg.paths.align.matching import Pair, ascend, assign, cross, fit
from thalweg.paths.align.symmetries import Symmetries
from thalweg.paths.align.weights import paired

POLISH = 100
"""Sweeps of weight matching at most, from the rounded permutations."""


@final
@dataclass(frozen=True)
class FrankWolfe(Aligner):
    """The same aim as weight matching, ⟨θ_a, θ_b permuted⟩, climbed over doubly stochastic matrices of all groups.

    Each iteration goes towards the permutations that the gradient assigns, as far as an exact line search says: along
    that segment the aim is a polynomial. It begins at the matrices with equal entries and ends where the gap, an upper
    bound of the first-order gain, is below ``tol`` of the value. The matrices are rounded by assignment, and weight
    matching goes on from there; it alone moves heads with the units inside them.

    Raises
    ------
    InputError
        If iterations is below 1 or tol not positive.
    """

    name: ClassVar[str] = "frank wolfe"

    iterations: int = 400
    tol: float = 1e-6

    def __post_init__(self) -> None:
        if self.iterations < 1 or not self.tol > 0:
            raise InputError(f"iterations={self.iterations}, tol={self.tol}: give at least 1 and a positive tolerance")

    def search(self, work: Work, rng: Stream) -> Found:
        """Climb, round, polish."""
        a, b = (work.risk.space.unravel(p.theta.detach().double()) for p in (work.a, work.b))
        pairs = paired(work.symmetries, a, b)
        soft = plain_groups(work.symmetries)
        now = {name: np.full((n, n), 1.0 / n) for name, n in soft.items()}
        mine = [p for p in pairs if set(p.block.groups) & set(soft)]
        gap = value = 0.0
        taken, step = 0, 1.0
        while step > 0.0 and taken < self.iterations:
            taken += 1
            value, slopes = _slopes(mine, now)
            towards = {name: np.eye(len(s))[assign(s)] for name, s in slopes.items()}
            gap = sum(float((slopes[name] * (towards[name] - now[name])).sum()) for name in now)
            if gap <= self.tol * max(abs(value), 1e-300):
                break
            step = _longest(mine, now, towards)
            now = {name: (1 - step) * m + step * towards[name] for name, m in now.items()}
            work.counted.meter.check()
        rounded = work.symmetries.identity() | {name: assign(m) for name, m in now.items()}
        end = ascend(work.symmetries, pairs, rounded, rng("polish").numpy(), POLISH)
        said = (
            f"{taken} iterations to a gap of {gap:.2g} at ⟨a, b⟩ = {value:.6g} over doubly stochastic matrices; "
            f"{fit(work.symmetries, mine, rounded):.6g} rounded, then {end.sweeps} sweeps of weight matching."
        )
        return Found(end.permutations, evidence=(said,))


def plain_groups(symmetries: Symmetries) -> dict[str, int]:
    """The sizes of the groups that are neither in others nor have others in them."""
    return {g.name: g.size for g in symmetries.groups if g.within is None and not symmetries.inside(g.name)}


def mixed(pair: Pair, matrices: Mapping[str, Tensor], without: int | None = None) -> Tensor:
    """The block of b with a matrix applied along every dimension whose group has one, but for one dimension."""
    b = pair.b
    for dim, name in enumerate(pair.block.groups):
        if name is not None and name in matrices and dim != without:
            b = torch.tensordot(matrices[name], b, dims=([1], [dim])).movedim(0, dim)
    return b


def _slopes(pairs: Sequence[Pair], now: Mapping[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
    """The aim, and its derivative by every matrix."""
    slopes = {name: np.zeros_like(m) for name, m in now.items()}
    value, matrices = 0.0, {name: torch.from_numpy(m) for name, m in now.items()}
    for pair in pairs:
        value += float((pair.a * mixed(pair, matrices)).sum())
        for dim, name in enumerate(pair.block.groups):
            if name is not None and name in now:
                slopes[name] += cross(pair.a, mixed(pair, matrices, dim), dim)
    return value, slopes


def _longest(pairs: Sequence[Pair], now: Mapping[str, np.ndarray], towards: Mapping[str, np.ndarray]) -> float:
    """The best step in [0, 1]: along the segment the aim is a polynomial of as many degrees as a block has groups."""
    degree = max(sum(g in now for g in p.block.groups) for p in pairs)
    nodes = (1 - np.cos(np.pi * np.arange(degree + 1) / degree)) / 2
    values = []
    for t in nodes:
        there = {name: torch.from_numpy((1 - t) * m + t * towards[name]) for name, m in now.items()}
        values.append(sum(float((p.a * mixed(p, there)).sum()) for p in pairs))
    curve = np.polynomial.Polynomial.fit(nodes, values, degree)
    roots = curve.deriv().roots()
    inside = roots[np.abs(roots.imag) < 1e-9].real
    tried = np.array([0.0, 1.0, *inside[(inside > 0) & (inside < 1)]])
    return float(tried[np.argmax(curve(tried))])
