"""SGD as variational inference: the covariance of its noise, its stationary law and the current it keeps up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream, stream
from thalweg.descent import SGLD, Descent, GradientDescent, Rule
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.reproductions import network_noise as noise
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import check_counts
from thalweg.reproductions.least_squares import Laws
from thalweg.reproductions.parts import Parts, mean_row, side_by_side
from thalweg.zoo.regression import half_squared


@dataclass(frozen=True)
class SGDInference(Published):
    """Linear regression whose noise depends on the input, by SGD with rows drawn anew, and digits by a small network.

    ``walkers`` start at the least-squares solution; rates are ``shares`` of 2d·S/(N·Tr C), at which Mandt, Hoffman &
    Blei 2017 (Theorem 1, recalled) find SGD closest to the posterior N(θ*, (N·H)⁻¹), S the ``batch``. With C the
    covariance of a row's gradient, Lyapunov's equation HΣ + ΣH = (η/S)C is theirs; the exact Σ of the recursion
    θ ← θ − η·g keeps every order of η.

    Raises
    ------
    InputError
        If a count is too small, or there are fewer than 3 shares, or one is not positive.
    """

    paper: ClassVar[str] = "Mandt, Hoffman & Blei 2017; Chaudhari & Soatto 2018"
    seconds: ClassVar[int] = 25

    samples: int = 200
    batch: int = 10
    shares: tuple[float, ...] | list[float] = (0.25, 0.5, 1.0, 2.0, 4.0)
    walkers: int = 200
    times: float = 8.0
    hidden: tuple[int, ...] = (8,)
    rows: int = 400

    def __post_init__(self) -> None:
        check_counts(20, samples=self.samples, walkers=self.walkers, rows=self.rows)
        check_counts(1, batch=self.batch)
        if len(set(self.shares)) < 3 or min(*self.shares, self.times) <= 0:
            raise InputError(f"shares={self.shares}, times={self.times}: at least 3 shares, and all positive")

    def subject(self, rng: int | Stream = 0) -> EmpiricalRisk:
        """½(xᵀθ − y)² with y = xᵀ1 + (.3 + |x_1 + x_2|)·noise, x of standard deviations 1 and ½."""
        generator = stream(rng)("sgd_inference", "data").torch()
        x = torch.randn(self.samples, 2, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 0.5])
        spread = 0.3 + (x[:, 0] + x[:, 1]).abs()
        y = x.sum(1) + spread * torch.randn(self.samples, generator=generator, dtype=torch.float64)
        return EmpiricalRisk(nn.Linear(2, 1, bias=False).double(), half_squared, (x, y[:, None]))

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Every rate, isotropic noise as the control, and the network."""
        source, risk = stream(rng)("sgd_inference"), self.subject(rng)
        counted = Metered(risk, budget)
        parts, laws = Parts(evaluate, counted.meter, len(self.shares) + 2), Laws.of(risk, self.batch)
        runs = []
        for i, share in enumerate(self.shares):
            eta = share * laws.best
            rule: Rule = GradientDescent(eta)
            runs.append(parts(f"rate{i}", partial(self._run, counted, laws, rule, eta, source(i))))
        eta = laws.best
        heat = eta * float(laws.noise.trace()) / 4  # as much noise in total, the same in every direction
        rule = SGLD(temperature=heat, lr=eta)
        control = parts("isotropic", lambda: self._run(counted, laws, rule, eta, source("isotropic")))
        network = parts("network", lambda: noise.spectrum(counted, self.hidden, self.rows, source))
        data = laws.compared(self.shares, runs) | network | {"isotropic.current": control["current"]}
        rows = [*self._stationary(data), *self._current(laws, data), *noise.rows(network)]
        sheet = "Stationary law of SGD on a quadratic, and the noise of a network"
        sizes = ("Tr HΣ / rate", ("size.points", "size.exact", "size.lyapunov"), ("SGD", "exact", "Lyapunov"))
        divergences = ("divergence from the posterior", ("kl.points", "kl.exact"), ("SGD", "exact"))
        spectrum = ("eigenvalues of the noise", ("spectrum",), ("noise",))
        return self.record(
            risk,
            source,
            rows,
            data=data,
            cost=counted.meter.read(),
            rule="within three standard errors; the rate within a factor 1.5; the noise anisotropic, if above one half",
            panels=(
                *side_by_side(sheet, "rate", sizes, text="log2 rate / best"),
                *side_by_side(sheet, "rate", divergences, text="log2 rate / best", first=1, linear=False),
                *side_by_side(sheet, "number", spectrum, text="number", first=2, linear=False),
            ),
            notes=("Theorem 1 of Mandt et al. is recalled; it follows from Lyapunov's equation in two lines.",),
        )  # fmt: skip

    def _run(self, counted: Metered, laws: Laws, rule: Rule, eta: float, rng: Stream) -> dict[str, np.ndarray]:
        """Second moments [walkers, 2, 2] about the solution, and the current [walkers] of each walker's path."""
        slow = float(torch.linalg.eigvalsh(laws.hessian)[0])
        steps = math.ceil(self.times / (eta * slow))
        batch = {"batch": self.batch, "replacement": True} if isinstance(rule, GradientDescent) else {}
        begin = laws.solution.expand(self.walkers, -1)
        run = Descent(rule, steps=steps, every=1, **batch)(counted, begin, rng=rng)  # type: ignore[arg-type]
        path = torch.tensor(run.data["thetas"]) - laws.solution
        path = path[len(path) // 2 :]
        turn = path[:-1, :, 0] * path[1:, :, 1] - path[1:, :, 0] * path[:-1, :, 1]
        return {
            "moments": torch.einsum("tbi,tbj->bij", path, path).numpy() / len(path),
            "current": turn.mean(0).numpy(),
        }

    def _stationary(self, data: dict[str, np.ndarray]) -> list[Finding]:
        """Tr HΣ of each rate against both laws; the rate of least divergence."""
        rows = []
        for i, share in enumerate(self.shares):
            for law, said in (("exact", "exact law of the recursion"), ("lyapunov", "Lyapunov's equation")):
                wanted = data[f"law.{law}"][i]
                ratio = np.einsum("bij,ji->b", data["moments"][i], np.linalg.inv(wanted)) / len(wanted)
                text = f"Tr Σ_measured Σ⁻¹ / d, {said}"
                rows.append(mean_row(f"{law}_{share:g}", text, ratio, 1.0, lambda a, b: a <= 1 <= b, errors=3))
        fit = np.polyfit(data["rate"], data["kl.points"], 2)
        best = 2 ** float(-fit[1] / (2 * fit[0])) if fit[0] > 0 else math.nan
        said = "Mandt et al., Theorem 1: least divergence from the posterior at 2d·S/(N·Tr C)"
        return [*rows, Finding("best_rate", said, 1.0, best, None, bool(2 / 3 <= best <= 1.5))]

    def _current(self, laws: Laws, data: dict[str, np.ndarray]) -> list[Finding]:
        """The area that paths turn about the minimum in a step, beside the exact law's; 0 where noise is isotropic."""
        i = min(range(len(self.shares)), key=lambda j: abs(math.log(self.shares[j])))
        wanted = laws.current(self.shares[i] * laws.best)

        def met(low: float, high: float) -> bool:
            return low <= wanted <= high and low * high > 0

        said, control = "exact law: η(ΣH − HΣ), not zero", "control: noise alike in all directions, none"
        even = data["isotropic.current"]
        return [
            mean_row("current", said, data["currents"][i], wanted, met, errors=3),
            mean_row("current_isotropic", control, even, 0.0, lambda low, high: low <= 0 <= high, errors=3),
        ]
