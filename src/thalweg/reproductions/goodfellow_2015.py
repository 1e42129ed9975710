"""Goodfellow, Vinyals & Saxe 2015 and Lucas et al. 2021: whether F falls along the straight line from start to end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Meter, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.descent import Adam, Descent, GradientDescent, Rule
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.records.reproductions import Panel, outcome
from thalweg.records.survival import wilson
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import Classifier, check_counts
from thalweg.reproductions.parts import Parts, interval

ROUNDING = 1e-9
"""A rise of F along a line up to this is rounding."""

Cell = tuple[str, float, bool]
"""Rule, rate, and whether there is BatchNorm."""


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
        cells: list[Cell] = [(kind, lr, norm) for norm in (False, True) for kind, lr in kinds]
        parts = Parts(evaluate, meter, len(cells))
        lines: dict[Cell, np.ndarray] = {}
        far: dict[Cell, np.ndarray] = {}
        for cell in cells:
            classifier = Classifier(self.hidden, norm=cell[2])
            found = parts(_name(cell), partial(self._lines, classifier, cell, meter, source))
            lines[cell], far[cell] = found["lines"], found["far"]
        rows = self._rows(lines, far)
        return Reproduction(
            data=self._data(lines, far),
            status=outcome(rows),
            cost=meter.read(),
            provenance=provenance(objective, self, (), source),
            paper=self.paper,
            rows=rows,
            rule="most lines of the smallest rate monotone; differences and the correlation beyond two standard errors",
            panels=self._panels(lines),
            notes=(
                "Neither statement comes with a number that digits could be held against; what is compared is their "
                "direction. The paper's networks are larger.",
                f"Runs that did not halve F, and are left out: {sum(int((~_trained(x)).sum()) for x in lines.values())}"
                f" of {len(cells) * self.seeds}.",
            ),
        )

    def _lines(self, classifier: Classifier, cell: Cell, meter: Meter, source: Stream) -> dict[str, np.ndarray]:
        """F [seeds, points] from start to end, and how far the end lies, ‖θ_T − θ_0‖/‖θ_0‖ [seeds]."""
        kind, lr, _ = cell
        risk = classifier.risk()
        counted = Metered(risk, meter=meter)
        starts = classifier.starts(risk, self.seeds, source)
        rule: Rule = GradientDescent(lr) if kind == "sgd" else Adam(lr)
        run = Descent(rule, steps=self.steps, batch=self.batch, every=self.steps)(counted, starts, rng=source("run"))
        ends, ts = torch.tensor(run.final), torch.linspace(0, 1, self.points, dtype=torch.float64)[:, None]
        view = counted.reporting()
        lines = [view.losses(a + ts * (b - a)).numpy() for a, b in zip(starts, ends, strict=True)]
        far: Tensor = (ends - starts).norm(dim=1) / starts.norm(dim=1)
        return {"lines": np.stack(lines), "far": far.numpy()}

    def _rows(self, lines: dict[Cell, np.ndarray], far: dict[Cell, np.ndarray]) -> tuple[Finding, ...]:
        rows, least = [], min(self.rates)
        for cell, line in lines.items():
            count, many = int(_monotone(line).sum()), int(_trained(line).sum())
            if many:
                plain = cell == ("sgd", least, False)
                said = f"share of monotone lines, {many} runs" + (
                    "; “no obstacles”, Goodfellow et al." if plain else ""
                )
                low, high = wilson(count, many)
                rows.append(
                    Finding(_name(cell), said, 1.0 if plain else None, count / many, (low, high),
                            low > 0.5 if plain else None)
                )  # fmt: skip
        fails = {cell: np.where(_trained(x), 1.0 - _monotone(x), np.nan) for cell, x in lines.items()}

        def mean(*wanted: Cell) -> np.ndarray:
            """The share of a start's lines that fail, of those that were trained, [seeds]."""
            found: np.ndarray = np.array([x[~np.isnan(x)].mean() if (~np.isnan(x)).any() else np.nan
                                          for x in np.array([fails[c] for c in wanted]).T])  # fmt: skip
            return found

        def every(kind: str) -> list[Cell]:
            return [c for c in lines if c[0] == kind and not c[2]]

        differences = {
            "larger_rate_sgd": mean(("sgd", max(self.rates), False)) - mean(("sgd", least, False)),
            "larger_rate_adam": mean(("adam", max(self.adam), False)) - mean(("adam", min(self.adam), False)),
            "batchnorm": mean(*(c for c in lines if c[2])) - mean(*(c for c in lines if not c[2])),
            "adam": mean(*every("adam")) - mean(*every("sgd")),
        }
        for name, values in differences.items():
            if np.isfinite(values).sum() < 2:
                continue
            ours, about = interval(values[np.isfinite(values)])
            said = "difference in the share of lines that fail, with and without; Lucas et al."
            rows.append(Finding(name, said, None, ours, about, about[0] > 0))
        bumps = np.concatenate([_bump(x)[_trained(x)] for x in lines.values()])
        reach = np.concatenate([far[c][_trained(x)] for c, x in lines.items()])
        if len(set(bumps)) > 1:  # else no line rises, and there is nothing to correlate
            rank = float(stats.spearmanr(reach, bumps).statistic)
            low, high = np.tanh(np.arctanh(rank) + np.array([-2, 2]) / max(len(bumps) - 3, 1) ** 0.5)
            said = "rank correlation of distance moved and rise of F, all runs; Lucas et al."
            rows.append(Finding("distance", said, None, rank, (float(low), float(high)), bool(low > 0)))
        return tuple(rows)

    def _data(self, lines: dict[Cell, np.ndarray], far: dict[Cell, np.ndarray]) -> dict[str, np.ndarray]:
        data = {"t": np.linspace(0, 1, self.points)}
        for cell, line in lines.items():
            data |= {f"{_name(cell)}.lines": line, f"{_name(cell)}.far": far[cell], f"{_name(cell)}.bump": _bump(line)}
            data[f"{_name(cell)}.median"] = np.median(line, axis=0)
        return data

    def _panels(self, lines: dict[Cell, np.ndarray]) -> tuple[Panel, ...]:
        """Medians over the runs, and the line that rises most."""
        found = []
        for row, norm in enumerate((False, True)):
            for column, kind in enumerate(("sgd", "adam")):
                cells = [c for c in lines if c[0] == kind and c[2] == norm]
                found.append(
                    Panel("F from the start (0) to the end (1), medians over runs", row, column,
                          tuple(f"{_name(c)}.median" for c in cells), x="t", linear=True,
                          labels=tuple(f"rate {c[1]:g}" for c in cells),
                          title={"sgd": "SGD", "adam": "Adam"}[kind] + (", BatchNorm" if norm else ""),
                          text="share of the way")
                )  # fmt: skip
        for row, norm in enumerate((False, True)):
            worst = max((c for c in lines if c[2] == norm), key=lambda c: _bump(lines[c]).max())
            found.append(
                Panel("F from the start (0) to the end (1), medians over runs", row, 2, (f"{_name(worst)}.lines",),
                      x="t", index=(int(_bump(lines[worst]).argmax()),), linear=True,
                      labels=(f"{worst[0]}, rate {worst[1]:g}",),
                      title="the line that rises most" + (", BatchNorm" if norm else ""), text="share of the way")
            )  # fmt: skip
        return tuple(found)


def _name(cell: Cell) -> str:
    return f"{cell[0]}_{cell[1]:g}" + ("_batchnorm" if cell[2] else "")


def _bump(line: np.ndarray) -> np.ndarray:
    """The largest rise of F from a point to a later one, [n]."""
    found: np.ndarray = (line - np.minimum.accumulate(line, axis=1)).max(1)
    return found


def _monotone(line: np.ndarray) -> np.ndarray:
    found: np.ndarray = _trained(line) & (_bump(line) <= ROUNDING)
    return found


def _trained(line: np.ndarray) -> np.ndarray:
    found: np.ndarray = line[:, -1] < line[:, 0] / 2
    return found
