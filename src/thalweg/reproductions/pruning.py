"""Redundancy: how many of the smallest weights a network can lose, by its width, and the barrier on the way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Meter, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.descent import Adam, Descent
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import Classifier, check_counts
from thalweg.reproductions.parts import Parts, above_zero, mean_row
from thalweg.reproductions.pruning_figure import panels
from thalweg.trajectories.pruning import pruned_curve, removable_share, segment_barriers

KEPT = 1 / 12
"""Share of weights left by pruning and training again without loss of accuracy: LeNet-300-100 (Han et al. 2015)."""

CLOSE = 0.01
"""An accuracy on test rows is kept where it falls by at most this."""


@dataclass(frozen=True)
class Pruning(Published):
    """Digits: networks of one hidden layer of each width, whose smallest weights are set to zero, and trained again.

    A ``shares`` of the weights of each layer, the smallest in size, is removed at once (Han et al. 2015, in one round);
    biases stay. ``again`` steps train what is left. Claims: a twelfth of the weights is enough (Han et al. 2015, other
    data and network), wider networks lose a larger share, and the pruned network lies beyond no barrier: F on the
    segment to it from the original, at ``points`` points, above the higher of both ends. Control: two starts.

    Raises
    ------
    InputError
        If there are fewer than two widths, four seeds or two shares, or a number is out of range.
    """

    paper: ClassVar[str] = "Han, Pool, Tran & Dally 2015"
    seconds: ClassVar[int] = 30

    widths: tuple[int, ...] = (8, 16, 32, 64, 128)
    shares: tuple[float, ...] | list[float] = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
    seeds: int = 6
    steps: int = 500
    again: int = 100
    batch: int = 64
    lr: float = 0.01
    points: int = 11

    def __post_init__(self) -> None:
        check_counts(1, steps=self.steps, again=self.again, batch=self.batch, widths=min(self.widths))
        check_counts(4, seeds=self.seeds, points=self.points)
        if len(set(self.widths)) < 2 or len(set(self.shares)) < 2 or 0 not in self.shares or max(self.shares) >= 1:
            raise InputError(
                f"widths={self.widths}, shares={self.shares}: two widths, and shares below 1 with 0 among them"
            )
        if min(self.shares) < 0 or not self.lr > 0:
            raise InputError(f"shares={self.shares}, lr={self.lr}: shares from 0, and a positive rate")

    def subject(self, rng: int | Stream = 0) -> Objective:
        """The digits and the narrowest network."""
        return Classifier((min(self.widths),)).risk()

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Train every width, prune by every share, train again, and walk the segments."""
        source = stream(rng)("pruning")
        meter = Metered(self.subject(rng), budget).meter
        widths, parts = sorted(set(self.widths)), Parts(evaluate, meter, len(set(self.widths)))
        found = {w: parts(f"width {w}", partial(self._width, w, meter, source("width", w))) for w in widths}
        rows = self._rows(found)
        data = {"share": np.array(sorted(self.shares)), "width": np.array(widths, dtype=float)}
        for w, arrays in found.items():
            data |= {f"{w}.{name}": x for name, x in arrays.items()}
            data |= {f"{w}.{name}.mean": x.mean(1) for name, x in arrays.items()}
        for name in ("pruned", "again", "other"):
            data[f"highest.{name}"] = np.array([x[f"{name}_barrier"].max(0).mean() for x in found.values()])
        for name in ("pruned", "again"):
            data[f"removable.{name}"] = np.array([self._removable(x, name).mean() for x in found.values()])
        return self.record(
            self.subject(rng),
            source,
            rows,
            data=data,
            cost=meter.read(),
            rule="removable share within two standard errors or above; trends beyond two; barrier within .01 of F = 0",
            panels=panels(widths),
            notes=(
                "Digits and one hidden layer, pruned in one round; the paper has larger networks and several.",
                f"Removable: the largest share tried that lowers a network's test accuracy by at most {CLOSE:g}.",
            ),
        )

    def _width(self, width: int, meter: Meter, source: Stream) -> dict[str, np.ndarray]:
        """Test accuracy and F pruned, and trained again, and barriers to both: [shares, seeds] each."""
        classifier = Classifier((width,))
        risk = classifier.risk()
        counted = Metered(risk, meter=meter)
        starts = classifier.starts(risk, self.seeds, source)
        first = Descent(Adam(self.lr), steps=self.steps, batch=self.batch, every=self.steps)(
            counted, starts, rng=source("first")
        )
        trained = torch.tensor(first.final)
        found = pruned_curve(
            counted,
            trained,
            sorted(self.shares),
            Adam(self.lr / 2),
            steps=self.again,
            batch=self.batch,
            points=self.points,
            rng=source("again"),
        )
        other = segment_barriers(counted, trained, trained.roll(1, 0), self.points)
        return found | {"other_barrier": other[None].numpy()}

    def _removable(self, found: dict[str, np.ndarray], name: str) -> np.ndarray:
        return removable_share(sorted(self.shares), found["pruned"][0], found[name], CLOSE)  # share 0 is before

    def _rows(self, found: dict[int, dict[str, np.ndarray]]) -> tuple[Finding, ...]:
        rows, widths = [], list(found)
        x = np.log(widths) - np.mean(np.log(widths))
        for name, said in (("pruned", "at once"), ("again", "trained again")):
            removable = {w: self._removable(arrays, name) for w, arrays in found.items()}
            text = f"removable share, {{}} units, {said}"
            for w, shares in removable.items():
                beside = name == "again" and w == widths[-1]  # the widest is held against the paper
                known: tuple[Any, ...] = (1 - KEPT, lambda _, high: high >= 1 - KEPT) if beside else ()
                rows.append(mean_row(f"{name}_{w}", text.format(w) + "; Han et al." * beside, shares, *known))
            slopes = x @ np.stack(list(removable.values())) / (x @ x)
            rows.append(
                mean_row(f"{name}_by_width", "removable share for every factor e of width", slopes, None, above_zero)
            )
            heights = np.stack([arrays[f"{name}_barrier"].max(0) for arrays in found.values()]).ravel()
            text = f"highest barrier over shares, mean over networks, {said}"
            rows.append(mean_row(f"{name}_barrier", text, heights, 0.0, lambda _, high: high <= 0.01))
        other = np.stack([arrays["other_barrier"][0] for arrays in found.values()]).ravel()
        rows.append(mean_row("other_barrier", "control: barrier between networks of two starts", other))
        return tuple(rows)
