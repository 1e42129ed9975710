"""The networks that are compared: plain, residual and densely connected, trained alike and drawn alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from thalweg import zoo
from thalweg.core.metered import Meter, Metered
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream
from thalweg.core.space import ParameterSpace, Point
from thalweg.descent import Descent, Momentum, Scheduled
from thalweg.errors import InputError
from thalweg.records import Run, Surface
from thalweg.reproductions.li_2018_measures import height, nonconvex, surviving
from thalweg.slices import Dense, Plane, Sample
from thalweg.slices.rules import Norm
from thalweg.zoo import networks
from thalweg.zoo.datasets import load

Kind = Literal["plain", "residual", "dense"]

RULES: dict[str, Norm] = {"filter": "filter", "gaussian": "whole"}
"""Directions that are drawn around a network, by name; a Gaussian one is brought to the length of theta.

Without that its reach would be set by the number of weights and not by the network.
"""

DIGITS_TEST = 297
"""At least this many of scikit-learn's 1,797 digits are kept for testing; the other data sets have a test split."""


@dataclass(frozen=True)
class Member:
    """One architecture: ``width`` is the factor on the base width."""

    kind: Kind
    depth: int
    width: float

    def __str__(self) -> str:
        return f"{self.kind}_{self.depth}_x{self.width:g}".replace(".", "_")  # a dot ends the name of an array's owner


@dataclass(frozen=True)
class Recipe:
    """How every network is built, trained and drawn; fields as in :class:`thalweg.reproductions.li_2018.Li2018`."""

    dataset: str
    data: str | None
    rows: int | None
    base: float
    growth: int
    norm: str
    steps: int
    batch: int
    lr: float
    grid: int
    half_width: float
    sample: int | None
    repeats: int
    seeds: int
    device: str
    backend: str

    def risk(self, member: Member) -> EmpiricalRisk:
        """The network on the training rows."""
        make = zoo.densenet if member.kind == "dense" else zoo.resnet
        rows = {"dataset": self.dataset, "data": self.data, "rows": self.rows}
        found: EmpiricalRisk = make(**self.architecture(member), **rows)  # type: ignore[arg-type]
        found = found.with_backend(self.backend)
        return found if self.device == "cpu" else found.to(device=self.device)

    def architecture(self, member: Member) -> dict[str, Any]:
        """What both the zoo's subjects and its networks are given."""
        if member.kind != "dense":
            skip = member.kind == "residual"
            return {"depth": member.depth, "width": self.base * member.width, "skip": skip, "norm": self.norm}
        growth = self.growth * member.width
        if growth % 1:
            raise InputError(f"growth={self.growth}, width ×{member.width}: their product must be a whole number")
        # DenseNet-BC has 6n + 4 layers and a ResNet 6n + 2: the nearest depth that has as many blocks
        return {"depth": member.depth + 2, "growth": int(growth), "norm": self.norm}

    def starts(self, member: Member, space: ParameterSpace, rng: Stream) -> Tensor:
        """Initial parameters of all seeds [S, P]; a network's initial seed does not depend on its kind."""
        image = load(self.dataset, self.data, rows=1)
        make = networks.densenet if member.kind == "dense" else networks.resnet
        common = {**self.architecture(member), "classes": image.classes, "channels": image.channels}
        models = [make(**common, seed=rng("initial", s).entropy % 2**31) for s in range(self.seeds)]
        return torch.stack([space.ravel(dict(model.named_parameters())) for model in models])

    def test(self) -> tuple[Tensor, Tensor]:
        """Images and labels that no network is trained on."""
        if self.dataset != "digits":
            images = load(self.dataset, self.data, split="test")
            return images.inputs, images.labels
        images, rows = load("digits"), self.rows or 0
        if not 1 <= rows <= len(images.labels) - DIGITS_TEST:
            raise InputError(f"rows={self.rows}: of the {len(images.labels):,} digits at most "
                             f"{len(images.labels) - DIGITS_TEST:,} train, so that some are left to test")  # fmt: skip
        return images.inputs[rows:], images.labels[rows:]

    def descent(self, every: int | None = None) -> Descent:
        """Momentum 0.9 with a rate that falls to zero along a cosine."""
        rule = Scheduled(Momentum(self.lr, 0.9), steps=self.steps, shape="cosine")
        return Descent(rule, steps=self.steps, batch=self.batch, every=every or self.steps)

    def train(self, member: Member, rng: Stream, meter: Meter, every: int | None = None) -> tuple[Metered, Run]:
        """All seeds' networks, side by side."""
        risk = Metered(self.risk(member), meter=meter)
        return risk, self.descent(every)(risk, self.starts(member, risk.space, rng), rng=rng(str(member)))

    def plane(self, risk: Metered, point: Point, norm: Norm, rng: Stream) -> Surface:
        """The surface around a point."""
        fill = Dense() if self.sample is None else Sample(rows=self.sample)
        return Plane(steps=self.grid, half_width=self.half_width, norm=norm, fill=fill)(risk, point, rng=rng)

    def study(self, member: Member, rules: tuple[str, ...], rng: Stream, meter: Meter) -> dict[str, np.ndarray]:
        """Train, test and draw: ``loss``, ``train_error`` and ``test_error`` [S] (errors in percent) and measures.

        For each rule ``RULE.loss`` [S, R, n, n] are the surfaces; ``RULE.basins``, ``RULE.nonconvex`` and
        ``RULE.height`` [S, R] are what is read off them.
        """
        risk, run = self.train(member, rng, meter)
        finals = torch.from_numpy(run.final.copy()).to(risk.space.device)
        points = [risk.point(theta, f"network {s + 1}") for s, theta in enumerate(finals)]
        rows = self.test()
        accuracy = [float(_accuracy(risk.at(p).with_data(rows), p)) for p in points]
        found = {
            "loss": run.final_loss,
            "train_error": 100 * (1 - run.data["accuracy"][-1]),
            "test_error": 100 * (1 - np.array(accuracy)),
        }
        for rule in rules:
            drawn = [
                [self.plane(risk, p, RULES[rule], rng("directions", s, r)) for r in range(self.repeats)]
                for s, p in enumerate(points)
            ]
            measures = {
                "loss": lambda x: x.loss,
                "basins": surviving,
                "nonconvex": lambda x: nonconvex(x.loss, risk.tolerance),
                "height": lambda x: height(x.loss),
            }
            found |= {
                f"{rule}.{name}": np.array([[measure(x) for x in row] for row in drawn])
                for name, measure in measures.items()
            }
        return {name: np.asarray(value, dtype=np.float64) for name, value in found.items()}


def _accuracy(risk: Objective, point: Point) -> Tensor:
    return risk.evaluate(point.theta[None])["accuracy"][0]
