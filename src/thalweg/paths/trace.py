"""F along a curve, its maximum with the guarantee, and what that says about the level: how every path ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.metered import Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.segment import Segment
from thalweg.core.space import Point
from thalweg.core.spline import search
from thalweg.paths.curve import Curve, Polyline
from thalweg.paths.ends import default_level
from thalweg.records import Bracket, Guarantee, Path, PathStatus

STEPS = 60
"""Intervals of the profile of a path; knots are always among its points."""

TOL = 1e-4
"""Relative error to which an adaptive maximum is refined; the level's own margin is 5 %."""

MOST = 33
"""Evaluations that the maximum of one piece of a path may take."""


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

    ``objective`` carries the meter of the search; what is evaluated here is added to the cost and never refused by
    the budget. ``maximum`` is a bracket that is known already, such as a certificate; ``pieces`` are the maxima of
    every piece, where the search has them; ``lower_bound`` is what every path must reach. ``arrays`` is kept beside the
    profile. SEPARATED is said where the lower bound is above the level; CONNECTED where the bracket's upper side, or
    what was evaluated where it has none, is at most the level; ``status`` overrules both.
    """
    free, counted = _free(objective)
    view = free.at(*points)
    assert isinstance(view, Metered)
    bound = _ends(view, points)
    level = default_level(*bound) if level is None else float(level)
    t = grid(curve, steps)
    data = along(view, curve, t)
    data |= {"knots": curve.knots.cpu().numpy(), "distance": curve.distances(t).numpy()}
    if isinstance(curve, Polyline):
        data["times"] = curve.times.numpy()
    if maximum is None:
        pieces = maxima(view, curve, tol) if pieces is None else pieces
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
    data |= _tested(free, points, curve, t)
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


def grid(curve: Curve, steps: int = STEPS) -> Tensor:
    """Values of t [m] for a profile: about ``steps`` intervals shared out by length, a polyline's knots among them."""
    if not isinstance(curve, Polyline):
        return torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    lengths = curve.segments()
    share = lengths / lengths.sum() if lengths.sum() > 0 else torch.full_like(lengths, 1 / len(lengths))
    parts = []
    for k, part in enumerate(share.tolist()):
        count = max(2, math.ceil(steps * part))
        parts.append(torch.linspace(float(curve.times[k]), float(curve.times[k + 1]), count + 1, dtype=torch.float64))
    return torch.cat([*(p[:-1] for p in parts), parts[-1][-1:]])


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


def maxima(objective: Objective, curve: Curve, tol: float = TOL) -> list[Piece]:
    """The maximum of F over every segment of a polyline, or over equal spans of t of another curve, in order."""
    if isinstance(curve, Polyline):
        return [_segment(objective, curve, k, tol) for k in range(len(curve.knots) - 1)]
    spans = len(curve.knots) - 1
    return [_span(objective, curve, k / spans, (k + 1) / spans, tol) for k in range(spans)]


def _segment(objective: Objective, curve: Polyline, k: int, tol: float) -> Piece:
    found = Segment(objective, curve.knots[k], curve.knots[k + 1]).max(tol, most=MOST)
    low, high = float(curve.times[k]), float(curve.times[k + 1])
    return Piece(found.bracket, low + found.t * (high - low), found.reason)


def _span(objective: Objective, curve: Curve, low: float, high: float, tol: float) -> Piece:
    subspace = objective.restrict(curve.knots[0], curve.directions)

    def values(s: np.ndarray) -> np.ndarray:
        t = torch.from_numpy(low + (high - low) * s)
        return subspace.evaluate(curve.basis(t)[:, 1:])["loss"].cpu().numpy()

    found = search(values, tol, MOST)
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
    """The objective on a meter without a budget, and the one it came on, if any."""
    if isinstance(objective, Metered):
        return Metered(objective.objective), objective
    return Metered(objective), None


def _ends(view: Objective, points: Sequence[Point]) -> tuple[float, float]:
    first, last = (float(view.losses(view.space.check(p.theta)[None])[0]) for p in (points[0], points[-1]))
    return first, last


def _tested(free: Metered, points: Sequence[Point], curve: Curve, t: Tensor) -> dict[str, np.ndarray]:
    """``test_loss`` and ``test_`` with each metric along the curve, where the objective has test rows."""
    test = getattr(free.objective, "test", None)
    if test is None:
        return {}
    view = Metered(test, meter=free.meter, share=test.row_count / free.row_count).at(*points)
    return {f"test_{name}": x for name, x in along(view, curve, t).items() if name != "t"}
