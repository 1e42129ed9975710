"""Keskar et al. 2017: whether large batches end at sharper points, at matched epochs, updates and training loss."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Meter, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.curvature import Sharpness
from thalweg.descent import Adam, Descent
from thalweg.errors import InputError
from thalweg.records import Reproduction
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import Classifier, check_counts
from thalweg.reproductions.keskar_2017_rows import compared, panels
from thalweg.reproductions.parts import Parts
from thalweg.trajectories.matched import MATCHED, matched_points


@dataclass(frozen=True)
class Keskar2017(Published):
    """The same ``seeds`` starts with batches of ``small`` rows and of a tenth of the rows, by Adam at ``lr``.

    Both are compared after ``epochs`` epochs; after as many updates as small batches make in them; and where the
    training loss first comes down to that of large batches after the epochs, a picture taken every epoch of those.
    ``measures`` are those of :class:`thalweg.curvature.Sharpness`; a row is log10 of large over small, by pairs.
    ``dataset="mnist"`` with ``data=FOLDER`` takes other images. Claims: large batches end sharper, and test worse.

    Raises
    ------
    InputError
        If there are fewer than 3 seeds, a number is below 1, or the small batch is no smaller than the large one.
    """

    paper: ClassVar[str] = "Keskar, Mudigere, Nocedal, Smelyanskiy & Tang 2017"
    seconds: ClassVar[int] = 30

    dataset: str = "digits"
    data: str | None = None
    rows: int | None = None
    test: int = 400
    hidden: tuple[int, ...] = (32,)
    seeds: int = 4
    epochs: int = 15
    small: int = 16
    lr: float = 3e-3
    measures: tuple[str, ...] = ("keskar", "largest eigenvalue", "trace", "adaptive average")
    draws: int = 4

    def __post_init__(self) -> None:
        check_counts(3, seeds=self.seeds)
        check_counts(1, epochs=self.epochs, small=self.small, test=self.test)
        if "keskar" not in self.measures:
            raise InputError(f"measures={self.measures}: 'keskar' is the paper's and must be among them")
        Sharpness(only=self.measures, draws=self.draws)

    def subject(self, rng: int | Stream = 0) -> Objective:
        """The images and the network."""
        return self._classifier().risk()

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Train with both batches, find the points to compare, and measure them."""
        source, risk = stream(rng)("keskar_2017"), self._classifier().risk()
        large = -(-risk.row_count // 10)
        if self.small >= large:
            raise InputError(f"small={self.small}: a tenth of the rows is {large}; take less, or more rows")
        counted = Metered(risk, budget)
        parts = Parts(evaluate, counted.meter, 2 + (2 * len(MATCHED) - 1) * self.seeds)
        starts = self._classifier().starts(risk, self.seeds, source)
        updates = self.epochs * -(-risk.row_count // self.small)

        def train(batch: int) -> dict[str, np.ndarray]:
            descent = Descent(Adam(self.lr), steps=updates, batch=batch, every=10)
            run = descent(counted, starts, rng=source("rows"))
            return {name: run.data[name] for name in ("steps", "loss", "thetas")}

        runs = {"small": parts("small", partial(train, self.small)), "large": parts("large", partial(train, large))}
        points = matched_points(runs["small"], runs["large"], 10 * self.epochs)  # ten updates an epoch
        tables = {
            key: [
                parts(f"{'-'.join(key)} {s}", partial(self._measured, counted.meter, thetas[s], source("sharp", s)))
                for s in range(self.seeds)
            ]
            for key, thetas in points.items()
        }
        values = {k: {n: np.array([float(t[n]) for t in found]) for n in found[0]} for k, found in tables.items()}
        values["updates", "small"] = values["epochs", "small"]
        rows = compared(self.measures, values)
        data = {f"{'.'.join(k)}.{name}": x for k, found in values.items() for name, x in found.items()}
        data["start"] = np.arange(self.seeds, dtype=float)
        data |= {f"{'.'.join(k)}.points": found["keskar"] for k, found in values.items()}
        for name, run in runs.items():
            data |= {f"updates.{name}": run["steps"].astype(float), f"loss.{name}": run["loss"].mean(1)}
        grid = data["updates.small"]
        data |= {f"loss.{n}.shown": np.interp(grid, data[f"updates.{n}"], data[f"loss.{n}"]) for n in runs}
        return self.record(
            risk,
            source,
            rows,
            data=data,
            cost=counted.meter.read(),
            rule="log10 of large over small above zero by two standard errors over pairs; test accuracy below",
            panels=panels(),
            notes=(
                f"Batches of {self.small} and {large} of {risk.row_count:,} rows, {updates:,} updates. What was "
                "published is of larger networks trained longer; signs are compared.",
            ),
        )

    def _classifier(self) -> Classifier:
        return Classifier(self.hidden, self.dataset, self.data, self.rows, self.test)

    def _measured(self, meter: Meter, theta: np.ndarray, rng: Stream) -> dict[str, np.ndarray]:
        risk = Metered(self._classifier().risk(), meter=meter)
        table = Sharpness(only=self.measures, draws=self.draws)(risk, torch.tensor(theta), rng=rng)
        test = risk.test
        assert test is not None
        held = test.evaluate(torch.tensor(theta)[None])
        found = {m.name: np.nan if m.value is None else m.value for m in table.measures}
        found |= {"train_loss": table.value, "test_loss": float(held["loss"]), "accuracy": float(held["accuracy"])}
        return {name: np.array(x) for name, x in found.items()}
