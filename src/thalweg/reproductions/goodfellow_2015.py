"""Goodfellow, Vinyals & Saxe 2015 and Lucas et al. 2021: whether F falls along the straight line from start to end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import Classifier, check_counts
from thalweg.reproductions.goodfellow_2015_lines import Cell, panels
from thalweg.reproductions.parts import Parts, above_zero, mean_row, rank_row, share_row
from thalweg.trajectories.lines import LinesToEnd, share_rising


@dataclass(frozen=True)
class Goodfellow2015(Published):
    """Digits, ``seeds`` starts for every rate of SGD and of Adam, with BatchNorm and without; ``points`` on each line.

    A line is monotone where F rises between no two of its points, one after the other; normalising layers estimate
    their statistics anew at each. A run counts where it at least halves F. Claims: lines of plain networks are monotone
    (Goodfellow et al.); larger rates, BatchNorm and Adam, which take the weights farther, make lines that are not
    (Lucas et al., abstract).

    Raises
    ------
    InputError
        If there are fewer than 4 seeds or points or 2 rates of a rule, or a number is out of range.
    """

    paper: ClassVar[str] = "Goodfellow, Vinyals & Saxe 2015; Lucas et al. 2021"
    seconds: ClassVar[int] = 110

    hidden: tuple[int, ...] = (32, 32)
    seeds: int = 16
    steps: int = 440
    batch: int = 64
    rates: tuple[float, ...] | list[float] = (0.1, 0.2, 0.4)
    adam: tuple[float, ...] | list[float] = (0.003, 0.01, 0.03, 0.06)
    points: int = 51

    def __post_init__(self) -> None:
        check_counts(4, seeds=self.seeds, points=self.points)
        check_counts(1, steps=self.steps, batch=self.batch)
        if min(len(set(self.rates)), len(set(self.adam))) < 2 or min(*self.rates, *self.adam) <= 0:
            raise InputError(f"rates={self.rates}, adam={self.adam}: at least two positive rates of each rule")

    def subject(self, rng: int | Stream = 0) -> Objective:
        """The digits and the network without BatchNorm."""
        return Classifier(self.hidden).risk()

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Train every cell and draw its lines."""
        source, objective = stream(rng)("goodfellow_2015"), self.subject(rng)
        meter = Metered(objective, budget).meter
        kinds = [("sgd", lr) for lr in sorted(self.rates)] + [("adam", lr) for lr in sorted(self.adam)]
        cells = [Cell(kind, lr, norm) for norm in (False, True) for kind, lr in kinds]
        parts = Parts(evaluate, meter, len(cells))
        lines: dict[Cell, LinesToEnd] = {}
        far: dict[Cell, np.ndarray] = {}
        for cell in cells:
            train = partial(cell.lines, self.hidden, self.seeds, self.steps, self.batch, self.points)
            found = parts(cell.name, partial(train, meter=meter, source=source))
            lines[cell], far[cell] = LinesToEnd(found["lines"]), found["far"]
        rows = self._rows(lines, far)
        return self.record(
            objective,
            source,
            rows,
            data=self._data(lines, far),
            cost=meter.read(),
            rule="most lines of the smallest rate monotone; differences and the correlation beyond two standard errors",
            panels=panels(lines),
            notes=(
                "Neither statement comes with a number that digits could be held against; what is compared is their "
                "direction. The paper's networks are larger.",
                f"Runs that did not halve F, and are left out: {sum(int((~x.trained).sum()) for x in lines.values())}"
                f" of {len(cells) * self.seeds}.",
            ),
        )

    def _rows(self, lines: dict[Cell, LinesToEnd], far: dict[Cell, np.ndarray]) -> tuple[Finding, ...]:
        rows, least = [], min(self.rates)
        for cell, line in lines.items():
            count, many = int(line.monotone.sum()), int(line.trained.sum())
            if many:
                plain = cell == Cell("sgd", least, False)
                said = f"share of monotone lines, {many} runs{'; “no obstacles”, Goodfellow et al.' * plain}"
                known: tuple[Any, ...] = (1.0, lambda low, _: low > 0.5) if plain else ()
                rows.append(share_row(cell.name, said, count, many, *known))

        def rising(*kinds: str, norm: bool = False, lr: float | None = None) -> np.ndarray:
            cells = [c for c in lines if c.kind in kinds and c.norm == norm and lr in (None, c.lr)]
            return share_rising([lines[c] for c in cells])

        differences = {
            "larger_rate_sgd": rising("sgd", lr=max(self.rates)) - rising("sgd", lr=least),
            "larger_rate_adam": rising("adam", lr=max(self.adam)) - rising("adam", lr=min(self.adam)),
            "batchnorm": rising("sgd", "adam", norm=True) - rising("sgd", "adam"),
            "adam": rising("adam") - rising("sgd"),
        }
        for name, values in differences.items():
            finite, said = values[np.isfinite(values)], "difference in the share of lines that fail, with and without; "
            if len(finite) > 1:
                rows.append(mean_row(name, f"{said}Lucas et al.", finite, None, above_zero))
        bumps = np.concatenate([x.rise[x.trained] for x in lines.values()])
        reach = np.concatenate([far[c][x.trained] for c, x in lines.items()])
        if len(set(bumps)) > 1:  # else no line rises, and there is nothing to correlate
            said = "rank correlation of distance moved and rise of F, all runs; Lucas et al."
            rows.append(rank_row("distance", said, reach, bumps, above_zero))
        return tuple(rows)

    def _data(self, lines: dict[Cell, LinesToEnd], far: dict[Cell, np.ndarray]) -> dict[str, np.ndarray]:
        data = {"t": np.linspace(0, 1, self.points)}
        for cell, line in lines.items():
            name = cell.name
            data |= {f"{name}.lines": line.values, f"{name}.far": far[cell], f"{name}.bump": line.rise}
            data[f"{name}.median"] = np.median(line.values, axis=0)
        return data
