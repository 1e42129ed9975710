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
from thalweg.records import Finding, Reproduction
from thalweg.records.reproductions import Panel
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import Classifier, check_counts
from thalweg.reproductions.parts import Parts, above_zero, below_zero, mean_row, side_by_side
from thalweg.trajectories.matched import MATCHED, matched_points

RATIO = float(np.log10(205.14 / 1.23))
"""Sharpness of large over small batches in powers of ten: F1 (MNIST), box of 1e-3 (Table 3)."""

ACCURACY = 97.81 - 98.03
"""Points of test accuracy of large less those of small batches: F1 (Table 2)."""


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
        rows = self._rows(values)
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
            panels=_panels(),
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

    def _rows(self, values: dict[tuple[str, str], dict[str, np.ndarray]]) -> tuple[Finding, ...]:
        rows = []
        for matched in MATCHED:
            small, large = values[matched, "small"], values[matched, "large"]
            first = matched == "epochs"  # what was published
            for name in self.measures:
                with np.errstate(divide="ignore", invalid="ignore"):
                    logs = np.log10(large[name]) - np.log10(small[name])
                if not np.isfinite(logs).all():  # a measure that is zero, negative or unknown somewhere
                    continue
                said = f"log10 of {name}, large over small, matched {matched}"
                known = RATIO if first and name == "keskar" else None
                rows.append(mean_row(f"{name.replace(' ', '_')}_{matched}", said, logs, known, above_zero))
            train = large["train_loss"] - small["train_loss"]
            gap = (large["test_loss"] - large["train_loss"]) - (small["test_loss"] - small["train_loss"])
            said = f"points of test accuracy, large less small, matched {matched}"
            points = 100 * (large["accuracy"] - small["accuracy"])
            rows.append(mean_row(f"accuracy_{matched}", said, points, ACCURACY if first else None, below_zero))
            rows.append(mean_row(f"gap_{matched}", "loss on test less on training rows, large less small", gap))
            rows.append(mean_row(f"train_{matched}", "training loss, large less small", train))
        return tuple(rows)


def _panels() -> tuple[Panel, ...]:
    labels = ("small", "large")
    curves = ("means over starts", [f"loss.{n}.shown" for n in labels], labels)
    points = [(f"matched {m}", [f"{m}.{n}.points" for n in labels], labels) for m in MATCHED]
    (loss,) = side_by_side("Training loss against updates", "updates.small", curves, text="updates", linear=False)
    return (loss, *side_by_side("Sharpness (Keskar), one point a start", "start", *points, text="start", linear=False))
