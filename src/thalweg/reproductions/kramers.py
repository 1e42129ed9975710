"""Kramers' law: escape times against the barrier's height and, at fixed height, against the eigenvalue at its top."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.function import Function
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.descent import SGLD, Noise
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.records.reproductions import Panel, outcome
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import check_counts
from thalweg.reproductions.parts import Parts
from thalweg.reproductions.passages import slope
from thalweg.zoo.wells import mean_passage_time


@dataclass(frozen=True)
class Kramers(Published):
    """Langevin steps across h(u² − 1)²(1 + c·u²), u = x/s, until the other minimum: ``walkers`` from −s for each well.

    At the top lies h and the curvature −2h(2 − c)/s², at the minima 8h(1 + c)/s². ``barriers`` varies h/T with s² = h,
    which keeps both; ``tops`` varies c with s² = 1 + c, which keeps the minima's; ``widths`` varies s and scales both.
    The exact mean is a quadrature (:func:`thalweg.zoo.wells.mean_passage_time`). A step is ``step`` over the curvature.

    Raises
    ------
    InputError
        If there are fewer than 3 of a kind or 20 walkers, or a number is out of range.
    """

    paper: ClassVar[str] = "Chen 2016, “Saddle points”; Kramers 1940"
    seconds: ClassVar[int] = 60

    barriers: tuple[float, ...] | list[float] = (1.5, 2.0, 2.5, 3.0)
    tops: tuple[float, ...] | list[float] = (0.0, 0.5, 1.0, 1.4)
    widths: tuple[float, ...] | list[float] = (0.7, 1.0, 1.4, 2.0)
    fixed: float = 1.5
    walkers: int = 200
    step: float = 0.06

    def __post_init__(self) -> None:
        check_counts(20, walkers=self.walkers)
        for name in ("barriers", "tops", "widths"):
            if len(set(getattr(self, name))) < 3:
                raise InputError(f"{name}={getattr(self, name)}: at least 3 different values give an exponent")
        if min(*self.barriers, *self.widths, self.fixed) <= 0 or not 0 <= min(self.tops) <= max(self.tops) < 2:
            raise InputError(
                f"barriers={self.barriers}, widths={self.widths}, tops={self.tops}: positive; tops in [0, 2)"
            )
        if not 0 < self.step <= 0.2:
            raise InputError(f"step={self.step}: between 0 and 0.2, or steps are no path of the equation")

    def subject(self, rng: int | Stream = 0) -> Objective:
        """The plain double well."""
        return _well(1.0, 0.0, 1.0)

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Every well, with its exact time and Kramers' formula; T = 1."""
        source, objective = stream(rng)("kramers"), self.subject(rng)
        meter = Metered(objective, budget).meter
        kinds: dict[str, list[tuple[float, float, float]]] = {
            "barrier": [(h, 0.0, math.sqrt(h)) for h in self.barriers],
            "top": [(self.fixed, c, math.sqrt(1 + c)) for c in self.tops],
            "width": [(self.fixed, 0.0, s) for s in self.widths],
        }
        parts = Parts(evaluate, meter, sum(map(len, kinds.values())))
        data: dict[str, np.ndarray] = {}
        rows: list[Finding] = []
        for kind, wells in kinds.items():
            times = [
                parts(f"{kind}{i}", partial(self._simulated, well, meter, source(kind, i)))["times"]
                for i, well in enumerate(wells)
            ]
            data |= self._table(kind, wells, times)
            rows += [self._exact(kind, i, data) for i in range(len(wells))]
        rows += self._exponents(data)
        found = tuple(rows)
        sheet = "Mean time to cross a barrier: simulated, exact and by Kramers' formula (T = 1, logarithms)"
        return Reproduction(
            data=data,
            status=outcome(found),
            cost=meter.read(),
            provenance=provenance(objective, self, (), source),
            paper=self.paper,
            rows=found,
            rule="means within intervals of 99.7 % of the quadrature; exponents within three standard errors",
            panels=tuple(
                Panel(sheet, 0, i, tuple(f"{kind}.{n}" for n in ("points", "exact", "formula")), x=f"{kind}.x",
                      labels=("simulated", "exact", "Kramers"), linear=True, title=title, text=text)
                for i, (kind, title, text) in enumerate((
                    ("barrier", "height", "barrier / T"),
                    ("top", "eigenvalue, wells kept", "ln |λ|"),
                    ("width", "all curvatures together", "ln |λ|"),
                ))
            ),
            notes=(
                "The sentence, an inverse proportion, names no dynamics and no other curvature. In one dimension "
                "Kramers' formula is 2π/√(U''(minimum)·|λ|)·e^{barrier/T}.",
                f"Euler steps of {self.step:g} over the largest curvature at a minimum or the top; times are in units "
                "of the equation.",
            ),
        )  # fmt: skip

    def _simulated(self, well: tuple[float, float, float], meter: Any, rng: Stream) -> dict[str, np.ndarray]:
        """Times [walkers] at which the other minimum is reached; every walker is followed until it is."""
        h, c, s = well
        objective = Metered(_well(*well), meter=meter)
        dt = self.step * s**2 / (h * max(8 * (1 + c), 2 * (2 - c)))
        rule = SGLD(temperature=1.0, lr=dt)
        theta = torch.full((self.walkers, 1), -s, dtype=torch.float64)
        left, times = np.arange(self.walkers), np.zeros(self.walkers)
        state, noise = rule.init(objective, theta), Noise.numbered(rng, 0, self.walkers)
        while len(left):
            state, _ = rule.step(objective, replace(state, noise=noise))
            there = (state.theta[:, 0] >= s).numpy()
            if there.any():
                times[left[there]] = state.count * dt
                stay = np.flatnonzero(~there)
                left, noise = left[stay], noise.some(stay)
                state = replace(state, theta=state.theta[torch.from_numpy(stay)])
        return {"times": times}

    def _table(self, kind: str, wells: list[tuple[float, float, float]], times: list[np.ndarray]) -> dict[str, Any]:
        means = np.array([t.mean() for t in times])
        x = [h if kind == "barrier" else math.log(_top(h, c, s)) for h, c, s in wells]
        table = {
            "x": np.array(x), "points": np.log(means), "times": np.stack(times),
            "error": np.array([t.std(ddof=1) / t.mean() / math.sqrt(len(t)) for t in times]),
            "exact": np.log([_exact_time(w) for w in wells]), "formula": np.log([_formula(w) for w in wells]),
        }  # fmt: skip
        return {f"{kind}.{name}": values for name, values in table.items()}

    def _exact(self, kind: str, i: int, data: dict[str, np.ndarray]) -> Finding:
        exact, ours, error = (math.exp(data[f"{kind}.exact"][i]), math.exp(data[f"{kind}.points"][i]),
                              data[f"{kind}.error"][i])  # fmt: skip
        about = (ours * (1 - 3 * error), ours * (1 + 3 * error))
        name = f"{kind}_{getattr(self, kind + 's')[i]:g}"
        return Finding(name, "exact mean time, by quadrature", exact, ours, about, about[0] <= exact <= about[1])

    def _exponents(self, data: dict[str, np.ndarray]) -> list[Finding]:
        """Slopes of the logarithms of means; the sentence's −1, and what Kramers and the quadrature give."""
        said = {
            "barrier": ("Kramers: ln τ grows by the barrier over T", 1.0),
            "top": ("the sentence: time ∝ 1/|λ|, height and wells fixed", -1.0),
            "width": ("the same, all curvatures in proportion", -1.0),
        }
        rows = []
        for kind, (text, value) in said.items():
            x, y = data[f"{kind}.x"], data[f"{kind}.points"]
            ours, at = slope(x, y)[0], x - x.mean()
            error = float(np.sqrt(at**2 @ data[f"{kind}.error"] ** 2) / (at @ at))
            about = (ours - 3 * error, ours + 3 * error)
            exact = slope(x, data[f"{kind}.exact"])[0]
            rows.append(Finding(f"exponent_{kind}", text, value, ours, about, about[0] <= value <= about[1]))
            text = "the same slope of the exact times"
            rows.append(Finding(f"exact_{kind}", text, exact, ours, about, about[0] <= exact <= about[1]))
        return rows


def _potential(h: float, c: float, s: float) -> Callable[[Any], Any]:
    return lambda x: h * ((x / s) ** 2 - 1) ** 2 * (1 + c * (x / s) ** 2)


def _well(h: float, c: float, s: float) -> Function:
    potential = _potential(h, c, s)
    return Function(lambda x: potential(x[0]), 1, initial=torch.tensor([-s]))


def _top(h: float, c: float, s: float) -> float:
    return 2 * h * (2 - c) / s**2


def _exact_time(well: tuple[float, float, float]) -> float:
    return mean_passage_time(_potential(*well), -well[2], well[2], 1.0, -4 * well[2])


def _formula(well: tuple[float, float, float]) -> float:
    """2π/√(U''(minimum)·|λ|)·e^{h} at T = 1."""
    h, c, s = well
    return 2 * math.pi / math.sqrt(8 * h * (1 + c) / s**2 * _top(*well)) * math.exp(h)
