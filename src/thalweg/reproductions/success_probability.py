"""Sun et al. 2020, Definition VII.1 and Conjecture VII.1: how often gradient descent succeeds, by width and noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Meter, Metered
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream, stream
from thalweg.descent import Descent, GradientDescent, NoisyGD
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import check_counts
from thalweg.reproductions.parts import Parts, above_zero, mean_row, share_row, side_by_side
from thalweg.zoo.networks import mlp

HIGH = 0.9
"""1 − δ: a share of successes whose interval lies above counts as a high probability."""


@dataclass(frozen=True)
class SuccessProbability(Published):
    """Two layers of each of the ``widths``, ``rows`` normal inputs and labels, ``starts`` Xavier starts a cell.

    ``steps`` of gradient descent with noise of length ``noises`` on every gradient, then as many without; a start
    succeeds where F ends below ``small`` of what the best constant leaves. φ is read off at the end of the run.

    Raises
    ------
    InputError
        If a count is too small, a number out of range, or no noise is 0.
    """

    paper: ClassVar[str] = "Sun et al. 2020, Conjecture VII.1"
    seconds: ClassVar[int] = 110

    widths: tuple[int, ...] | list[int] = (1, 2, 4, 8)
    noises: tuple[float, ...] | list[float] = (0.0, 0.5)
    rows: int = 16
    inputs: int = 4
    activation: str = "tanh"
    starts: int = 200
    steps: int = 500
    lr: float = 0.3
    small: float = 0.05

    def __post_init__(self) -> None:
        check_counts(20, starts=self.starts, steps=self.steps)
        check_counts(1, inputs=self.inputs, **{f"widths[{i}]": w for i, w in enumerate(self.widths)})
        if len(set(self.widths)) < 2 or 0.0 not in self.noises or min(self.noises) < 0:
            raise InputError(f"widths={self.widths}, noises={self.noises}: at least 2 widths, and 0 among the noises")
        if not 0 < self.small < 1 or not self.lr > 0:
            raise InputError(f"small={self.small}, lr={self.lr}: small lies between 0 and 1, and lr is positive")

    def subject(self, rng: int | Stream = 0) -> EmpiricalRisk:
        """The widest network on its rows."""
        return self._risk(max(self.widths), stream(rng)("success_probability"))

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Every width with every noise, from the same starts."""
        source, subject = stream(rng)("success_probability"), self.subject(rng)
        meter = Metered(subject, budget).meter
        parts = Parts(evaluate, meter, len(self.widths) * len(self.noises))
        widths, noises = sorted(set(self.widths)), sorted(set(self.noises))
        names = {(w, s): f"width{w}.noise{s:g}" for w in widths for s in noises}
        run = partial(self._cell, meter=meter, source=source)
        cells = {cell: parts(name, partial(run, *cell)) for cell, name in names.items()}
        labels = subject.table.targets
        assert isinstance(labels, Tensor)
        goal = self.small * float(labels.var(correction=0))
        won = {cell: found["loss"] <= goal for cell, found in cells.items()}
        data = {f"{names[cell]}.{key}": x for cell, found in cells.items() for key, x in found.items()}
        data["x"] = np.log2(np.array(widths, dtype=float))
        for noise in noises:
            data[f"noise{noise:g}"] = np.array([won[w, noise].mean() for w in widths])
        rows = self._rows(won, cells)
        return self.record(
            subject,
            source,
            rows,
            data=data,
            cost=meter.read(),
            rule=f"high: interval above {HIGH:g}; differences of the same starts beyond two standard errors",
            panels=side_by_side(
                f"Share of {self.starts} starts that end below {self.small:.0%} of the labels' variance",
                "x",
                (f"{self.rows} rows", [f"noise{s:g}" for s in noises], [f"noise {s:g}" for s in noises]),
                text="log2 width",
            ),
            notes=(
                "The conjecture is informal: ε, δ and the constant in O(n) are chosen here; widths with at least as "
                "many parameters as rows are compared with it.",
                "φ is a limit; what is seen is F after a fixed number of steps, so that shares are lower bounds.",
            ),
        )  # fmt: skip

    def _risk(self, width: int, source: Stream) -> EmpiricalRisk:
        generator = source("data").torch()
        x = torch.randn(self.rows, self.inputs, generator=generator, dtype=torch.float64)
        y = torch.randn(self.rows, 1, generator=generator, dtype=torch.float64)
        model = mlp((self.inputs, width, 1), activation=self.activation, dtype=torch.float64)
        return EmpiricalRisk(model, nn.MSELoss(), (x, y), backend="vmap")

    def _cell(self, width: int, noise: float, meter: Meter, source: Stream) -> dict[str, np.ndarray]:
        """F and the gradient's norm at the end, [starts]."""
        counted = Metered(self._risk(width, source), meter=meter)
        generator, parts = source("starts", width).torch(), []
        for entry in counted.space.entries:  # Xavier: variance 2/(fan in + fan out), biases 0
            spread = (2 / sum(entry.shape)) ** 0.5 if len(entry.shape) > 1 else 0.0
            parts.append(spread * torch.randn(self.starts, entry.size, generator=generator, dtype=torch.float64))
        theta, first = torch.cat(parts, 1), GradientDescent(self.lr) if not noise else NoisyGD(self.lr, noise)
        for phase, rule in (("noise", first), ("rest", GradientDescent(self.lr))):
            run = Descent(rule, steps=self.steps, every=self.steps)(counted, theta, rng=source(width, noise, phase))
            theta = torch.tensor(run.final)
        loss = np.where(np.isfinite(run.data["loss"][-1]), run.data["loss"][-1], np.inf)
        return {"loss": loss, "gradient_norm": run.data["gradient_norm"][-1]}

    def _rows(
        self, won: dict[tuple[int, float], np.ndarray], cells: dict[tuple[int, float], dict[str, np.ndarray]]
    ) -> tuple[Finding, ...]:
        rows = []
        for (width, noise), found in won.items():
            size = width * (self.inputs + 2) + 1
            compared = noise == 0 and size >= self.rows
            said = f"share of successes, {size} parameters" + ("; conjecture: nearly all" if compared else "")
            known: tuple[Any, ...] = (1.0, lambda low, _: low > HIGH) if compared else ()
            rows.append(share_row(f"width_{width}_noise_{noise:g}", said, int(found.sum()), len(found), *known))
        widths, noises = sorted({w for w, _ in won}), sorted({s for _, s in won})
        gains = np.polyfit(np.log2(widths), np.stack([won[w, 0.0] for w in widths]).astype(float), 1)[0]
        rows.append(mean_row("wider", "growth of the share for twice the width, no noise", gains, None, above_zero))
        for noise in noises[1:]:
            gain = np.mean([won[w, noise].astype(float) - won[w, 0.0] for w in widths], axis=0)
            said = "§VII-A: noise makes success likelier; all widths"
            rows.append(mean_row(f"noise_{noise:g}", said, gain, None, above_zero))
        for width in widths:
            lost = cells[width, 0.0]["gradient_norm"][~won[width, 0.0]]
            if len(lost):
                said = "share of the failures whose gradient is still above .001"
                rows.append(share_row(f"unsettled_{width}", said, int((lost > 1e-3).sum()), len(lost)))
        return tuple(rows)
