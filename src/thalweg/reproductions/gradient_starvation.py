"""Gradient starvation: two features by their mode equations (Tachet des Combes et al. 2018), and z* (Pezeshki 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from scipy import optimize
from scipy.integrate import solve_ivp
from scipy.special import expi, expit
from torch import Tensor, nn

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.function import Function
from thalweg.core.metered import Budget, Meter, Metered
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream, stream
from thalweg.descent import Descent, GradientDescent
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.records.reproductions import Panel, outcome
from thalweg.reproductions.base import Published
from thalweg.reproductions.parts import Parts
from thalweg.zoo.networks import mlp

ROWS = 100
"""Rows of a class."""

COUPLED = {2.0: 1.640, 3.0: 1.583, 4.0: 1.467, 5.0: 1.329, 6.0: 1.185}
"""z*_2 by s_1, computed from the authors' code for their Figure 6 (s_2 = 2, mixing .5, penalty .01)."""

DECOUPLED = (6.373, 1.708)
"""z* with the penalty on outputs (.001 Σ ŷ²), for every s_1 (same place)."""

MIXING, SECOND, DECAY, ON_OUTPUTS = 0.5, 2.0, 0.01, 1e-3


@dataclass(frozen=True)
class GradientStarvation(Published):
    """Two classes y = ±1 of inputs y·(m_1, m_2): feature 2 in a share ``rare`` of the rows, feature 1 in ``shares``.

    ReLU units of two layers, a pair for each feature, which they see alone, of strength u_k = ``start``, learn by
    descent for ``time``, in steps of ``lr``; as a control, units that see both. The modes follow
    du_k/dt = u_k E[m_k σ(−m_1u_1 − m_2u_2)], and alone ln u + Ei(u) = ln u_0 + Ei(u_0) + share·t: an exponential rise,
    then a logarithm. z* is that of two examples with features U diag(s_1, 2) V^T (Pezeshki et al. 2021, §3):
    z* = S² U^T α/λ, α = σ(−U z*).

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
        inside = all(0 <= s <= 1 for s in self.shares) and 0 < self.rare <= 1
        counts = [self.rare * ROWS, *(s * x * ROWS for s in self.shares for x in (self.rare, 1 - self.rare))]
        if not inside or 0 not in self.shares or any(abs(c - round(c)) > 1e-9 for c in counts):
            raise InputError(
                f"shares={self.shares}, rare={self.rare}: 0 and others up to 1, whole numbers of {ROWS} rows with and "
                "without feature 2"
            )
        if min(self.start, self.lr, self.time, self.steps) <= 0 or self.time < 20 * self.lr:
            raise InputError(f"start={self.start}, lr={self.lr}, time={self.time}, steps={self.steps}: give more")

    def subject(self, rng: int | Stream = 0) -> EmpiricalRisk:
        """The network on feature 2 alone."""
        return self._risk(0.0)

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Modes by descent and by their equations for every share; z* by descent and by its equation."""
        source, meter = stream(rng)("gradient_starvation"), Meter(budget or Budget())
        parts = Parts(evaluate, meter, len(self.shares) + 3)
        shares = sorted(self.shares)
        ran = {s: parts(f"share {s:g}", partial(self._run, s, meter)) for s in shares}
        dense = parts("dense", partial(self._run, shares[-1], meter, dense=True))
        z = {name: parts(name, partial(self._descended, name, meter))["z"] for name in ("decay", "outputs")}
        t = ran[0.0]["t"]
        theory = {s: self._modes(s, t) for s in shares}
        rows = (*self._mode_rows(ran, dense["u"], theory, t), *_z_rows(z))
        data = {"time": t, "s1": np.array(list(COUPLED)), "sup.x": np.array(shares)}
        for s in shares:
            data |= {f"u2.{s:g}": ran[s]["u"][:, 1], f"u2.{s:g}.theory": theory[s][:, 1]}
            data |= {f"u1.{s:g}": ran[s]["u"][:, 0], f"error.{s:g}": expit(-ran[s]["u"][:, 1])}
        for name, values in z.items():
            data |= {f"z2.{name}": values[:, 1], f"z1.{name}": values[:, 0], f"z2.{name}.theory": _theory(name)[:, 1]}
        data["z2.published"] = np.array(list(COUPLED.values()))
        return Reproduction(
            data=data,
            status=outcome(rows),
            cost=meter.read(),
            provenance=provenance(self.subject(), self, (), source),
            paper=self.paper,
            rows=rows,
            rule="descent within lr/2 of the mode equations, first order in lr; z* within .001; starved: the sign",
            panels=self._panels(shares),
            notes=(
                "The mode equations are written out here for this model; they were not read in the paper, of which the "
                "abstract is what is compared.",
            ),
        )

    def _risk(self, share: float, dense: bool = False) -> EmpiricalRisk:
        with_second = round(self.rare * ROWS)
        second = torch.arange(ROWS) < with_second
        place = torch.where(second, torch.arange(ROWS), torch.arange(ROWS) - with_second)
        many = torch.where(second, round(share * with_second), round(share * (ROWS - with_second)))
        present = torch.stack([place < many, second], 1).double()
        y = torch.cat([torch.ones(ROWS), -torch.ones(ROWS)]).double()
        inputs = torch.cat([present, -present])
        model = mlp((2, 4, 1), biases=False, dtype=torch.float64) if dense else _Separate()
        return EmpiricalRisk(model, _logistic, (inputs, y))

    def _run(self, share: float, meter: Meter, dense: bool = False) -> dict[str, np.ndarray]:
        """Strengths u [T, 2] at times t [T]."""
        risk, a = self._risk(share, dense), self.start**0.5
        signs = a * torch.tensor([1.0, -1, 1, -1], dtype=torch.float64)
        both = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]], dtype=torch.float64) * signs[:, None]
        names = [entry.name for entry in risk.space.entries]
        begin = risk.space.ravel(dict(zip(names, (both, signs[None]) if dense else (signs, signs), strict=True)))
        steps = round(self.time / self.lr)
        descent = Descent(GradientDescent(self.lr), steps=steps, every=max(1, steps // 150))
        run = descent(Metered(risk, meter=meter), begin)
        # What a feature alone puts out is its mode's strength.
        probes = risk.with_data((torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)))
        u = [probes.outputs(torch.tensor(x))[:, 0] for x in run.data["thetas"][:, 0]]
        return {"t": self.lr * run.data["steps"], "u": torch.stack(u).numpy()}

    def _modes(self, share: float, t: np.ndarray) -> np.ndarray:
        """u(t) [T, 2] of the coupled mode equations."""
        pattern = np.array([[1, 1], [0, 1], [1, 0]])
        weight = np.array([share * self.rare, (1 - share) * self.rare, share * (1 - self.rare)])

        def speed(_: float, u: np.ndarray) -> np.ndarray:
            found: np.ndarray = u * (pattern.T @ (weight * expit(-pattern @ u)))
            return found

        return solve_ivp(speed, (0.0, t[-1]), [self.start] * 2, "DOP853", t, rtol=1e-10, atol=1e-12).y.T

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
            Finding("modes", said, 0.0, worst, None, worst <= slack),
            Finding("dense", "control: the same of units that see both features", None,
                    float(np.abs(dense - theory[most]).max())),
            Finding("pace", "slope of ln u + Ei(u), feature 2 alone: its share", self.rare, pace, None,
                    abs(pace - self.rare) <= 0.01 * self.rare),
            Finding("sigmoid", "inflections of the error of feature 2 alone; “sigmoidal”", 1, turns, None, turns == 1),
            *(Finding(f"left_{s:g}", f"u_2 at the end over u_2 alone, feature 1 in {s:g} of rows; below 1 is starved",
                      None, x, None, x < 1 if s else None) for s, x in zip(sorted(ran), left, strict=True)),
            Finding("left_dense", f"control: units that see both, feature 1 in {most:g} of rows", None,
                    float(dense[-1, 1] / alone[-1])),
        )  # fmt: skip

    def _descended(self, name: str, meter: Meter) -> dict[str, np.ndarray]:
        """z* [S, 2] by descent on the parameters of all s_1 at once, which do not meet."""
        turn = torch.from_numpy(_turn())
        sizes = torch.tensor([[s, SECOND] for s in COUPLED], dtype=torch.float64)

        def risk(theta: Tensor) -> Tensor:
            z = sizes * theta.view_as(sizes)
            outputs = z @ turn.T
            penalty = DECAY / 2 * theta.square().sum() if name == "decay" else ON_OUTPUTS * outputs.square().sum()
            return nn.functional.softplus(-outputs).sum() + penalty

        objective = Metered(Function(risk, sizes.numel()), meter=meter)
        # The curvature is at most max(s²)/4 and what the penalty adds.
        rate = 1 / (max(COUPLED) ** 2 * (0.25 + 2 * ON_OUTPUTS) + DECAY)
        run = Descent(GradientDescent(rate), steps=self.steps, every=self.steps)(objective, torch.zeros(sizes.numel()))
        return {"z": (sizes * torch.tensor(run.final[0]).view_as(sizes)).numpy()}

    def _panels(self, shares: list[float]) -> tuple[Panel, ...]:
        labels = tuple(f"in {s:g}" for s in shares)
        sheet = "Feature 2, learned beside feature 1 in a share of the rows"
        return (
            Panel(sheet, 0, 0, tuple(f"u2.{s:g}" for s in shares), x="time", labels=labels, linear=True,
                  title="strength u_2, descent", text="time"),
            Panel(sheet, 0, 1, tuple(f"u2.{s:g}.theory" for s in shares), x="time", labels=labels, linear=True,
                  title="strength u_2, mode equations", text="time"),
            Panel(sheet, 0, 2, tuple(f"error.{s:g}" for s in shares), x="time", labels=labels, linear=True,
                  title="error where it is alone, σ(−u_2)", text="time"),
            Panel("Two examples with penalties", 0, 0, ("z2.published", "z2.decay", "z2.decay.theory", "z2.outputs"),
                  x="s1", labels=("on weights: authors' code", "on weights: descent", "on weights: equation",
                                  "on outputs: descent"), linear=True, title="z*_2 by penalty", text="s_1"),
            Panel("Two examples with penalties", 0, 1, ("z1.decay", "z1.outputs"), x="s1",
                  labels=("on weights: descent", "on outputs: descent"), linear=True, title="z*_1 by penalty",
                  text="s_1"),
        )  # fmt: skip


class _Separate(nn.Module):
    """Units v·relu(w·x_k), two for each of two features."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(4, dtype=torch.float64))
        self.v = nn.Parameter(torch.ones(4, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """[n, 2] to [n, 1]."""
        return (self.v * torch.relu(self.w * x.repeat_interleave(2, 1))).sum(1, keepdim=True)


def _logistic(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.softplus(-targets * outputs[:, 0])


def _turn() -> np.ndarray:
    """U [2, 2]."""
    other = (1 - MIXING**2) ** 0.5
    return np.array([[other, -MIXING], [MIXING, other]])


def _theory(name: str) -> np.ndarray:
    """z* [S, 2] from the stationary point: S²U^Tα/λ with a penalty on weights, U^Tα/(2κ) with one on outputs κΣŷ²."""
    turn, found = _turn(), []
    for s in COUPLED:
        gain = np.array([s, SECOND]) ** 2 / DECAY if name == "decay" else np.full(2, 1 / (2 * ON_OUTPUTS))

        def gap(z: np.ndarray, gain: np.ndarray = gain) -> np.ndarray:
            rest: np.ndarray = z - gain * (turn.T @ expit(-turn @ z))
            return rest

        found.append(optimize.root(gap, [5.0, 1.5], tol=1e-13).x)
    return np.stack(found)


def _z_rows(z: dict[str, np.ndarray]) -> tuple[Finding, ...]:
    decay, outputs = z["decay"], z["outputs"]
    gap = max(float(np.abs(z[name] - _theory(name)).max()) for name in z)
    second = [
        Finding(f"z2_{s:g}", f"z*_2 at s_1 = {s:g}, authors' code", known, float(x), None, abs(x - known) <= 1e-3)
        for (s, known), x in zip(COUPLED.items(), decay[:, 1], strict=True)
    ]
    slope, spread = float(np.diff(decay[:, 1]).max()), float(np.ptp(outputs, axis=0).max())
    return (
        *second,
        Finding("starved", "largest change of z*_2 from one s_1 to the next; below 0", None, slope, None, slope < 0),
        Finding("z_equation", "largest difference of z* under descent from its equation", 0.0, gap, None, gap <= 1e-3),
        *(Finding(f"decoupled_{i + 1}", f"z*_{i + 1} with the penalty on outputs", known, float(outputs[0, i]), None,
                  abs(float(outputs[0, i]) - known) <= 1e-3) for i, known in enumerate(DECOUPLED)),
        Finding("decoupled", "how far z* depends on s_1 with it", 0.0, spread, None, spread <= 1e-3),
    )  # fmt: skip
