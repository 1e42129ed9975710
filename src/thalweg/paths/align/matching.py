"""Coordinate ascent over permutations: one group at a time by the assignment that fits best, the others held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from thalweg.errors import InputError
from thalweg.paths.align.symmetries import Block, Factors, Group, Symmetries

GAIN = 1e-12
"""Relative gain below which an assignment counts as no better (Ainsworth et al. 2022, Algorithm 1, as in its code)."""

INNER = 20
"""Rounds over the families of one pair of members; a round that changes nothing ends them."""

STARTS = 4
"""Random orders of the families of a pair that are tried as well, where several act on one block."""


@dataclass(frozen=True)
class Pair:
    """A block of both points: ``a`` and ``b`` have the shape of the block."""

    block: Block
    a: Tensor
    b: Tensor


@dataclass
class Scores:
    """What assigning units of b to units of a is worth, for one group.

    ``own`` [n, n] for the group itself, ``families`` [n, m, n, m] for each group inside it; ``joint`` are pairs in
    which several of those act at once. ``odd`` [n, n] is the part of ``own`` beside it that changes sign with a unit.
    """

    own: np.ndarray
    odd: np.ndarray | None = None
    families: dict[str, np.ndarray] = field(default_factory=dict)
    joint: list[Pair] = field(default_factory=list)


def assign(scores: np.ndarray) -> np.ndarray:
    """The permutation p with the largest Σ scores[i, p[i]].

    Raises
    ------
    InputError
        If a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise InputError(
            f"{np.count_nonzero(~np.isfinite(scores))} of {scores.size} scores of pairs of units are NaN or infinite: "
            "mend the parameters or the rows that make them so"
        )
    return np.asarray(linear_sum_assignment(scores, maximize=True)[1], dtype=np.int64)


def best(
    symmetries: Symmetries, group: Group, scores: Scores, start: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """The best permutation of a group, and of the families inside it for the members that it pairs.

    Exact where no two families act on one block; else the families of a pair are improved in turn, from where they
    are and from random orders.
    """
    inside = symmetries.inside(group.name)
    if not inside:
        return {group.name: assign(scores.own if scores.odd is None else scores.own + np.abs(scores.odd))}
    n = group.size
    found: dict[tuple[int, int], dict[str, np.ndarray]] = {}
    worth = scores.own.copy()
    for i in range(n):
        for j in range(n):
            stays = start[group.name][i] == j
            begun = {f.name: start[f.name][i] if stays else np.arange(f.size) for f in inside}
            found[i, j], value = _pair(group, scores, i, j, begun, rng)
            worth[i, j] += value
    chosen = assign(worth)
    made = {group.name: chosen}
    for f in inside:
        made[f.name] = np.stack([found[i, int(j)][f.name] for i, j in enumerate(chosen)])
    return made


def _pair(
    group: Group, scores: Scores, i: int, j: int, begun: dict[str, np.ndarray], rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], float]:
    """The best permutations of every family where member i of a is paired with member j of b, and their worth."""
    joint = [(pair, pair.block.groups.index(group.name)) for pair in scores.joint]
    cut = [(_dropped(p.block, d), p.a.select(d, i), p.b.select(d, j)) for p, d in joint]
    linear = {f: scores.families[f][i, :, j, :] for f in begun if f in scores.families}
    starts = [begun, *({f: rng.permutation(p) for f, p in begun.items()} for _ in range(STARTS if cut else 0))]
    tried = [_inner(linear, cut, now) for now in starts]
    return max(tried, key=lambda t: t[1])


def _inner(
    linear: Mapping[str, np.ndarray],
    cut: Sequence[tuple[tuple[str | None, ...], Tensor, Tensor]],
    begun: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], float]:
    """Families of one pair of members improved in turn until nothing changes."""
    now = dict(begun)
    for _ in range(INNER if cut else 1):
        before = dict(now)
        for name in now:
            costs = [linear[name]] if name in linear else []
            costs += [_cost(groups, a, b, name, now) for groups, a, b in cut if name in groups]
            if costs:
                now[name] = assign(sum(costs[1:], start=costs[0]))
        if all(np.array_equal(before[name], now[name]) for name in now):
            break
    value = sum(float(cost[np.arange(len(now[f])), now[f]].sum()) for f, cost in linear.items())
    value += sum(float((a * _permuted(groups, b, now)).sum()) for groups, a, b in cut)
    return now, value


def _dropped(block: Block, dim: int) -> tuple[str | None, ...]:
    return (*block.groups[:dim], *block.groups[dim + 1 :])


def _permuted(groups: Sequence[str | None], values: Tensor, now: Mapping[str, np.ndarray]) -> Tensor:
    for dim, name in enumerate(groups):
        if name is not None and name in now:
            values = values.index_select(dim, torch.from_numpy(now[name]))
    return values


def _cost(groups: Sequence[str | None], a: Tensor, b: Tensor, name: str, now: Mapping[str, np.ndarray]) -> np.ndarray:
    others = {other: p for other, p in now.items() if other != name}
    b = _permuted(groups, b, others)
    return sum((cross(a, b, dim) for dim, g in enumerate(groups) if g == name), start=np.array(0.0))


def cross(a: Tensor, b: Tensor, dim: int) -> np.ndarray:
    """Inner products of the slices of a and of b along a dimension, [n, n]."""
    one, two = (x.movedim(dim, 0).reshape(x.shape[dim], -1) for x in (a, b))
    return (one @ two.T).cpu().numpy()


def crossed(a: Tensor, b: Tensor, outer: int, inner: int) -> np.ndarray:
    """Inner products of the slices along two dimensions, [n, m, n, m]."""
    n, m = a.shape[outer], a.shape[inner]
    one, two = (x.movedim((outer, inner), (0, 1)).reshape(n * m, -1) for x in (a, b))
    return (one @ two.T).reshape(n, m, n, m).cpu().numpy()


def scored(
    symmetries: Symmetries,
    group: Group,
    pairs: Sequence[Pair],
    now: Mapping[str, np.ndarray],
    signs: Factors | None = None,
) -> Scores:
    """The scores of a group over blocks that it acts on, every other group where it is now.

    Where the group acts on a block twice (recurrent weights), one place is held while the other is scored: the
    linearisation of a quadratic assignment.
    """
    inside = {f.name for f in symmetries.inside(group.name)}
    held = {name: p for name, p in now.items() if name != group.name and name not in inside}
    scores = Scores(np.zeros((group.size, group.size)))
    signed = (signs or {}).get(group.name)
    others = {name: sign for name, sign in (signs or {}).items() if name != group.name}
    if signed is not None:
        scores.odd = np.zeros_like(scores.own)
    for pair in pairs:
        at = [d for d, g in enumerate(pair.block.groups) if g == group.name]
        families = [d for d, g in enumerate(pair.block.groups) if g in inside]
        b = symmetries.moved(pair.block, pair.b, held, others)
        if len(families) > 1:
            scores.joint.append(Pair(pair.block, pair.a, b))
        elif families:
            name = pair.block.groups[families[0]]
            assert name is not None
            scores.families[name] = scores.families.get(name, 0.0) + crossed(pair.a, b, at[0], families[0])
        else:
            for dim in at:
                fitted = b
                for other in at:
                    if other != dim:
                        fitted = fitted.index_select(other, torch.from_numpy(now[group.name]).to(b.device))
                        if signed is not None and pair.block.exponents[other]:
                            shape = [-1 if d == other else 1 for d in range(fitted.ndim)]
                            fitted = fitted * torch.from_numpy(signed).to(fitted).reshape(shape)
                odd = scores.odd is not None and pair.block.exponents[dim]
                into = scores.odd if odd else scores.own
                assert into is not None
                into += cross(pair.a, fitted, dim)
    return scores


def ascend(
    symmetries: Symmetries,
    pairs: Sequence[Pair],
    start: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    sweeps: int,
) -> Matching:
    """Improve permutations, and signs, one group at a time in random order until a sweep changes nothing."""
    now = {name: p.copy() for name, p in start.items()}
    signs = {name: np.ones(symmetries[name].size) for name in symmetries.signed}
    tops = [g for g in symmetries.groups if g.within is None]
    touched = {g.name: [p for p in pairs if g.name in p.block.groups] for g in tops}
    taken, improved = 0, True
    while improved and taken < sweeps:
        taken, improved = taken + 1, False
        for k in rng.permutation(len(tops)):
            group = tops[k]
            here = touched[group.name]
            held = fit(symmetries, here, now, signs)
            scores = scored(symmetries, group, here, now, signs)
            made, turned = {**now, **best(symmetries, group, scores, now, rng)}, dict(signs)
            if scores.odd is not None:
                turned[group.name] = np.where(scores.odd[np.arange(group.size), made[group.name]] < 0, -1.0, 1.0)
            value = fit(symmetries, here, made, turned)
            if value > held + GAIN * max(abs(held), abs(value)):
                now, signs, improved = made, turned, True
    return Matching(now, signs, fit(symmetries, pairs, now, signs), taken)


@dataclass(frozen=True)
class Matching:
    """Permutations and signs by group, Σ ⟨a, b moved⟩ and the number of sweeps that it took."""

    permutations: dict[str, np.ndarray]
    signs: dict[str, np.ndarray]
    value: float
    sweeps: int


def fit(
    symmetries: Symmetries, pairs: Sequence[Pair], now: Mapping[str, np.ndarray], factors: Factors | None = None
) -> float:
    """Σ ⟨a, b moved⟩ over blocks."""
    return sum(float((pair.a * symmetries.moved(pair.block, pair.b, now, factors)).sum()) for pair in pairs)
