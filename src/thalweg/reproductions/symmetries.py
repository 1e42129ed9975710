"""Chen 2016, opening: how many global minima the symmetries of a network make, counted, visited and reached."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream, stream
from thalweg.descent import Descent, Momentum
from thalweg.errors import InputError
from thalweg.paths.align import Symmetries, symmetries
from thalweg.records import Finding, Reproduction
from thalweg.records.reproductions import Panel, outcome
from thalweg.records.survival import wilson
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import check_counts
from thalweg.reproductions.layer_symmetries import layered
from thalweg.reproductions.parts import Parts
from thalweg.zoo.networks import mlp

ROUNDING = 1e-12
"""Relative change of F that exchanging, negating or scaling units may make."""

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
        check_counts(1, **{f"hidden[{i}]": d for i, d in enumerate(self.hidden)}, steps=self.steps)
        check_counts(2, **{f"widths[{i}]": d for i, d in enumerate(self.widths)}, starts=self.starts, rows=self.rows)
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
        thetas = self._orbit(risk, risk.initial.theta)
        data = parts("copies", partial(self._visited, counted, thetas))
        data |= parts("students", partial(self._students, counted, thetas, source))
        data |= parts("widths", partial(self._counted, source))
        rows = (*self._rows(data), *self._scales(source), *layered(source, ROUNDING))
        sheet = "Copies of one minimum"
        return Reproduction(
            data=data,
            status=outcome(rows),
            cost=counted.meter.read(),
            provenance=provenance(risk, self, (), source),
            paper=self.paper,
            rows=rows,
            rule=f"numbers equal; changes of F up to {ROUNDING:g}; logarithms at least linear in the width",
            panels=(
                Panel(sheet, 0, 0, ("orders", "signs", "exponential"), x="width", linear=True,
                      labels=("orders", "orders and signs", "2^(d−1)"), title="log10 of copies of a point",
                      text="width d of one hidden layer"),
                Panel(sheet, 0, 1, ("reached.points",), x="copy", linear=True, labels=("runs",),
                      title="runs that end in each copy", text="copy"),
            ),
            notes=(
                "Copies are points of the same F, minima where the point is one. That they are all global minima "
                "is not said: students that end elsewhere with a small F would be others.",
            ),
        )  # fmt: skip

    def _orbit(self, risk: EmpiricalRisk, theta: Tensor) -> Tensor:
        """Theta with the units of every layer in every order and with every sign, [copies, P]."""
        found = symmetries(risk, signs=True)
        choices = []
        for group in found.groups:
            orders = [np.array(p) for p in itertools.permutations(range(group.size))]
            signs = [np.array(s) for s in itertools.product((1.0, -1.0), repeat=group.size)]
            choices.append(
                [(group.name, p, s) for p in orders for s in (signs if group.name in found.signed else [None])]
            )
        named, copies = risk.space.unravel(theta), []
        for chosen in itertools.product(*choices):
            factors = {name: s for name, _, s in chosen if s is not None}
            copies.append(risk.space.ravel(found.apply(named, {name: p for name, p, _ in chosen}, factors)))
        return torch.stack(copies)

    def _visited(self, counted: Metered, thetas: Tensor) -> dict[str, np.ndarray]:
        """F and the gradient at shifted copies, of which the teacher itself would show 0, and how many differ."""
        moved = self._orbit(counted.objective, thetas[0] + 0.1)  # type: ignore[arg-type]
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

    def _counted(self, source: Stream) -> dict[str, np.ndarray]:
        """log10 of the copies that are found in a layer of each width."""
        x, orders, signs = torch.randn(8, 2, generator=source("rows").torch(), dtype=torch.float64), [], []
        for width in self.widths:
            model = mlp((2, width, 1), activation="tanh", dtype=torch.float64)
            found = symmetries(EmpiricalRisk(model, nn.MSELoss(), (x, x[:, :1])), signs=True)
            orders.append(_log10(found))
            signs.append(_log10(found) + sum(found[g].size for g in found.signed) * math.log10(2))
        widths = np.array(self.widths, dtype=float)
        return {"width": widths, "orders": np.array(orders), "signs": np.array(signs),
                "exponential": (widths - 1) * math.log10(2)}  # fmt: skip

    def _rows(self, data: dict[str, np.ndarray]) -> list[Finding]:
        reached, widths = data["reached.points"], self.widths
        hits, tried, law = int(reached.sum()), self.starts, math.lgamma(max(widths) + 1) / math.log(10)
        low = data["student.loss"] < 1e-6
        return [
            Finding("copies", "∏ d!·2^d copies that differ", self.copies, int(data["different"]), None,
                    int(data["different"]) == self.copies),
            Finding("change", "F is the same at all copies of a point", 0.0, float(data["change"]), None,
                    bool(data["change"] <= ROUNDING)),
            Finding("orders", f"log10 d! for d = {max(widths)}", law, float(data["orders"].max()), None,
                    abs(float(data["orders"].max()) - law) < 1e-9),
            Finding("exponential", "“at least exponentially many”: least log10 of copies less that of 2^(d−1)", None,
                    float((data["orders"] - data["exponential"]).min()), None,
                    bool((data["orders"] >= data["exponential"]).all())),
            Finding("reached", "copies of the teacher that runs from random starts end in", None,
                    int((reached > 0).sum())),
            Finding("solved", "share of runs that end in a copy", None, hits / tried, wilson(hits, tried)),
            Finding("other", "share of runs with F < 1e-6 that end in no copy", None,
                    float((data["student.far"][low] >= NEAR).mean()) if low.any() else math.nan),
        ]  # fmt: skip

    def _scales(self, source: Stream) -> list[Finding]:
        """Rectified units scaled by 1/4 to 4, and as the control the weights into them alone."""
        x = torch.randn(self.rows, 2, generator=source("rectified").torch(), dtype=torch.float64)
        risk = EmpiricalRisk(mlp((2, 6, 1), dtype=torch.float64), nn.MSELoss(), (x, x[:, :1]))
        found, named = symmetries(risk, scales=True), risk.space.unravel(risk.initial.theta)
        factors = {g: np.geomspace(0.25, 4, found[g].size) for g in found.scaled}
        base = float(risk.losses(risk.initial.theta[None])[0])
        scaled = risk.space.ravel(found.apply(named, {}, factors))
        half = {n: p * (2.0 if n == "0.weight" else 1.0) for n, p in named.items()}
        changes = [abs(float(risk.losses(t[None])[0]) / base - 1) for t in (scaled, risk.space.ravel(half))]
        free = sum(found[g].size for g in found.scaled)
        return [
            Finding("free_scales", "rectified units of one layer of 6 with a free scale", 6, free, None, free == 6),
            Finding("scale_change", "F is the same when they are scaled", 0.0, changes[0], None,
                    changes[0] <= ROUNDING),
            Finding("scale_control", "control: weights into the units alone doubled", None, changes[1], None,
                    changes[1] > 1e-3),
        ]  # fmt: skip


def _log10(found: Symmetries) -> float:
    """log10 of the orders of all groups."""
    return sum(math.prod(found.shape(g)[:-1]) * math.lgamma(g.size + 1) for g in found.groups) / math.log(10)
