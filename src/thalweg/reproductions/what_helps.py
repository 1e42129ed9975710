"""What makes training work: success and steps of descent, one factor changed at a time from a plain deep network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Meter, Metered
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream, stream
from thalweg.descent import Descent, GradientDescent, Momentum
from thalweg.errors import InputError
from thalweg.records import Reproduction, RunStatus
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import check_counts
from thalweg.reproductions.layered_weights import INITIAL, Layered
from thalweg.reproductions.parts import Parts, side_by_side
from thalweg.reproductions.what_helps_rows import compared


@dataclass(frozen=True)
class WhatHelps(Published):
    """Rectified layers on digits by full-batch descent: whether F falls below ``goal`` within ``steps``, and when.

    The plain network has ``depth`` hidden layers of ``width`` units, Xavier weights, no momentum, BatchNorm or skips.
    Every cell changes one of these and takes the one of ``rates`` at which its ``starts`` need the fewest steps, those
    that fail counted with all of them. With momentum m, whose steps are 1/(1 − m) times as long in the end, (1 − m)
    times each rate is tried as well.

    Raises
    ------
    InputError
        If a count is too small, or a rate or the goal not positive.
    """

    paper: ClassVar[str] = "Sun et al. 2020; Chen 2016"
    seconds: ClassVar[int] = 35

    width: int = 16
    depth: int = 5
    rows: int = 100
    starts: int = 24
    steps: int = 200
    rates: tuple[float, ...] | list[float] = (0.1, 0.4)
    goal: float = 0.5

    def __post_init__(self) -> None:
        check_counts(2, depth=self.depth, starts=self.starts, steps=self.steps)
        check_counts(10, width=self.width, rows=self.rows)
        if not self.rates or min(*self.rates, self.goal) <= 0:
            raise InputError(f"rates={self.rates}, goal={self.goal}: all must be positive")

    @property
    def cells(self) -> Mapping[str, tuple[Layered, float]]:
        """The network and the momentum of every cell; the first is the plain one."""
        base = Layered(self.width, self.depth)
        return {
            "plain": (base, 0.0),
            **{name: (replace(base, initial=name), 0.0) for name in INITIAL if name != base.initial},
            "momentum": (base, 0.9),
            "batchnorm": (replace(base, norm=True), 0.0),
            "skips": (replace(base, skip=True), 0.0),
            "wider": (replace(base, width=2 * self.width), 0.0),
            "shallower": (replace(base, depth=max(1, self.depth // 3)), 0.0),
            "deeper": (replace(base, depth=2 * self.depth), 0.0),
        }

    def subject(self, rng: int | Stream = 0) -> Objective:
        """The plain network."""
        return Layered(self.width, self.depth).risk(self.rows)

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Every cell at every rate."""
        source, objective = stream(rng)("what_helps"), self.subject(rng)
        meter = Metered(objective, budget).meter
        tried = {name: self._tried(momentum) for name, (_, momentum) in self.cells.items()}
        parts = Parts(evaluate, meter, sum(map(len, tried.values())))
        best: dict[str, tuple[float, np.ndarray, np.ndarray]] = {}
        for name, (network, momentum) in self.cells.items():
            for i, lr in enumerate(tried[name]):
                run = partial(self._run, network, momentum, lr, meter, source)
                found = parts(f"{name}.{i}", run)
                if name not in best or found["steps"].mean() < best[name][1].mean():
                    best[name] = lr, found["steps"], found["reached"].astype(bool)
        rows = compared(best)
        grid = np.arange(0, self.steps + 1.0)
        data: dict[str, np.ndarray] = {"step": grid}
        for name, (lr, steps, reached) in best.items():
            below = (steps[:, None] <= grid) & reached[:, None]
            data |= {f"{name}.share": below.mean(0), f"{name}.steps": steps, f"{name}.rate": np.array(lr)}
        others = ("plain", "momentum", "batchnorm", "skips", "wider", "shallower", "deeper")
        shown = (("first weights", ("plain", *(n for n in INITIAL if n in best))), ("one factor", others))
        return self.record(
            objective,
            source,
            rows,
            data=data,
            cost=meter.read(),
            rule="steps saved are more than two standard errors above 0, or below it for what is said to harm",
            panels=side_by_side(
                f"Share of {self.starts} starts with F below {self.goal:g}, against steps",
                "step",
                *((title, [f"{n}.share" for n in names], ("plain, Xavier", *names[1:])) for title, names in shown),
                text="step",
            ),
            notes=(
                "Rates: " + ", ".join(f"{n} {lr:g}" for n, (lr, _, _) in best.items()) + ".",
                "The sources name these factors without numbers; what is compared is the direction.",
            ),
        )  # fmt: skip

    def _tried(self, momentum: float) -> tuple[float, ...]:
        """The rates of a cell, the smaller ones of momentum after those of all."""
        return (*self.rates, *((1 - momentum) * lr for lr in self.rates if momentum))

    def _run(self, network: Layered, momentum: float, lr: float, meter: Meter, source: Stream) -> dict[str, np.ndarray]:
        """Steps to the goal [starts], all of them where it is not reached, and whether it is."""
        risk: EmpiricalRisk = network.risk(self.rows)
        thetas: Tensor = torch.stack([network.start(risk, source("start", s)) for s in range(self.starts)])
        rule = Momentum(lr, momentum) if momentum else GradientDescent(lr)
        run = Descent(rule, steps=self.steps, every=self.steps, stop_loss=self.goal)(Metered(risk, meter=meter), thetas)
        reached = np.array([e is RunStatus.LOSS for e in run.endings])
        return {"steps": np.where(reached, run.data["ended"], self.steps).astype(float), "reached": reached}
