"""Kramers' law: escape times against the barrier's height and, at fixed height, against the eigenvalue at its top."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.critical.escape.first_passage import first_passages
from thalweg.descent import SGLD
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import check_counts
from thalweg.reproductions.parts import Parts
from thalweg.reproductions.passages import panels_of_times, slope, slope_error
from thalweg.zoo.sextic_well import curvatures, kramers_time, mean_crossing_time, sextic_well


@dataclass(frozen=True)
class Kramers(Published):
    """Langevin steps across :func:`thalweg.zoo.sextic_well.sextic_well` until the other minimum, ``walkers`` a well.

    Of height h, pinch c and width s. ``barriers`` varies h/T with s² = h, which keeps both; ``tops`` varies c with
    s² = 1 + c, which keeps the minima's; ``widths`` varies s and scales both. The exact mean is a quadrature
    (:func:`thalweg.zoo.wells.mean_passage_time`). A step is ``step`` over the curvature.

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
        return sextic_well()

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
            runs = [partial(self._simulated, well, meter, source(kind, i)) for i, well in enumerate(wells)]
            times = [parts(f"{kind}{i}", run)["times"] for i, run in enumerate(runs)]
            data |= self._table(kind, wells, times)
            rows += [self._exact(kind, i, data) for i in range(len(wells))]
        rows += self._exponents(data)
        return self.record(
            objective,
            source,
            rows,
            data=data,
            cost=meter.read(),
            rule="means within intervals of 99.7 % of the quadrature; exponents within three standard errors",
            panels=panels_of_times(
                "Mean time to cross a barrier: simulated, exact and by Kramers' formula (T = 1, logarithms)",
                ("barrier", "height", "barrier / T"),
                ("top", "eigenvalue, wells kept", "ln |λ|"),
                ("width", "all curvatures together", "ln |λ|"),
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
        s, dt = well[2], self.step / max(curvatures(*well))
        starts = torch.full((self.walkers, 1), -s, dtype=torch.float64)
        objective, rule = Metered(sextic_well(*well), meter=meter), SGLD(temperature=1.0, lr=dt)
        return {"times": dt * first_passages(objective, rule, starts, lambda x: x[:, 0] >= s, rng=rng)}

    def _table(self, kind: str, wells: list[tuple[float, float, float]], times: list[np.ndarray]) -> dict[str, Any]:
        means = np.array([t.mean() for t in times])
        x = [w[0] if kind == "barrier" else math.log(curvatures(*w)[1]) for w in wells]
        table = {
            "x": np.array(x), "points": np.log(means), "times": np.stack(times),
            "error": np.array([t.std(ddof=1) / t.mean() / math.sqrt(len(t)) for t in times]),
            "exact": np.log([mean_crossing_time(*w) for w in wells]),
            "formula": np.log([kramers_time(w[0], *curvatures(*w)) for w in wells]),
        }  # fmt: skip
        return {f"{kind}.{name}": values for name, values in table.items()}

    def _exact(self, kind: str, i: int, data: dict[str, np.ndarray]) -> Finding:
        exact, ours = (math.exp(data[f"{kind}.{name}"][i]) for name in ("exact", "points"))
        low, high = (ours * (1 + side * data[f"{kind}.error"][i]) for side in (-3, 3))
        name = f"{kind}_{getattr(self, kind + 's')[i]:g}"
        return Finding(name, "exact mean time, by quadrature", exact, ours, (low, high), low <= exact <= high)

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
            ours, error = slope(x, y)[0], slope_error(x, data[f"{kind}.error"])
            about = (ours - 3 * error, ours + 3 * error)
            exact = slope(x, data[f"{kind}.exact"])[0]
            rows.append(Finding(f"exponent_{kind}", text, value, ours, about, about[0] <= value <= about[1]))
            text = "the same slope of the exact times"
            rows.append(Finding(f"exact_{kind}", text, exact, ours, about, about[0] <= exact <= about[1]))
        return rows
