"""Redundancy: how many of the smallest weights a network can lose, by its width, and the barrier on the way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Meter, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import ParameterSpace
from thalweg.descent import Adam, Descent, Info, Rule, State
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.records.reproductions import Panel, outcome
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import Classifier, check_counts
from thalweg.reproductions.parts import Parts, interval

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
        return Reproduction(
            data=data,
            status=outcome(rows),
            cost=meter.read(),
            provenance=provenance(self.subject(rng), self, (), source),
            paper=self.paper,
            rows=rows,
            rule="removable share within two standard errors or above; trends beyond two; barrier within .01 of F = 0",
            panels=self._panels(widths),
            notes=(
                "Digits and one hidden layer, pruned in one round; the paper has larger networks and several.",
                f"Removable: the largest share tried that lowers a network's test accuracy by at most {CLOSE:g}.",
            ),
        )

    def _width(self, width: int, meter: Meter, source: Stream) -> dict[str, np.ndarray]:
        """Test accuracy and F pruned, and trained again, and barriers to both: [shares, seeds] each."""
        classifier = Classifier((width,))
        risk = classifier.risk()
        counted, shares = Metered(risk, meter=meter), sorted(self.shares)
        starts = classifier.starts(risk, self.seeds, source)
        first = Descent(Adam(self.lr), steps=self.steps, batch=self.batch, every=self.steps)(
            counted, starts, rng=source("first")
        )
        trained = torch.tensor(first.final)
        masks = torch.cat([_mask(risk.space, trained, share) for share in shares])
        original = trained.repeat(len(shares), 1)
        pruned = original * masks
        second = Descent(_Masked(Adam(self.lr / 2), masks), steps=self.again, batch=self.batch, every=self.again)(
            counted, pruned, rng=source("again")
        )
        again, test = torch.tensor(second.final), counted.test
        assert test is not None
        ts = torch.linspace(0, 1, self.points, dtype=torch.float64)[1:-1]

        def barrier(begin: Tensor, ends: Tensor) -> Tensor:
            inside = torch.stack([counted.losses(begin + t * (ends - begin)) for t in ts]).amax(0)
            return (inside - torch.maximum(counted.losses(begin), counted.losses(ends))).clamp(min=0)

        found = {
            "pruned": test.evaluate(pruned)["accuracy"],
            "again": test.evaluate(again)["accuracy"],
            "pruned_loss": counted.losses(pruned),
            "again_loss": counted.losses(again),
            "pruned_barrier": barrier(original, pruned),
            "again_barrier": barrier(original, again),
        }
        kept = {name: x.view(len(shares), self.seeds).numpy() for name, x in found.items()}
        return kept | {"other_barrier": barrier(trained, trained.roll(1, 0))[None].numpy()}

    def _removable(self, found: dict[str, np.ndarray], name: str) -> np.ndarray:
        """The largest share [seeds] up to which accuracy is kept at every smaller one too."""
        kept = found[name] >= found["pruned"][0] - CLOSE - 1e-12  # share 0 is the network before
        kept[0] = True
        return np.array(sorted(self.shares))[np.logical_and.accumulate(kept, axis=0).sum(0) - 1]

    def _rows(self, found: dict[int, dict[str, np.ndarray]]) -> tuple[Finding, ...]:
        rows, widths = [], list(found)
        x = np.log(widths) - np.mean(np.log(widths))
        for name, said in (("pruned", "at once"), ("again", "trained again")):
            removable = {w: self._removable(arrays, name) for w, arrays in found.items()}
            for w, shares in removable.items():
                ours, about = interval(shares)
                last = name == "again" and w == widths[-1]
                rows.append(
                    Finding(f"{name}_{w}", f"removable share, {w} units, {said}" + "; Han et al." * last,
                            1 - KEPT if last else None, ours, about, about[1] >= 1 - KEPT if last else None)
                )  # fmt: skip
            slopes = x @ np.stack(list(removable.values())) / (x @ x)
            ours, about = interval(slopes)
            rows.append(
                Finding(
                    f"{name}_by_width", "removable share for every factor e of width", None, ours, about, about[0] > 0
                )
            )
            heights = np.stack([arrays[f"{name}_barrier"].max(0) for arrays in found.values()])
            ours, about = interval(heights.ravel())
            rows.append(
                Finding(f"{name}_barrier", f"highest barrier over shares, mean over networks, {said}", 0.0, ours, about,
                        about[1] <= 0.01)
            )  # fmt: skip
        ours, about = interval(np.stack([arrays["other_barrier"][0] for arrays in found.values()]).ravel())
        rows.append(Finding("other_barrier", "control: barrier between networks of two starts", None, ours, about))
        return tuple(rows)

    def _panels(self, widths: list[int]) -> tuple[Panel, ...]:
        labels = tuple(f"{w} units" for w in widths)
        wanted = (
            (0, 0, "pruned", "test accuracy, pruned at once"),
            (0, 1, "again", "test accuracy, trained again"),
            (1, 0, "pruned_loss", "training loss, pruned at once"),
            (1, 1, "again_loss", "training loss, trained again"),
        )
        found = [
            Panel("Weights removed, smallest first", row, column, tuple(f"{w}.{name}.mean" for w in widths), x="share",
                  labels=labels, title=title, text="share removed", linear=row == 0)
            for row, column, name, title in wanted
        ]  # fmt: skip
        return (
            *found,
            Panel("Weights removed, smallest first", 0, 2, ("removable.pruned", "removable.again"), x="width",
                  labels=("at once", "trained again"), title="removable share", text="hidden units", linear=True),
            Panel("Weights removed, smallest first", 1, 2, tuple(f"highest.{n}" for n in ("pruned", "again", "other")),
                  x="width", labels=("to it pruned", "to it trained again", "between two starts"),
                  title="highest barrier, mean over networks", text="hidden units", linear=True),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Masked(Rule):
    """A rule that leaves the coordinates where ``mask`` [B, P] is 0 as they are."""

    rule: Rule
    mask: Tensor

    def init(self, objective: Objective, theta: Tensor) -> State:
        """That of the rule."""
        return self.rule.init(objective, theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """A step of the rule, of which what the mask hides is not taken."""
        moved, info = self.rule.step(objective, state)
        theta = state.theta + self.mask * (moved.theta - state.theta)
        return State(theta, moved.slots, moved.count), info


def _mask(space: ParameterSpace, thetas: Tensor, share: float) -> Tensor:
    """1 [B, P] where a weight stays: of each matrix, all but this share of the smallest."""
    mask = torch.ones_like(thetas)
    for entry in space.entries:
        if len(entry.shape) < 2:
            continue
        sizes = thetas[:, entry.span].abs()
        many = round(share * sizes.shape[1])
        smallest = sizes.argsort(dim=1)[:, :many]
        mask[:, entry.span] = torch.ones_like(sizes).scatter(1, smallest, 0.0)
    return mask
