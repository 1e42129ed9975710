"""Gradient starvation: two features by their mode equations (Tachet des Combes et al. 2018), and z* (Pezeshki 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from scipy.special import expi, expit

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Meter, Metered
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream, stream
from thalweg.descent import Descent, GradientDescent
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.records.reproductions import Panel
from thalweg.reproductions.base import Published
from thalweg.reproductions.coupled_features import CoupledFeatures
from thalweg.reproductions.parts import Parts, close, side_by_side
from thalweg.zoo.starvation import mode_equations, strengths, two_features


@dataclass(frozen=True)
class GradientStarvation(Published):
    """Two classes y = ±1 of inputs y·(m_1, m_2): feature 2 in a share ``rare`` of the rows, feature 1 in ``shares``.

    The networks and their mode equations are those of :mod:`thalweg.zoo.starvation`; they learn by descent for
    ``time``, in steps of ``lr``, from strengths ``start``; as a control, units that see both features. z* is that of
    two examples whose features are coupled (Pezeshki et al. 2021, §3), after ``steps`` of descent.

    Raises
    ------
    InputError
        If a share is no multiple of what 100 rows can hold, does not lie in [0, 1], or a number is not positive.
    """

    paper: ClassVar[str] = "Tachet des Combes et al. 2018; Pezeshki et al. 2021"
    seconds: ClassVar[int] = 20

    shares: tuple[float, ...] | list[float] = (0.0, 0.25, 0.5, 0.75, 1.0)
    rare: float = 0.2
    start: float = 0.01
    time: float = 150.0
    lr: float = 0.1
    steps: int = 4000

    def __post_init__(self) -> None:
        if 0 not in self.shares:
            raise InputError(f"shares={self.shares}: 0 must be among them, where feature 2 is alone")
        for share in self.shares:
            two_features(share, self.rare, self.start)
        if min(self.start, self.lr, self.time, self.steps) <= 0 or self.time < 20 * self.lr:
            raise InputError(f"start={self.start}, lr={self.lr}, time={self.time}, steps={self.steps}: give more")

    def subject(self, rng: int | Stream = 0) -> EmpiricalRisk:
        """The network on feature 2 alone."""
        return two_features(0.0, self.rare, self.start)

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Modes by descent and by their equations for every share; z* by descent and by its equation."""
        source, meter = stream(rng)("gradient_starvation"), Meter(budget or Budget())
        parts = Parts(evaluate, meter, len(self.shares) + 3)
        shares = sorted(self.shares)
        ran = {s: parts(f"share {s:g}", partial(self._run, s, meter)) for s in shares}
        dense = parts("dense", partial(self._run, shares[-1], meter, dense=True))
        coupled = CoupledFeatures.of(parts, self.steps, meter)
        t = ran[0.0]["t"]
        theory = {s: mode_equations(s, self.rare, self.start, t) for s in shares}
        rows = (*self._mode_rows(ran, dense["u"], theory, t), *coupled.rows())
        data = {"time": t, "sup.x": np.array(shares)}
        for s in shares:
            data |= {f"u2.{s:g}": ran[s]["u"][:, 1], f"u2.{s:g}.theory": theory[s][:, 1]}
            data |= {f"u1.{s:g}": ran[s]["u"][:, 0], f"error.{s:g}": expit(-ran[s]["u"][:, 1])}
        data |= coupled.data()
        return self.record(
            self.subject(),
            source,
            rows,
            data=data,
            cost=meter.read(),
            rule="descent within lr/2 of the mode equations, first order in lr; z* within .001; starved: the sign",
            panels=(*self._panels(shares), *coupled.panels()),
            notes=(
                "The mode equations are written out here for this model; they were not read in the paper, of which the "
                "abstract is what is compared.",
            ),
        )

    def _run(self, share: float, meter: Meter, dense: bool = False) -> dict[str, np.ndarray]:
        """Strengths u [T, 2] at times t [T]."""
        risk, steps = two_features(share, self.rare, self.start, together=dense), round(self.time / self.lr)
        descent = Descent(GradientDescent(self.lr), steps=steps, every=max(1, steps // 150))
        run = descent(Metered(risk, meter=meter), risk.initial)
        u = strengths(risk, torch.tensor(run.data["thetas"][:, 0]))
        return {"t": self.lr * run.data["steps"], "u": u.numpy()}

    def _mode_rows(
        self, ran: dict[float, dict[str, np.ndarray]], dense: np.ndarray, theory: dict[float, np.ndarray], t: np.ndarray
    ) -> tuple[Finding, ...]:
        alone, sup = ran[0.0]["u"][:, 1], {s: float(np.abs(ran[s]["u"] - theory[s]).max()) for s in ran}
        law = np.log(alone) + expi(alone) - np.log(self.start) - expi(self.start)
        late = law > 1
        pace, most = float(np.polyfit(t[late], law[late], 1)[0]), max(ran)
        bends = np.diff(expit(-alone), 2)
        turns = int((np.diff(np.sign(bends[np.abs(bends) > 1e-9])) != 0).sum())
        left = [float(ran[s]["u"][-1, 1] / alone[-1]) for s in sorted(ran)]
        worst, slack = max(sup.values()), self.lr / 2
        said = "largest difference of a mode under descent from its equation, over all shares"
        return (
            close("modes", said, 0.0, worst, slack),
            Finding("dense", "control: the same of units that see both features", None,
                    float(np.abs(dense - theory[most]).max())),
            close("pace", "slope of ln u + Ei(u), feature 2 alone: its share", self.rare, pace, 0.01 * self.rare),
            close("sigmoid", "inflections of the error of feature 2 alone; “sigmoidal”", 1, turns),
            *(Finding(f"left_{s:g}", f"u_2 at the end over u_2 alone, feature 1 in {s:g} of rows; below 1 is starved",
                      None, x, None, x < 1 if s else None) for s, x in zip(sorted(ran), left, strict=True)),
            Finding("left_dense", f"control: units that see both, feature 1 in {most:g} of rows", None,
                    float(dense[-1, 1] / alone[-1])),
        )  # fmt: skip

    def _panels(self, shares: list[float]) -> tuple[Panel, ...]:
        labels = tuple(f"in {s:g}" for s in shares)
        return side_by_side(
            "Feature 2, learned beside feature 1 in a share of the rows",
            "time",
            ("strength u_2, descent", [f"u2.{s:g}" for s in shares], labels),
            ("strength u_2, mode equations", [f"u2.{s:g}.theory" for s in shares], labels),
            ("error where it is alone, σ(−u_2)", [f"error.{s:g}" for s in shares], labels),
            text="time",
        )
