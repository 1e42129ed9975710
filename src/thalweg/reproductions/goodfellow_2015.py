"""Goodfellow, Vinyals & Saxe 2015 and Lucas et al. 2021: whether F falls along the straight line from start to end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from scipy import stats

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Meter, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.descent import Adam, Descent, GradientDescent, Rule
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.records.reproductions import Panel
from thalweg.records.survival import wilson
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import Classifier, check_counts
from thalweg.reproductions.parts import Parts, above_zero, mean_row, side_by_side
from thalweg.trajectories.lines import LinesToEnd

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
        lines: dict[Cell, LinesToEnd] = {}
        far: dict[Cell, np.ndarray] = {}
        for cell in cells:
            classifier = Classifier(self.hidden, norm=cell[2])
            found = parts(_name(cell), partial(self._lines, classifier, cell, meter, source))
            lines[cell], far[cell] = LinesToEnd(found["lines"]), found["far"]
        rows = self._rows(lines, far)
        return self.record(
            objective,
            source,
            rows,
            data=self._data(lines, far),
            cost=meter.read(),
            rule="most lines of the smallest rate monotone; differences and the correlation beyond two standard errors",
            panels=_panels(lines),
            notes=(
                "Neither statement comes with a number that digits could be held against; what is compared is their "
                "direction. The paper's networks are larger.",
                f"Runs that did not halve F, and are left out: {sum(int((~x.trained).sum()) for x in lines.values())}"
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
        ends = torch.tensor(run.final)
        far = (ends - starts).norm(dim=1) / starts.norm(dim=1)
        return {"lines": LinesToEnd.between(counted, starts, ends, self.points).values, "far": far.numpy()}

    def _rows(self, lines: dict[Cell, LinesToEnd], far: dict[Cell, np.ndarray]) -> tuple[Finding, ...]:
        rows, least = [], min(self.rates)
        for cell, line in lines.items():
            count, many = int(line.monotone.sum()), int(line.trained.sum())
            if many:
                plain = cell == ("sgd", least, False)
                said = f"share of monotone lines, {many} runs{'; “no obstacles”, Goodfellow et al.' * plain}"
                low, high = wilson(count, many)
                known, agrees = (1.0, low > 0.5) if plain else (None, None)
                rows.append(Finding(_name(cell), said, known, count / many, (low, high), agrees))
        fails = {cell: np.where(x.trained, 1.0 - x.monotone, np.nan) for cell, x in lines.items()}

        def mean(*wanted: Cell) -> np.ndarray:
            """The share of a start's lines that fail, of those that were trained, [seeds]."""
            each = np.array([fails[c] for c in wanted])
            many, failed = (~np.isnan(each)).sum(0), np.nansum(each, axis=0)
            return np.divide(failed, many, out=np.full(len(many), np.nan), where=many > 0)

        def every(kind: str) -> list[Cell]:
            return [c for c in lines if c[0] == kind and not c[2]]

        differences = {
            "larger_rate_sgd": mean(("sgd", max(self.rates), False)) - mean(("sgd", least, False)),
            "larger_rate_adam": mean(("adam", max(self.adam), False)) - mean(("adam", min(self.adam), False)),
            "batchnorm": mean(*(c for c in lines if c[2])) - mean(*(c for c in lines if not c[2])),
            "adam": mean(*every("adam")) - mean(*every("sgd")),
        }
        for name, values in differences.items():
            known, said = values[np.isfinite(values)], "difference in the share of lines that fail, with and without; "
            if len(known) > 1:
                rows.append(mean_row(name, f"{said}Lucas et al.", known, None, above_zero))
        bumps = np.concatenate([x.rise[x.trained] for x in lines.values()])
        reach = np.concatenate([far[c][x.trained] for c, x in lines.items()])
        if len(set(bumps)) > 1:  # else no line rises, and there is nothing to correlate
            rank = float(stats.spearmanr(reach, bumps).statistic)
            low, high = np.tanh(np.arctanh(rank) + np.array([-2, 2]) / max(len(bumps) - 3, 1) ** 0.5)
            said = "rank correlation of distance moved and rise of F, all runs; Lucas et al."
            rows.append(Finding("distance", said, None, rank, (float(low), float(high)), bool(low > 0)))
        return tuple(rows)

    def _data(self, lines: dict[Cell, LinesToEnd], far: dict[Cell, np.ndarray]) -> dict[str, np.ndarray]:
        data = {"t": np.linspace(0, 1, self.points)}
        for cell, line in lines.items():
            name = _name(cell)
            data |= {f"{name}.lines": line.values, f"{name}.far": far[cell], f"{name}.bump": line.rise}
            data[f"{name}.median"] = np.median(line.values, axis=0)
        return data


def _panels(lines: dict[Cell, LinesToEnd]) -> tuple[Panel, ...]:
    """Medians over the runs, and the line that rises most."""
    sheet, text, medians, most = (
        "F from the start (0) to the end (1), medians over runs",
        "share of the way",
        list[Panel](),
        list[Panel](),
    )
    for row, (norm, end) in enumerate(((False, ""), (True, ", BatchNorm"))):
        drawn = []
        for kind, said in (("sgd", "SGD"), ("adam", "Adam")):
            cells = [c for c in lines if c[0] == kind and c[2] == norm]
            drawn.append((said + end, [f"{_name(c)}.median" for c in cells], [f"rate {c[1]:g}" for c in cells]))
        medians += side_by_side(sheet, "t", *drawn, text=text, row=row)
        worst = max((c for c in lines if c[2] == norm), key=lambda c: lines[c].rise.max())
        shown = (f"the line that rises most{end}", [f"{_name(worst)}.lines"], [f"{worst[0]}, rate {worst[1]:g}"])
        (panel,) = side_by_side(sheet, "t", shown, text=text, row=row, first=2)
        most.append(replace(panel, index=(int(lines[worst].rise.argmax()),)))
    return (*medians, *most)


def _name(cell: Cell) -> str:
    return f"{cell[0]}_{cell[1]:g}" + ("_batchnorm" if cell[2] else "")
