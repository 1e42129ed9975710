"""Lines from start to end of small classifiers, by rule, rate and BatchNorm, and their figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from thalweg.core.metered import Meter, Metered
from thalweg.core.rng import Stream
from thalweg.descent import Adam, Descent, GradientDescent, Rule
from thalweg.records.reproductions import Panel
from thalweg.reproductions.classifiers import Classifier
from thalweg.reproductions.parts import side_by_side
from thalweg.trajectories.lines import LinesToEnd


class Cell(NamedTuple):
    """A rule, "sgd" or "adam", its rate, and whether there is BatchNorm."""

    kind: str
    lr: float
    norm: bool

    @property
    def name(self) -> str:
        """As in the names of arrays."""
        return f"{self.kind}_{self.lr:g}" + ("_batchnorm" if self.norm else "")

    def lines(
        self,
        hidden: Sequence[int],
        seeds: int,
        steps: int,
        batch: int,
        points: int,
        *,
        meter: Meter,
        source: Stream,
    ) -> dict[str, np.ndarray]:
        """F [seeds, points] from start to end, and how far the end lies, ‖θ_T − θ_0‖/‖θ_0‖ [seeds]."""
        classifier = Classifier(hidden, norm=self.norm)
        risk = classifier.risk()
        counted = Metered(risk, meter=meter)
        starts = classifier.starts(risk, seeds, source)
        rule: Rule = GradientDescent(self.lr) if self.kind == "sgd" else Adam(self.lr)
        run = Descent(rule, steps=steps, batch=batch, every=steps)(counted, starts, rng=source("run"))
        ends = torch.tensor(run.final)
        far = (ends - starts).norm(dim=1) / starts.norm(dim=1)
        return {"lines": LinesToEnd.between(counted, starts, ends, points).values, "far": far.numpy()}


def panels(lines: Mapping[Cell, LinesToEnd]) -> tuple[Panel, ...]:
    """Medians over the runs, and the line that rises most."""
    sheet, text = "F from the start (0) to the end (1), medians over runs", "share of the way"
    medians, most = list[Panel](), list[Panel]()
    for row, (norm, end) in enumerate(((False, ""), (True, ", BatchNorm"))):
        drawn = []
        for kind, said in (("sgd", "SGD"), ("adam", "Adam")):
            cells = [c for c in lines if c.kind == kind and c.norm == norm]
            drawn.append((said + end, [f"{c.name}.median" for c in cells], [f"rate {c.lr:g}" for c in cells]))
        medians += side_by_side(sheet, "t", *drawn, text=text, row=row)
        worst = max((c for c in lines if c.norm == norm), key=lambda c: lines[c].rise.max())
        shown = (f"the line that rises most{end}", [f"{worst.name}.lines"], [f"{worst.kind}, rate {worst.lr:g}"])
        (panel,) = side_by_side(sheet, "t", shown, text=text, row=row, first=2)
        most.append(replace(panel, index=(int(lines[worst].rise.argmax()),)))
    return (*medians, *most)
