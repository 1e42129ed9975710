"""F along a curve, its maximum with the guarantee, and what that says about the level: how every path ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.segment import Segment
from thalweg.core.space import Point
from thalweg.core.spline import search
from thalweg.errors import BudgetSpent
from thalweg.paths.curve import Curve, Polyline
from thalweg.paths.ends import default_level
from thalweg.records import Bracket, Guarantee, Path, PathStatus

STEPS = 60
"""Intervals of the profile of a path; knots are always among its points."""

TOL = 1e-4
"""Relative error to which an adaptive maximum is refined; the level's own margin is 5 %."""

MOST = 33
"""Evaluations that the maximum of one piece of a path may take."""

LEAST = 4
"""Fewer evaluations refine nothing."""


@dataclass(frozen=True)
class Piece:
    """The maximum over one piece of a curve: its bracket, the curve's t where its lower side was evaluated, and why."""

    bracket: Bracket
    t: float
    reason: str


def traced(
    method: Any,
    objective: Objective,
    points: Sequence[Point],
    curve: Curve,
    level: float | None,
    rng: Stream,
    *,
    name: str,
    evidence: Sequence[str] = (),
    lower_bound: float | None = None,
    maximum: Bracket | None = None,
    pieces: Sequence[Piece] | None = None,
    status: PathStatus | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    baselines: Mapping[str, float] | None = None,
    statistics: str | None = None,
    steps: int = STEPS,
    tol: float = TOL,
) -> Path:
    """The record of a curve between ``points``: profile, maximum, length and verdict.

    ``objective`` carries the meter of the search; what is evaluated here is added to the cost. Of a budget in gradients
    it takes what is left, the part that was set aside included: half for the profile, the rest to refine the maxima of
    the highest pieces. ``maximum`` is a bracket that is known already, such as a certificate; ``pieces`` are the maxima
    of every piece, where the search has them; ``lower_bound`` is what every path must reach. ``arrays`` is kept beside
    the profile. SEPARATED is said where the lower bound is above the level; CONNECTED where the bracket's upper side,
    or what was evaluated where it has none, is at most the level; ``status`` overrules both.
    """
    free, counted = _free(objective)
    view = free.at(*points)
    assert isinstance(view, Metered)
    bound = _ends(view, points)
    level = default_level(*bound) if level is None else float(level)
    test = _test(free, points)
    t = _affordable(view, test, curve, steps)
    data = along(view, curve, t)
    data |= {"knots": curve.knots.cpu().numpy(), "distance": curve.distances(t).numpy()}
    if isinstance(curve, Polyline):
        data["times"] = curve.times.numpy()
    if maximum is None:
        tested = 0.0 if test is None else _units(test, len(t))
        with free.meter.keeping(tested):
            pieces = maxima(view, curve, tol, data) if pieces is None else pieces
        top = together([p.bracket for p in pieces], data["loss"], view.tolerance)
    else:
        pieces, top = [], together([maximum], data["loss"], view.tolerance)
    said = list(evidence)
    odd = int((~np.isfinite(data["loss"])).sum())
    if odd:
        said.append(f"F is not finite at {odd} of {len(t)} points of the path.")
    if pieces:
        data["piece_max"] = np.array([math.nan if p.bracket.lower is None else p.bracket.lower for p in pieces])
        data["piece_t"] = np.array([p.t for p in pieces])
        said.append(_maximum_said(pieces))
    if test is not None:
        data |= {f"test_{name}": x for name, x in along(test, curve, t).items() if name != "t"}
    spent = view.meter.read()
    cost = spent if counted is None else counted.meter.read() + replace(spent, seconds=0.0)  # that clock still runs
    verdict = judged(top, level, lower_bound, bool(odd)) if status is None else status
    return Path(
        data={**data, **(arrays or {})},
        status=verdict,
        cost=cost,
        provenance=provenance(view, method, points, rng, statistics=statistics),
        method=name,
        curve=curve.kind,
        level=level,
        maximum=top,
        ends=bound,
        length=curve.normalised_length(),
        straight=curve.straight,
        metrics=tuple(objective.metrics),
        lower_bound=lower_bound,
        baselines=dict(baselines or {}),
        evidence=tuple(said),
    )


def judged(top: Bracket, level: float, lower_bound: float | None = None, odd: bool = False) -> PathStatus:
    """What a path's maximum and a lower bound on every path say about the level; ``odd``: F is not finite on it."""
    if lower_bound is not None and lower_bound > level:
        return PathStatus.SEPARATED
    return PathStatus.CONNECTED if not odd and within(top, level) else PathStatus.INCONCLUSIVE


def within(top: Bracket, level: float) -> bool:
    """Whether a maximum is at most the level: its upper side, or the evaluated one where there is no other."""
    highest = top.lower if top.upper is None else top.upper
    return highest is not None and highest <= level + top.slack


def grid(curve: Curve, steps: int = STEPS, least: int = 2) -> Tensor:
    """Values of t [m] for a profile: about ``steps`` intervals shared out by length, a polyline's knots among them.

    Each segment of a polyline has at least ``least`` intervals.
    """
    if not isinstance(curve, Polyline):
        return torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    lengths = curve.segments()
    share = lengths / lengths.sum() if lengths.sum() > 0 else torch.full_like(lengths, 1 / len(lengths))
    parts = []
    for k, part in enumerate(share.tolist()):
        count = max(least, math.ceil(steps * part))
        parts.append(torch.linspace(float(curve.times[k]), float(curve.times[k + 1]), count + 1, dtype=torch.float64))
    return torch.cat([*(p[:-1] for p in parts), parts[-1][-1:]])


def _affordable(view: Metered, test: Metered | None, curve: Curve, steps: int) -> Tensor:
    """The finest of the grids from ``steps`` intervals downwards that takes half of what is left, or the coarsest."""
    each = _units(view, 1) + (0.0 if test is None else _units(test, 1))
    for most in (steps, *(math.ceil(steps * 0.8**k) for k in range(1, 20))):
        if len(t := grid(curve, max(2, most))) * each <= view.meter.left / 2:
            return t
    return grid(curve, 2, least=1)


def _units(objective: Metered, points: int) -> float:
    """What values at so many points cost, in gradients."""
    return objective.forwards(points).units


def along(objective: Objective, curve: Curve, t: Tensor) -> dict[str, np.ndarray]:
    """F as ``loss`` and every metric at t [m], increasing, each float64 [m]; and t itself.

    A polyline is evaluated segment by segment, each a line on the fast road of ``restrict``.
    """
    if isinstance(curve, Polyline):
        piece, share, _ = curve.located(t)
        parts = []
        for k in torch.unique_consecutive(piece).tolist():
            here, a, b = piece == k, curve.knots[k], curve.knots[k + 1]
            parts.append(objective.restrict(a, (b - a)[None]).evaluate(share[here, None]))
    else:
        parts = [objective.restrict(curve.knots[0], curve.directions).evaluate(curve.basis(t)[:, 1:])]
    found = {name: np.concatenate([part[name].cpu().numpy() for part in parts]) for name in parts[0]}
    return {"t": t.numpy(), **found}


def maxima(
    objective: Objective, curve: Curve, tol: float = TOL, profile: Mapping[str, np.ndarray] | None = None
) -> list[Piece]:
    """The maximum of F over every segment of a polyline, or over equal spans of t of another curve, in order.

    With a ``profile`` ("t" and "loss" [m]) the highest pieces come first, and those that the budget leaves no room for
    have what the profile shows; without one it ends the work.

    Raises
    ------
    BudgetSpent
        If there is no profile and the budget ends.
    """
    poly, count = isinstance(curve, Polyline), len(curve.knots) - 1
    times = curve.times.numpy() if isinstance(curve, Polyline) else np.linspace(0, 1, count + 1)

    def refined(k: int, most: int) -> Piece:
        if poly:
            return _segment(objective, curve, k, tol, most)  # type: ignore[arg-type]
        return _span(objective, curve, float(times[k]), float(times[k + 1]), tol, most)

    if profile is None:
        return [refined(k, MOST) for k in range(count)]
    seen = [_shown(profile, float(low), float(high), objective.tolerance) for low, high in pairwise(times)]
    heights = [-math.inf if p.bracket.lower is None else p.bracket.lower for p in seen]
    for done, k in enumerate(sorted(range(count), key=lambda k: -heights[k])):
        most = _room(objective, count - done)
        if most < LEAST:
            break
        with suppress(BudgetSpent):  # between what was afforded and what a closed form asks for
            seen[k] = refined(k, most)
    return seen


def _room(objective: Objective, pieces: int) -> int:
    """Evaluations that a piece may take where as many pieces share what is left."""
    if not isinstance(objective, Metered) or math.isinf(objective.meter.left):
        return MOST
    forwards = objective.meter.left / max(objective.forwards(1).units, 1e-12)
    return min(MOST, max(int(forwards / pieces), min(LEAST, int(forwards))))


def _shown(profile: Mapping[str, np.ndarray], low: float, high: float, tolerance: float) -> Piece:
    """What a profile shows of the piece from t = low to high."""
    inside = (profile["t"] >= low - 1e-12) & (profile["t"] <= high + 1e-12)
    t, losses = profile["t"][inside], profile["loss"][inside]
    if not np.isfinite(losses).any():
        return Piece(Bracket(None, None), (low + high) / 2, "no value is finite")
    best = int(np.argmax(np.where(np.isfinite(losses), losses, -np.inf)))
    value = float(losses[best])
    slack = tolerance * abs(value)
    reason = f"the budget ended before it was refined, at {len(t)} points of the piece"
    return Piece(Bracket(value, None, Guarantee.EXACT, None, slack), float(t[best]), reason)


def _segment(objective: Objective, curve: Polyline, k: int, tol: float, most: int) -> Piece:
    found = Segment(objective, curve.knots[k], curve.knots[k + 1]).max(tol, most=most)
    low, high = float(curve.times[k]), float(curve.times[k + 1])
    return Piece(found.bracket, low + found.t * (high - low), found.reason)


def _span(objective: Objective, curve: Curve, low: float, high: float, tol: float, most: int) -> Piece:
    subspace = objective.restrict(curve.knots[0], curve.directions)

    def values(s: np.ndarray) -> np.ndarray:
        t = torch.from_numpy(low + (high - low) * s)
        return subspace.evaluate(curve.basis(t)[:, 1:])["loss"].cpu().numpy()

    found = search(values, tol, most)
    finite = np.where(np.isfinite(found.values), found.values, -np.inf)
    best = int(np.argmax(finite))
    t, value = low + (high - low) * float(found.ts[best]), float(found.values[best])
    scale = float(np.abs(found.values).max())
    if not math.isfinite(value):
        return Piece(Bracket(None, None), t, "no value is finite")
    if math.isfinite(scale) and found.remaining <= tol * scale:
        sides = (value, value + found.remaining, Guarantee.EXACT, Guarantee.ADAPTIVE)
        return Piece(Bracket(*sides, slack=objective.tolerance * scale), t, "refined by a spline")
    slack = objective.tolerance * abs(value)
    reason = f"an error of {found.remaining:.3g} is estimated to remain"
    return Piece(Bracket(value, None, Guarantee.EXACT, None, slack), t, reason)


def together(brackets: Sequence[Bracket], profile: np.ndarray, tolerance: float) -> Bracket:
    """The maximum over all pieces; a profile that rises above an estimate leaves it without an upper side."""
    lows = [b.lower for b in brackets if b.lower is not None]
    if not lows:
        return Bracket(None, None)
    low, slack = max(lows), max(b.slack for b in brackets)
    guarantees = [b.upper_guarantee for b in brackets if b.upper is not None and b.upper_guarantee is not None]
    highs = [b.upper for b in brackets if b.upper is not None]
    seen = float(profile[np.isfinite(profile)].max(initial=-math.inf))
    if len(highs) < len(brackets):
        return Bracket(max(low, seen), None, Guarantee.EXACT, None, slack)
    weakest = min(guarantees, key=lambda g: g.strength, default=Guarantee.SAMPLED)
    proved = weakest in (Guarantee.EXACT, Guarantee.CERTIFIED)  # of F in float64: values may differ by rounding
    if not proved and seen > max(highs) + slack + tolerance * abs(seen):
        return Bracket(seen, None, Guarantee.EXACT, None, slack)
    if weakest is not Guarantee.EXACT:
        low = max(low, min(seen, max(highs))) if proved else max(low, seen)
    return Bracket(low, max(low, *highs), Guarantee.EXACT, weakest, slack)


def _maximum_said(pieces: Sequence[Piece]) -> str:
    top = max(pieces, key=lambda p: -math.inf if p.bracket.lower is None else p.bracket.lower)
    return f"The largest F was evaluated at t = {top.t:.4g}: {top.reason}."


def _free(objective: Objective) -> tuple[Metered, Metered | None]:
    """The objective on a meter with what is left of the gradients, and the one it came on, if any."""
    if not isinstance(objective, Metered):
        return Metered(objective), None
    objective.meter.kept = 0.0  # it was kept for this
    left = objective.meter.left
    return Metered(objective.objective, Budget() if math.isinf(left) else Budget(max(left, 1e-9))), objective


def _ends(view: Objective, points: Sequence[Point]) -> tuple[float, float]:
    first, last = (float(view.losses(view.space.check(p.theta)[None])[0]) for p in (points[0], points[-1]))
    return first, last


def _test(free: Metered, points: Sequence[Point]) -> Metered | None:
    """The test rows with the policy for these points, on the same meter; None where there are none."""
    test = free.test
    if test is None:
        return None
    view = test.at(*points)
    assert isinstance(view, Metered)
    return view
