"""Kleinberg, Li & Yuan 2018: noise smooths the landscape, and along a run the gradient points to where it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.function import Function
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.smoothed import Smoothed
from thalweg.descent import SGLD, Descent, GradientDescent
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.records.reproductions import Panel, outcome
from thalweg.records.survival import wilson
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import Classifier, check_counts
from thalweg.reproductions.parts import Parts, interval

REACH, SHOWN = 2.0, 0.8
"""Descents of the formula start in ±REACH; its picture shows ±SHOWN."""


@dataclass(frozen=True)
class Kleinberg2018(Published):
    """x²/2 + (1/b)·sin bx under uniform noise ±``radii``, and digits by SGD: ``seeds`` runs, ``pictures`` of each.

    At a picture x_t of a run, ⟨−∇F, x_T − x_t⟩ is taken at x_t, at ``around`` points of the sphere of radius ½ about
    it, and averaged over where ``around`` minibatches would take it, which is the gradient of their smoothed function.

    Raises
    ------
    InputError
        If a count is too small, or a radius or a rate not positive.
    """

    paper: ClassVar[str] = "Kleinberg, Li & Yuan 2018"
    seconds: ClassVar[int] = 20

    frequency: float = 20.0
    radii: tuple[float, ...] | list[float] = (0.05, 0.1, 0.15, 0.2)
    starts: int = 201
    hidden: tuple[int, ...] = (32,)
    rows: int = 600
    batch: int = 16
    lr: float = 0.1
    steps: int = 600
    seeds: int = 8
    pictures: int = 20
    around: int = 16

    def __post_init__(self) -> None:
        check_counts(2, seeds=self.seeds, around=self.around, pictures=self.pictures, batch=self.batch)
        check_counts(20, starts=self.starts, steps=self.steps)
        if not self.radii or min(*self.radii, self.frequency, self.lr) <= 0:
            raise InputError(f"radii={self.radii}, frequency={self.frequency}, lr={self.lr}: all must be positive")

    def subject(self, rng: int | Stream = 0) -> Objective:
        """The digits."""
        return Classifier(self.hidden, rows=self.rows, test=0).risk()

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """The formula, then the network."""
        source, objective = stream(rng)("kleinberg_2018"), self.subject(rng)
        counted = Metered(objective, budget)
        parts = Parts(evaluate, counted.meter, 2)
        data = parts("formula", lambda: self._formula(counted, source))
        data |= parts("network", lambda: self._network(counted, source))
        rows = (*self._minima(data), *self._judged(data))
        x = tuple(f"F.{r:g}" for r in (0.0, *self.radii))
        sheet = "What noise makes of x²/2 + (sin bx)/b, and the way of a network to its end"
        return Reproduction(
            data=data,
            status=outcome(rows),
            cost=counted.meter.read(),
            provenance=provenance(objective, self, (), source),
            paper=self.paper,
            rows=rows,
            rule="numbers of minima equal; a share counts as all from .95; a difference beyond two standard errors",
            panels=(
                Panel(sheet, 0, 0, x, x="x", labels=tuple(f"±{r:g}" for r in (0.0, *self.radii)), linear=True,
                      title="mean over noise", text="x"),
                Panel(sheet, 0, 1, ("along", "smoothed", "about", "other"), x="step", linear=True,
                      labels=("F", "F smoothed", "½ away", "to another end"), title="share that points to x_T",
                      text="step"),
            ),
            notes=(
                "The paper's networks are ResNet-34 and DenseNet-100 on CIFAR-10; it reports one exception early on, "
                "and a VGG that does not show it. Formula and network here are others.",
                "On x²/2 + (1/b) sin bx noise ±w multiplies the wave by sin(bw)/(bw): more noise is not always better.",
            ),
        )  # fmt: skip

    def landscape(self) -> Function:
        """x²/2 + sin(bx)/b, whose derivative is x + cos bx."""
        b = self.frequency
        return Function(lambda x: x[0] ** 2 / 2 + torch.sin(b * x[0]) / b, 1)

    def _formula(self, counted: Metered, source: Stream) -> dict[str, np.ndarray]:
        """Means over noise on a grid; minima as different ends of descents; ends with noise and without."""
        grid = torch.linspace(-SHOWN, SHOWN, 801, dtype=torch.float64)[:, None]
        begin = torch.linspace(-REACH, REACH, self.starts, dtype=torch.float64)[:, None]
        raw, lr = self.landscape(), 1 / (1 + self.frequency)
        found, counts = {"x": grid[:, 0].numpy()}, []
        for radius in (0.0, *self.radii):
            smooth = Smoothed(raw, radius, "uniform") if radius else raw
            found[f"F.{radius:g}"] = smooth.losses(grid).numpy()
            run = Descent(GradientDescent(lr), steps=400, every=400)(Metered(smooth, meter=counted.meter), begin)
            ends = np.sort(run.final[:, 0])
            counts.append(1 + int((np.diff(ends) > 0.5 / self.frequency).sum()))
            if not radius:
                found["ends.descent"] = run.final[:, 0]
        kick = self.radii[-1] / math.sqrt(3)  # the standard deviation of the largest noise
        noisy = SGLD(temperature=kick**2 / (2 * lr), lr=lr)
        run = Descent(noisy, steps=400, every=400)(Metered(raw, meter=counted.meter), begin, rng=source("noisy"))
        settled = Descent(GradientDescent(lr), steps=200, every=200)(raw, torch.tensor(run.final))
        return found | {"minima": np.array(counts), "ends.noisy": settled.final[:, 0]}

    def _minima(self, data: dict[str, np.ndarray]) -> list[Finding]:
        """Descending zeros of −(x + s·cos bx) are minima: those of the closed form, beside those found by descent."""
        x, rows = np.linspace(-1.5, 1.5, 300_001), []
        for radius, count in zip((0.0, *self.radii), data["minima"], strict=True):
            slope = x + np.sinc(self.frequency * radius / math.pi) * np.cos(self.frequency * x)
            law = int(((slope[:-1] < 0) & (slope[1:] >= 0)).sum())
            said = "closed form: minima of the mean over noise of this half-width"
            rows.append(Finding(f"minima_{radius:g}", said, law, int(count), None, law == count))
        return rows

    def _network(self, counted: Metered, source: Stream) -> dict[str, np.ndarray]:
        """Shares of positive inner products [pictures], and by seed."""
        risk = self.subject()
        begin = Classifier(self.hidden, rows=self.rows, test=0).starts(risk, self.seeds, source)  # type: ignore[arg-type]
        every = max(1, self.steps // self.pictures)
        run = Descent(GradientDescent(self.lr), steps=self.steps, batch=self.batch, every=every)(
            counted, begin, rng=source("run")
        )
        seen = torch.tensor(run.data["thetas"])  # [T, seeds, P]
        end, other = seen[-1], seen[-1].roll(1, 0)
        shares: dict[str, list[np.ndarray]] = {name: [] for name in ("along", "smoothed", "about", "other")}
        for t, here in enumerate(seen[:-1]):
            slope = counted.value_and_grad(here)[1]
            shares["along"].append(_towards(slope, here, end))
            shares["other"].append(_towards(slope, here, other))
            draws = source("picture", t)
            index = torch.randint(self.rows, (self.around * self.seeds, self.batch), generator=draws("rows").torch())
            wide = here.repeat(self.around, 1)
            landed = wide - self.lr * counted.rows(index).value_and_grad(wide)[1]
            mean = counted.value_and_grad(landed)[1].reshape(self.around, *here.shape).mean(0)
            shares["smoothed"].append(_towards(mean, here - self.lr * slope, end))
            away = torch.randn(wide.shape, generator=draws("away").torch(), dtype=wide.dtype)
            near = wide + 0.5 * away / away.norm(dim=1, keepdim=True)
            there = _towards(counted.value_and_grad(near)[1], near, end.repeat(self.around, 1))
            shares["about"].append(there.reshape(self.around, -1).mean(0))
        tables = {name: np.stack(x) for name, x in shares.items()}  # [pictures, seeds]
        found = {name: x.mean(1) for name, x in tables.items()}
        return found | {f"{n}.seeds": x.mean(0) for n, x in tables.items()} | {"step": run.data["steps"][:-1]}

    def _judged(self, data: dict[str, np.ndarray]) -> list[Finding]:
        rows = []
        said = {
            "along": "⟨−∇F(x_t), x_T − x_t⟩ > 0 along the run",
            "smoothed": "the same for F smoothed by minibatches (one-point convexity)",
            "about": "the same at points of radius ½ about x_t",
        }
        gain, about = interval(np.abs(data["ends.descent"]) - np.abs(data["ends.noisy"]))
        text = "|x| at the end of descents, less that after noise of the largest half-width"
        rows.append(Finding("noise_helps", text, None, gain, about, about[0] > 0))
        for name, text in said.items():
            ours, about = interval(data[f"{name}.seeds"])
            if about[0] == about[1] == 1:  # runs that are all alike bound the share no better than their number
                about = wilson(self.seeds, self.seeds)
            rows.append(Finding(name, f"share: {text}", 1.0, ours, about, ours >= 0.95))
        ours, about = interval(data["other.seeds"])
        rows.append(Finding("other_end", "control: towards the end of another run", None, ours, about))
        return rows


def _towards(slope: Tensor, here: Tensor, end: Tensor) -> np.ndarray:
    """Whether −slope points towards the end, [B]."""
    return ((-slope * (end - here)).sum(1) > 0).double().numpy()
