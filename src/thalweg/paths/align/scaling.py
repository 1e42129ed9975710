"""Scales of units: what positively homogeneous functions (ReLU) leave open, chosen by weights alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.errors import InputError
from thalweg.paths.align.find import moved, risk_of, symmetries
from thalweg.paths.align.matching import Pair
from thalweg.paths.align.symmetries import Symmetries, multiplied

SWEEPS = 200
"""Sweeps over the groups at most; each unit's scale is optimal with the others held."""

GAIN = 1e-10
"""Relative change of a scale below which it counts as settled."""


def balanced(objective: Objective, point: Point, *, rng: int | Stream = 0) -> Point:
    """The same network with every unit's weights in and out of equal norm, where its scale may be chosen.

    The point of its orbit under rescaling with the smallest norm (a minimum over each unit's scale in turn).

    Raises
    ------
    InputError
        If there is no network, or none of its units has a scale that may be chosen.
    """
    risk = risk_of(objective)
    found = symmetries(risk, scales=True, rng=rng)
    if not found.scaled:
        raise InputError(
            f"{type(risk.network.module).__name__} has no units whose scale may be chosen: nothing to balance"
        )
    named = risk.space.unravel(point.theta.detach().double())
    pairs = [Pair(b, x := b.take(named[n].cpu()), torch.zeros_like(x)) for n in named for b in found.blocks.get(n, ())]
    factors = closest(found, [Pair(p.block, p.b, p.a) for p in pairs])
    return moved(found, risk, point, {}, factors)


def closest(symmetries: Symmetries, pairs: Sequence[Pair]) -> dict[str, np.ndarray]:
    """The scales of b's units that bring it closest to a, one group after the other until they settle.

    With its other units held, the squared distance as a function of a unit's scale c is
    c²·B₊ − 2c·X₊ + B₋/c² − 2X₋/c: B are squared norms of what makes and what reads the unit, X their products with
    a's. Its smallest value at a positive c is at a root of c⁴B₊ − c³X₊ + cX₋ − B₋.
    """
    factors = {name: np.ones(symmetries[name].size) for name in symmetries.scaled}
    for _ in range(SWEEPS):
        largest = 0.0
        for name in factors:
            new = _optimal(name, symmetries, pairs, factors)
            largest = max(largest, float(np.abs(np.log(new / factors[name])).max()))
            factors[name] = new
        if largest < GAIN:
            break
    return factors


def _optimal(name: str, symmetries: Symmetries, pairs: Sequence[Pair], factors: dict[str, np.ndarray]) -> np.ndarray:
    size = symmetries[name].size
    norms, products = ({1: np.zeros(size), -1: np.zeros(size)} for _ in range(2))
    held = {other: c for other, c in factors.items() if other != name}
    for pair in pairs:
        if name not in pair.block.groups:
            continue
        b = multiplied(pair.block, pair.b, held)
        at = [d for d, g in enumerate(pair.block.groups) if g == name and pair.block.exponents[d]]
        if len(at) != 1:
            if at:
                return factors[name]  # made and read by one matrix: its entries do not go by one power
            continue
        power = pair.block.exponents[at[0]]
        assert power is not None
        axes = [d for d in range(b.ndim) if d != at[0]]
        norms[power] += (b.square().sum(axes) if axes else b.square()).numpy()
        products[power] += ((b * pair.a).sum(axes) if axes else b * pair.a).numpy()
    return np.array([_root(*c) for c in zip(norms[1], products[1], norms[-1], products[-1], strict=True)])


def _root(made: float, made_along: float, read: float, read_along: float) -> float:
    """The positive c with the smallest c²·made − 2c·made_along + read/c² − 2·read_along/c; 1 where there is none."""
    if not (made > 0 and read > 0):
        return 1.0
    roots = np.roots([made, -made_along, 0.0, read_along, -read])
    real = roots[(np.abs(roots.imag) <= 1e-8 * np.abs(roots)) & (roots.real > 0)].real
    values = real**2 * made - 2 * real * made_along + read / real**2 - 2 * read_along / real
    return float(real[np.argmin(values)]) if len(real) else 1.0


def aligned_scales(symmetries: Symmetries, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with both points balanced, so that units are compared apart from their scale."""
    both = []
    for side in ("a", "b"):
        values = [getattr(p, side) for p in pairs]
        zero = [Pair(p.block, torch.zeros_like(x), x) for p, x in zip(pairs, values, strict=True)]
        factors = closest(symmetries, zero)
        both.append([multiplied(p.block, p.b, factors) for p in zero])
    return [Pair(p.block, a, b) for p, a, b in zip(pairs, *both, strict=True)]
