"""Chen 2016, opening: how many global minima the symmetries of a network make, counted, visited and reached."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream, stream
from thalweg.descent import Descent, Momentum
from thalweg.errors import InputError
from thalweg.paths.align import symmetries
from thalweg.paths.align.orbit import orbit
from thalweg.records import Finding, Reproduction
from thalweg.records.survival import wilson
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import check_counts
from thalweg.reproductions.layer_symmetries import layered
from thalweg.reproductions.parts import Parts, close
from thalweg.reproductions.symmetry_counts import ROUNDING, panels, scaled
from thalweg.reproductions.symmetry_counts import counted as counts
from thalweg.zoo.networks import mlp

NEAR = 1e-2
"""A run whose weights are as close as this to a copy of the teacher, relative, has reached it."""


@dataclass(frozen=True)
class SymmetryCounts(Published):
    """A teacher of tanh units ``hidden`` and every copy of it; ``starts`` of students; orders of layers of ``widths``.

    A layer of d tanh units has d!·2^d orders and signs, each a point with the same F; a rectified unit has a scale
    instead, so that its minima come in continuous families.

    Raises
    ------
    InputError
        If a count is too small, or the teacher has more copies than 50,000.
    """

    paper: ClassVar[str] = "Chen 2016, opening"
    seconds: ClassVar[int] = 20

    hidden: tuple[int, ...] | list[int] = (2,)
    widths: tuple[int, ...] | list[int] = (4, 8, 16, 32, 64)
    rows: int = 40
    starts: int = 60
    steps: int = 3000
    lr: float = 0.1

    def __post_init__(self) -> None:
        check_counts(1, steps=self.steps)
        check_counts(2, **{f"hidden[{i}]": d for i, d in enumerate(self.hidden)}, starts=self.starts, rows=self.rows)
        check_counts(2, **{f"widths[{i}]": d for i, d in enumerate(self.widths)})
        if self.copies > 50_000:
            raise InputError(f"hidden={self.hidden}: {self.copies:,} copies are too many to visit; take smaller layers")

    @property
    def copies(self) -> int:
        """∏ d!·2^d over the hidden layers."""
        return math.prod(math.factorial(d) * 2**d for d in self.hidden)

    def subject(self, rng: int | Stream = 0) -> EmpiricalRisk:
        """The teacher's outputs on normal inputs, to be learned by a network of its shape; F is 0 at the teacher."""
        generator = stream(rng)("symmetries", "data").torch()
        x = torch.randn(self.rows, 2, generator=generator, dtype=torch.float64)
        model = mlp((2, *self.hidden, 1), activation="tanh", biases=False, seed=0, dtype=torch.float64)
        with torch.no_grad():
            for p in model.parameters():  # units that differ, far from the linear range
                p.copy_(1.5 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
            y = model(x)
        return EmpiricalRisk(model, nn.MSELoss(), (x, y), backend="vmap")

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Visit the copies, train the students, count orders by width, and scale rectified units."""
        source, risk = stream(rng)("symmetries"), self.subject(rng)
        counted = Metered(risk, budget)
        parts = Parts(evaluate, counted.meter, 3)
        thetas = orbit(symmetries(risk, signs=True), risk.space, risk.initial.theta)
        data = parts("copies", partial(self._visited, counted, thetas))
        data |= parts("students", partial(self._students, counted, thetas, source))
        data |= parts("widths", partial(counts, self.widths, source))
        rows = (*self._rows(data), *scaled(self.rows, source), *layered(source, ROUNDING))
        return self.record(
            risk,
            source,
            rows,
            data=data,
            cost=counted.meter.read(),
            rule=f"numbers equal; changes of F up to {ROUNDING:g}; logarithms at least linear in the width",
            panels=panels(),
            notes=(
                "Copies are points of the same F, minima where the point is one. That they are all global minima "
                "is not said: students that end elsewhere with a small F would be others.",
            ),
        )  # fmt: skip

    def _visited(self, counted: Metered, thetas: Tensor) -> dict[str, np.ndarray]:
        """F and the gradient at shifted copies, of which the teacher itself would show 0, and how many differ."""
        found = symmetries(counted.objective, signs=True)
        moved = orbit(found, counted.space, thetas[0] + 0.1)
        values, slopes = counted.value_and_grad(moved)
        norms, scale = slopes.norm(dim=1), float(values[0])
        return {
            "different": np.array(len(torch.unique(thetas, dim=0))),
            "change": ((values - values[0]).abs().max() / scale).numpy(),
            "slope": ((norms - norms[0]).abs().max() / norms[0]).numpy(),
            "teacher": counted.losses(thetas).max().numpy(),
        }

    def _students(self, counted: Metered, thetas: Tensor, source: Stream) -> dict[str, np.ndarray]:
        begin = torch.randn(self.starts, thetas.shape[1], generator=source("starts").torch(), dtype=torch.float64)
        run = Descent(Momentum(self.lr), steps=self.steps, every=self.steps)(counted, begin, rng=source("run"))
        far = torch.cdist(torch.tensor(run.final), thetas) / thetas[0].norm()
        near = far.argmin(1)[far.amin(1) < NEAR]
        reached = torch.bincount(near, minlength=len(thetas)).double()
        return {"reached.points": reached.numpy(), "copy": np.arange(1.0, len(thetas) + 1),
                "student.loss": run.data["loss"][-1], "student.far": far.amin(1).numpy()}  # fmt: skip

    def _rows(self, data: dict[str, np.ndarray]) -> list[Finding]:
        reached, widths = data["reached.points"], self.widths
        hits, tried, law = int(reached.sum()), self.starts, math.lgamma(max(widths) + 1) / math.log(10)
        low = data["student.loss"] < 1e-6
        return [
            close("copies", "∏ d!·2^d copies that differ", self.copies, int(data["different"])),
            close("change", "F is the same at all copies of a point", 0.0, float(data["change"]), ROUNDING),
            close("orders", f"log10 d! for d = {max(widths)}", law, float(data["orders"].max()), 1e-9),
            Finding("exponential", "“at least exponentially many”: least log10 of copies less that of 2^(d−1)", None,
                    float((data["orders"] - data["exponential"]).min()), None,
                    bool((data["orders"] >= data["exponential"]).all())),
            Finding("reached", "copies of the teacher that runs from random starts end in", None,
                    int((reached > 0).sum())),
            Finding("solved", "share of runs that end in a copy", None, hits / tried, wilson(hits, tried)),
            Finding("other", "share of runs with F < 1e-6 that end in no copy", None,
                    float((data["student.far"][low] >= NEAR).mean()) if low.any() else math.nan),
        ]  # fmt: skip
