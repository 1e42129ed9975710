"""Comparing slices of two models: an exact rank test of whether they differ by more than their directions do."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import permutation_test, rankdata

from thalweg.core.rng import Stream, stream
from thalweg.errors import InputError
from thalweg.records import Comparison, ComparisonStatus, Contrast, Profile, Slice, Surface

MOST = 20_000
"""Permutations that are enumerated, or drawn where there are more: two times 8 directions have 12,870."""

RULES = ("norm", "biases", "orthogonal")
"""What must be the same about random directions for the coordinates of two models to mean the same."""


def compare(
    first: Slice,
    second: Slice,
    *,
    level: float = 0.05,
    other_rows: bool = False,
    rng: int | Stream = 0,
) -> Comparison:
    """Whether F rises differently around two models, by more than it does from one random direction to another.

    Both are lines, or both planes, with ``repeats``. Every direction gives its mean rise at each distance from the
    centre and the distance within which it stays below half of the smaller median rise. Directions are exchanged
    between the models in all ways (or in 20,000 drawn ones), and the largest difference of mean ranks, in units of the
    ranks' spread, is compared with what that gives (Wilcoxon 1945; the maximum: Westfall & Young 1993). It asks of the
    models' own directions: two draws from one model differ at most ``level`` of the time.

    Raises
    ------
    InputError
        If the two differ in kind, rule of the directions, range, statistics or rows, or one has no repeats;
        ``other_rows=True`` lets rows of other values or shapes through.
    """
    if not 0 < level < 1:
        raise InputError(f"level={level}: a level lies between 0 and 1")
    notes = _refused(first, second, other_rows)
    distances, rise_first = first.rings
    rise_second = second.rings[1]
    low = min(float(np.median(rise[:, -1])) for rise in (rise_first, rise_second)) / 2
    columns = [rise_first, rise_second]
    if low > 0 and math.isfinite(low):
        columns = [np.column_stack([rise, _widths(distances, rise, low)]) for rise in columns]
    values = np.concatenate(columns)
    count, source = len(rise_first), stream(rng)("compare")
    p, ways, exhaustive = _tested(values, count, source)
    numbers = [_contrast(f"rise at {distances[-1]:.3g}", values, count, len(distances) - 1, p)]
    near = distances[0] ** 2 / 2  # the curvature that explains the rise at the smallest distance; ranks stay
    numbers.append(_contrast(f"curvature within {distances[0]:.3g}", values / near, count, 0, p))
    if values.shape[1] > len(distances):
        numbers.append(_contrast(f"distance to a rise of {low:.3g}", values, count, len(distances), p))
    smallest = 2 / ways if exhaustive and count * 2 == len(values) else 1 / ways
    status = (
        ComparisonStatus.TOO_FEW
        if smallest > level
        else ComparisonStatus.DIFFERENT
        if p.min() <= level
        else ComparisonStatus.ALIKE
    )
    return Comparison(
        data={
            "distances": distances,
            "rise_first": rise_first,
            "rise_second": rise_second,
            "p": p[: len(distances)],
        },
        status=status,
        cost=first.cost + second.cost,
        provenance=replace(
            first.provenance,
            method={"name": "compare", "level": level, "first": first.provenance.method},
            points=(*first.provenance.points[:1], *second.provenance.points[:1]),
            seed=f"{first.provenance.seed} and {second.provenance.seed}",
            notes=notes,
        ),
        names=_names(first, second),
        contrasts=tuple(numbers),
        p_value=float(p.min()),
        level=level,
        permutations=ways,
        exhaustive=exhaustive,
    )


def _refused(first: Slice, second: Slice, other_rows: bool) -> tuple[str, ...]:
    """Refuse slices whose difference is not the models'; what is let through all the same, as notes."""
    for name, record in (("first", first), ("second", second)):
        if not isinstance(record, (Profile, Surface)):
            raise InputError(f"the {name} is a {record.record_type} record: compare lines or planes")
        if len(record.repeats) < 2:
            raise InputError(f"the {name} has no spread over directions: draw it with repeats=8 (--repeats 8)")
    if first.record_type != second.record_type:
        raise InputError(
            f"a {first.record_type} and a {second.record_type} cannot be compared: draw both as lines or both as planes"
        )
    rules = [{key: record.directions.recipe.get(key) for key in RULES} for record in (first, second)]
    for key in RULES:
        if rules[0][key] != rules[1][key]:
            raise InputError(
                f"the directions have {key}={rules[0][key]!r} and {key}={rules[1][key]!r}: draw both by one rule"
            )
    if not np.array_equal(first.data["coordinates"], second.data["coordinates"]):
        raise InputError(
            f"the grids differ ({_grid(first)} and {_grid(second)}): draw both with the same steps and half-width; "
            "slices.shared_range finds one for both"
        )
    if not first.rings[0].size:
        raise InputError(f"the grid {_grid(first)} has no point beside the centre: draw with more steps")
    policies = [record.provenance.statistics.partition("(")[0] for record in (first, second)]
    if all(policies) and policies[0] != policies[1]:
        raise InputError(f"the statistics are {policies[0]} and {policies[1]}: draw both under one policy")
    rows = [(record.provenance.rows, record.provenance.fingerprint.data) for record in (first, second)]
    if rows[0] != rows[1] and not other_rows:
        raise InputError(
            f"the rows differ ({rows[0][0]:,} rows {rows[0][1]} and {rows[1][0]:,} rows {rows[1][1]}): evaluate both "
            "on the same, or say other_rows=True (--other-rows) where they differ in shape alone"
        )
    return () if rows[0] == rows[1] else (f"each model is on rows of its own: {rows[0][1]} and {rows[1][1]}",)


def _grid(record: Slice) -> str:
    ends = np.abs(record.data["coordinates"]).max()
    return f"{'×'.join(map(str, record.loss.shape))} to ±{ends:.6g}"


def _names(first: Slice, second: Slice) -> tuple[str, str]:
    names = [record.provenance.points[0] for record in (first, second)]
    return (names[0], names[1]) if names[0] != names[1] else (f"{names[0]} (1)", f"{names[1]} (2)")


def _widths(distances: np.ndarray, rise: np.ndarray, level: float) -> np.ndarray:
    """How far each direction stays below the level, [R], between distances by a straight line; the last if it does."""
    found = np.full(len(rise), distances[-1])
    x = np.concatenate([[0.0], distances])
    for r, row in enumerate(rise):
        y = np.concatenate([[0.0], row])
        above = np.flatnonzero(y > level)
        if above.size:
            i = int(above[0])
            share = (level - y[i - 1]) / (y[i] - y[i - 1]) if np.isfinite(y[i]) else 0.0
            found[r] = x[i - 1] + share * (x[i] - x[i - 1])
    return found


def _tested(values: np.ndarray, count: int, rng: Stream) -> tuple[np.ndarray, int, bool]:
    """The adjusted p-value of each column of values [Ra + Rb, q], Ra = count; how many permutations, and if all."""
    ranks = rankdata(values, axis=0)
    spread = ranks.std(axis=0)
    scaled = np.divide(ranks, spread, out=np.zeros_like(ranks), where=spread > 0)

    def apart(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.abs(scaled[i.astype(int)].mean(axis=-2) - scaled[j.astype(int)].mean(axis=-2))
        return found

    def largest(i: np.ndarray, j: np.ndarray, axis: int = -1) -> np.ndarray:
        found: np.ndarray = apart(np.moveaxis(i, axis, -1), np.moveaxis(j, axis, -1)).max(axis=-1)
        return found

    index = np.arange(len(values))
    ways = math.comb(len(values), count)
    options: dict[str, Any] = {"vectorized": True, "alternative": "greater", "permutation_type": "independent"}
    # Rows are permuted together: what is handed over is their numbers.
    result = permutation_test(
        (index[:count], index[count:]), largest, n_resamples=MOST, batch=1_000, random_state=rng.numpy(), **options
    )
    null, exhaustive = np.asarray(result.null_distribution), ways <= MOST
    observed = apart(index[:count], index[count:])
    beyond = (null[:, None] >= observed - 1e-9).sum(axis=0)
    p = beyond / len(null) if exhaustive else (beyond + 1) / (len(null) + 1)
    return p, len(null), exhaustive


def _contrast(name: str, values: np.ndarray, count: int, column: int, p: np.ndarray) -> Contrast:
    first, second = values[:count, column], values[count:, column]
    above = (first[:, None] > second).mean() + (first[:, None] == second).mean() / 2
    return Contrast(name, float(np.median(first)), float(np.median(second)), float(above), float(p[column]))
