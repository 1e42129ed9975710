"""Freeman & Bruna 2017, Figure 2: length and beads of strings between 1-4-4-1 regressions, against the level."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.core.baseline import baselines
from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator, Inline
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream, stream
from thalweg.descent import Adam, Descent
from thalweg.errors import InputError
from thalweg.paths import Polyline, StringSearch
from thalweg.paths.growth import Growth
from thalweg.paths.resume import State, Within, part, respend, spent
from thalweg.paths.strings import String
from thalweg.records import Finding, Reproduction, RunStatus
from thalweg.records.reproductions import outcome
from thalweg.reproductions.base import Published

Task = Literal["quadratic", "cubic"]

LENGTH: Mapping[Task, Mapping[float, tuple[float, float]]] = {
    "quadratic": {
        0.001: (1.863, 0.155), 0.0025: (1.753, math.nan), 0.005: (1.661, math.nan), 0.0075: (1.650, math.nan),
        0.01: (1.476, 0.105), 0.025: (1.329, 0.07), 0.05: (1.366, 0.09), 0.075: (1.291, math.nan),
        0.1: (1.346, math.nan), 0.125: (1.270, 0.05),
    },
    "cubic": {
        0.01: (1.872, math.nan), 0.05: (1.428, math.nan), 0.1: (1.382, math.nan), 0.2: (1.004, math.nan),
        0.32: (1.003, math.nan),
    },
}  # fmt: skip
"""Normalised length with half its error bar where that was read, digitised from the vector figures."""

BEADS: Mapping[Task, Mapping[float, float]] = {
    "quadratic": {
        0.001: 62.4, 0.0025: 38.3, 0.005: 23.5, 0.0075: 18.8, 0.01: 13.8, 0.025: 8.17, 0.05: 6.81, 0.075: 5.40,
        0.1: 5.04, 0.125: 3.98,
    },
    "cubic": {0.01: 46.3, 0.05: 14.1, 0.1: 7.61, 0.2: 3.20, 0.32: 3.11},
}  # fmt: skip
"""Number of beads with both ends, digitised likewise."""

SHARE = 0.12
"""A mean agrees within this share of the published one, or within two combined standard errors."""

ROUNDS = 4
"""How often ends that did not get down are drawn anew."""


@dataclass(frozen=True)
class FreemanBruna(Published):
    """``pairs`` strings at each ``level`` (one, or several; "published" for all of the figure) of a ``task``.

    The authors' settings: f(x) = x²/2 + x/4 + 1/10 with sigmoid units, a sigmoid output and no biases, or
    f(x) = 8x³ − 10x² + 3x with biases and a linear output; mean absolute error; weights uniform on [−1, 1], biases
    standard normal; Adam at 1e-3 on all rows. Ends stop at L0, beads at 0.95 L0; the first bead comes before any test;
    segments are accepted up to 1.1 L0 at 100 even points; beads start in the middle; depth 10. Lengths are of weights
    alone. ``rows`` even points of [0, 1] stand for their 10,000 uniform ones. A bead or an end that does not get down
    in ``max_steps`` ends its pair, where theirs went on for ever.

    Raises
    ------
    InputError
        If the task is unknown, a level is not positive, or a number below its least.
    """

    task: Task = "quadratic"
    level: float | tuple[float, ...] | list[float] | str = 0.1
    pairs: int = 24
    rows: int = 300
    max_steps: int = 20_000

    def __post_init__(self) -> None:
        if self.task not in LENGTH:
            raise InputError(f"task={self.task!r}: choose {' or '.join(LENGTH)}")
        if isinstance(self.level, str) and self.level != "published":
            raise InputError(f'level={self.level!r}: give a number, several as [0.1,0.05], or "published"')
        if not all(isinstance(x, (int, float)) and 0 < x < math.inf for x in self.levels):
            raise InputError(f"level={self.level}: levels are positive numbers")
        for name, least in (("pairs", 2), ("rows", 10), ("max_steps", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name}={getattr(self, name)}: at least {least} is needed")

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels, the highest first."""
        if self.level == "published":
            return tuple(sorted(LENGTH[self.task], reverse=True))
        given = self.level if isinstance(self.level, (tuple, list)) else (self.level,)
        return tuple(sorted(given, reverse=True))  # type: ignore[arg-type]

    @property
    def method(self) -> StringSearch:
        """The search with the options of the authors' code."""
        return StringSearch(
            insert="middle", alpha=0.95, slack=1.1, depth=10, beads=2**10 + 1, force_first=True, grid=100,
            rule=Adam(1e-3), max_steps=self.max_steps, hessian=False,
        )  # fmt: skip

    def subject(self, rng: int | Stream = 0, widths: tuple[int, ...] = (1, 4, 4, 1)) -> EmpiricalRisk:
        """The regression; its parameters are those of torch's own initialisation and are not used."""
        cubic = self.task == "cubic"
        layers: list[nn.Module] = []
        with torch.random.fork_rng():
            torch.manual_seed(stream(rng)("module").entropy)
            for n, m in itertools.pairwise(widths):
                layers += [nn.Linear(n, m, bias=cubic), nn.Sigmoid()]
        model = nn.Sequential(*(layers[:-1] if cubic else layers))
        x = (torch.arange(self.rows, dtype=torch.float64)[:, None] + 0.5) / self.rows
        y = 8 * x**3 - 10 * x**2 + 3 * x if cubic else 0.5 * x**2 + 0.25 * x + 0.1
        return EmpiricalRisk(model, lambda z, t: (z - t).abs(), (x.float(), y.float()))

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Every level in turn; an interrupted study goes on within a level."""
        source, keeper = stream(rng)("freeman_bruna"), evaluate or Inline()
        objective = Metered(self.subject(rng), budget)
        kept = keeper.restore() or {}
        done = {name: x for name, x in kept.items() if name.startswith("level ")}
        if "cost" in kept:
            respend(objective.meter, kept["cost"])
        for i, level in enumerate(self.levels):
            if f"level {i}/length" in done:
                continue
            work = _Level(self, objective, level, source("level", level))
            found = work.run(keeper, i, done, kept)
            done |= {f"level {i}/{name}": x for name, x in found.items()}
            keeper.checkpoint({**done, "cost": spent(objective.meter)})
        return self._record(objective, [part(done, f"level {i}") for i in range(len(self.levels))], source)

    def _record(self, objective: Metered, found: list[State], rng: Stream) -> Reproduction:
        rows: list[Finding] = []
        curves: dict[str, dict[str, list[float]]] = {
            name: {key: [] for key in ("x", "published", "ours", "error")} for name in ("length", "beads")
        }
        for level, at in zip(self.levels, found, strict=True):
            tail = f"@{level:g}" if len(found) > 1 else ""
            published = {
                "length": LENGTH[self.task].get(level, (math.nan, math.nan)),
                "beads": (BEADS[self.task].get(level, math.nan), math.nan),
            }
            for name in ("length", "beads"):
                ours, error = _mean(at[name])
                theirs, bar = published[name]
                rows.append(_finding(name + tail, self.task, ours, error, theirs, bar))
                for key, value in (("x", level), ("published", theirs), ("ours", ours), ("error", 2 * error)):
                    curves[name][key].append(value)
            total = len(at["failed"])
            share = len(at["length"]) / total
            half = 2 * math.sqrt(share * (1 - share) / total)
            rows.append(
                Finding(f"connected{tail}", "§4.1", None, share, (max(0.0, share - half), min(1.0, share + half)))
            )
        data = {f"level{i}.{name}": x for i, at in enumerate(found) for name, x in at.items()}
        if len(found) > 1:
            for name, curve in curves.items():
                data |= {f"{name}.{key}": np.array(values) for key, values in curve.items()}
        return Reproduction(
            data=data,
            status=outcome(tuple(rows)),
            cost=objective.meter.read(),
            provenance=provenance(objective, self, (), rng),
            paper="Freeman & Bruna 2017",
            rows=tuple(rows),
            rule=f"within {SHARE:.0%} of the published mean, or within two combined standard errors",
            x_label="level L0",
            curves=tuple(curves) if len(found) > 1 else (),
            marks=self._marks(rng),
            notes=self._notes(found, curves),
        )

    def _marks(self, rng: Stream) -> dict[str, float]:
        """Levels that explain features of the curve: L0 below which a bead, or a segment, must beat a simple predictor.

        Beads are trained to 0.95 L0 and segments accepted up to 1.1 L0. Where a bead need not beat the best constant,
        it stops beside the straight segment; where it must, it leaves the plateau of constants and goes far.
        """
        plain = baselines(self.subject(rng))
        narrow = self.subject(rng, (1, 1, 1, 1))
        run = Descent(Adam(1e-2), steps=3000, every=3000)(narrow, _drawn(narrow, 8, rng("one unit")), rng=rng)
        named = {**plain, "one unit a layer": float(run.final_loss.min())}
        search = self.method
        beads = {f"beads must beat: {name}": value / search.alpha for name, value in named.items()}
        return beads | {f"segments must beat: {name}": value / search.slack for name, value in named.items()}

    def _notes(self, found: list[State], curves: Mapping[str, Mapping[str, list[float]]]) -> tuple[str, ...]:
        said = [f"{self.rows} even points stand for the authors' 10,000 uniform ones; {self.pairs} pairs a level."]
        for level, at in zip(self.levels, found, strict=True):
            counts = np.bincount(at["failed"].astype(int), minlength=4)
            if len(at["length"]) < len(at["failed"]):
                said.append(
                    f"At {level:g}, {counts[1]} pairs had a bead that stayed above the level, "
                    f"{counts[2]} used up the depth, {counts[3]} ended otherwise; means are over the others, as theirs."
                )
        x, y = np.log(curves["length"]["x"]), np.array(curves["length"]["ours"])
        fine = np.isfinite(y)
        if fine.sum() >= 3:
            slope, start = np.polyfit(x[fine], y[fine], 1)
            said.append(f"Fitted length: {start:.3g} − {-slope:.3g}·ln(level).")
        return tuple(said)


class _Level:
    """All pairs of one level: ends, then strings, in one batch each."""

    def __init__(self, settings: FreemanBruna, objective: Metered, level: float, rng: Stream) -> None:
        self.settings, self.objective, self.level, self.rng = settings, objective, level, rng

    def run(self, keeper: Evaluator, i: int, done: State, kept: Mapping[str, np.ndarray]) -> State:
        """Length, beads and failures of the pairs."""
        head = f"ends {i}"
        ends = torch.from_numpy(np.array(kept[head])) if head in kept else torch.empty(0)
        for round_ in range(0 if head in kept else ROUNDS):
            missing = 2 * self.settings.pairs - len(ends)
            if not missing:
                break
            inner = Within(keeper, f"descent {i} {round_}", lambda: done, kept)
            descent = Descent(Adam(1e-3), self.settings.max_steps, every=self.settings.max_steps, stop_loss=self.level)
            run = descent(
                self.objective, _drawn(self.objective, missing, self.rng("ends", round_)), rng=self.rng, evaluate=inner
            )
            down = np.array([ending is RunStatus.LOSS for ending in run.endings])
            ends = torch.cat([ends, torch.from_numpy(run.final[down])])
        usable = len(ends) // 2
        if not usable:
            raise InputError(
                f"level={self.level:g}: no two networks got down to it in {self.settings.max_steps} steps; "
                "raise max_steps or the level"
            )
        inner = Within(keeper, f"strings {i}", lambda: {**done, head: ends.numpy()}, kept)
        rules = self.settings.method.rules(self.level)
        pairs = ends[: 2 * usable].reshape(usable, 2, -1).to(self.objective.space.dtype)
        strings = Growth(rules, self.objective, pairs, self.rng, inner).run()
        return self._measured(strings)

    def _measured(self, strings: list[String]) -> State:
        weights = torch.zeros(self.objective.space.size)
        for entry in self.objective.space.entries:
            weights[entry.span] = float(entry.name.endswith("weight"))
        fine = [string for string in strings if not string.failure]
        words = {"": 0, "stuck": 1, "depth": 2}
        depth = [bead.depth for string in fine for bead in string.beads]
        return {
            "length": np.array([Polyline(string.knots).normalised_length(weights) for string in fine]),
            "beads": np.array([len(string.order) for string in fine], dtype=np.float64),
            "failed": np.array([words.get(string.failure, 3) for string in strings]),
            "added": np.bincount(depth, minlength=2)[1:].astype(np.float64) / max(len(fine), 1),
        }


def _drawn(objective: Objective, count: int, rng: Stream) -> Tensor:
    """Starting points: weights uniform on [−1, 1], biases standard normal, [count, P]."""
    generator = rng.torch()
    theta = torch.empty(count, objective.space.size, dtype=objective.space.dtype)
    for entry in objective.space.entries:
        shape = (count, entry.span.stop - entry.span.start)
        if entry.name.endswith("weight"):
            theta[:, entry.span] = (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1).to(theta)
        else:
            theta[:, entry.span] = torch.randn(shape, generator=generator, dtype=torch.float64).to(theta)
    return theta


def _mean(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard error; NaN of what is not there."""
    if not len(values):
        return math.nan, math.nan
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def _finding(claim: str, task: str, ours: float, error: float, theirs: float, bar: float) -> Finding:
    known, found = math.isfinite(theirs), math.isfinite(ours)
    both = 2 * math.hypot(error if math.isfinite(error) else 0.0, bar if math.isfinite(bar) else 0.0)
    agrees = abs(ours - theirs) <= max(SHARE * theirs, both) if known and found else (False if known else None)
    interval = (ours - 2 * error, ours + 2 * error) if math.isfinite(error) else None
    source = f"Figure 2, {task} regression (digitised)"
    return Finding(claim, source, theirs if known else None, ours, interval, agrees)
