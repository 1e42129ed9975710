"""Kleinberg, Li & Yuan 2018: noise smooths the landscape, and along a run the gradient points to where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.descent import Descent, GradientDescent
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.records.survival import wilson
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import Classifier, check_counts
from thalweg.reproductions.kleinberg_2018_wave import Wave
from thalweg.reproductions.parts import Parts, above_zero, interval, mean_row, side_by_side
from thalweg.trajectories.towards import towards_end


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
        wave = Wave(self.frequency, tuple(self.radii))
        counted = Metered(objective, budget)
        parts = Parts(evaluate, counted.meter, 2)
        data = parts("formula", lambda: wave.descents(self.starts, counted.meter, source("noisy")))
        data |= parts("network", lambda: self._network(counted, source))
        rows = (*wave.minima(data["minima"]), *self._judged(data))
        sheet = "What noise makes of x²/2 + (sin bx)/b, and the way of a network to its end"
        widths, ways = (0.0, *self.radii), ("F", "F smoothed", "½ away", "to another end")
        means = ("mean over noise", [f"F.{r:g}" for r in widths], [f"±{r:g}" for r in widths])
        shares = ("share that points to x_T", ("along", "smoothed", "about", "other"), ways)
        return self.record(
            objective,
            source,
            rows,
            data=data,
            cost=counted.meter.read(),
            rule="numbers of minima equal; a share counts as all from .95; a difference beyond two standard errors",
            panels=(
                *side_by_side(sheet, "x", means, text="x"),
                *side_by_side(sheet, "step", shares, text="step", first=1),
            ),
            notes=(
                "The paper's networks are ResNet-34 and DenseNet-100 on CIFAR-10; it reports one exception early on, "
                "and a VGG that does not show it. Formula and network here are others.",
                "On x²/2 + (1/b) sin bx noise ±w multiplies the wave by sin(bw)/(bw): more noise is not always better.",
            ),
        )  # fmt: skip

    def _network(self, counted: Metered, source: Stream) -> dict[str, np.ndarray]:
        """Shares of positive inner products [pictures], and by seed."""
        risk = self.subject()
        begin = Classifier(self.hidden, rows=self.rows, test=0).starts(risk, self.seeds, source)  # type: ignore[arg-type]
        every = max(1, self.steps // self.pictures)
        run = Descent(GradientDescent(self.lr), steps=self.steps, batch=self.batch, every=every)(
            counted, begin, rng=source("run")
        )
        path = torch.tensor(run.data["thetas"])
        tables = towards_end(counted, path, self.lr, self.batch, around=self.around, rng=source)
        found = {name: x.mean(1) for name, x in tables.items()}
        return found | {f"{n}.seeds": x.mean(0) for n, x in tables.items()} | {"step": run.data["steps"][:-1]}

    def _judged(self, data: dict[str, np.ndarray]) -> list[Finding]:
        said = {
            "along": "⟨−∇F(x_t), x_T − x_t⟩ > 0 along the run",
            "smoothed": "the same for F smoothed by minibatches (one-point convexity)",
            "about": "the same at points of radius ½ about x_t",
        }
        gain = np.abs(data["ends.descent"]) - np.abs(data["ends.noisy"])
        text = "|x| at the end of descents, less that after noise of the largest half-width"
        rows = [mean_row("noise_helps", text, gain, None, above_zero)]
        for name, text in said.items():
            ours, about = interval(data[f"{name}.seeds"])
            if about[0] == about[1] == 1:  # runs that are all alike bound the share no better than their number
                about = wilson(self.seeds, self.seeds)
            rows.append(Finding(name, f"share: {text}", 1.0, ours, about, ours >= 0.95))
        control = "control: towards the end of another run"
        return [*rows, mean_row("other_end", control, data["other.seeds"])]
