"""Should second-order methods work? Small-batch L-BFGS and saddle-free Newton beside SGD, and the noise they meet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.descent import Descent, GradientDescent, Rule, SaddleFree
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import Classifier, check_counts
from thalweg.reproductions.parts import Parts, above_zero, mean_row, side_by_side
from thalweg.reproductions.product_noise import ProductNoise
from thalweg.reproductions.stochastic_lbfgs import OnlineLBFGS

KINDS = ("sgd", "lbfgs", "saddle_free")

SHEET = "Losses for equal work, and relative errors of what a batch gives"

LOSSES = ("training loss", [f"best.{k}" for k in KINDS], ("SGD", "online L-BFGS", "saddle-free Newton"))


@dataclass(frozen=True)
class SecondOrder(Published):
    """Digits: every method with every batch from ``seeds`` starts, for the work of ``epochs`` epochs of gradients.

    A product counts as two gradients. SGD and L-BFGS run at each of their ``rates`` and the best mean counts;
    saddle-free Newton takes ``rank`` products a step. Rows are drawn alike for all starts. Noise, at the start and at
    SGD's end: with rows drawn independently E‖ḡ − g‖²/‖g‖² = c/B exactly, c = Σ‖g_i‖²/(n‖g‖²) − 1, and likewise for
    products with the gradient or a random direction; c and the batch at which the error falls under a level follow.

    Raises
    ------
    InputError
        If there are fewer than 3 seeds, a number is below 1, or a rate is not positive.
    """

    paper: ClassVar[str] = "Essay on second-order methods; Schraudolph et al. 2007; Dauphin et al. 2014"
    seconds: ClassVar[int] = 40

    hidden: tuple[int, ...] = (32,)
    seeds: int = 4
    epochs: int = 20
    batches: tuple[int, ...] | list[int] = (16, 128, 1397)
    rates: tuple[float, ...] | list[float] = (0.1, 0.5)
    rank: int = 8

    def __post_init__(self) -> None:
        check_counts(3, seeds=self.seeds)
        check_counts(1, epochs=self.epochs, batches=min(self.batches))
        check_counts(2, rank=self.rank)
        if not self.rates or min(self.rates) <= 0:
            raise InputError(f"rates={self.rates}: give at least one, all positive")

    def subject(self, rng: int | Stream = 0) -> Objective:
        """The digits and the network."""
        return Classifier(self.hidden).risk()

    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Race the methods, then measure the noise at both places."""
        source, classifier = stream(rng)("second_order"), Classifier(self.hidden)
        risk = classifier.risk()
        counted, batches = Metered(risk, budget), sorted(set(self.batches))
        starts = classifier.starts(risk, self.seeds, source)
        rules = self._rules()
        parts = Parts(evaluate, counted.meter, len(rules) * len(batches) + 2 * self.seeds)
        ran = {
            (name, b): parts(f"{name} {b}", partial(self._race, counted, rule, price, b, starts, source("rows")))
            for b in batches
            for name, (rule, price) in rules.items()
        }
        ends = {key: x["loss"] for key, x in ran.items()}
        best = {
            (kind, b): ends[min((k for k in ends if k[0].startswith(kind) and k[1] == b), key=lambda k: ends[k].mean())]
            for kind in KINDS
            for b in batches
        }
        trained = min((k for k in ran if k[0].startswith("sgd")), key=lambda k: ends[k].mean())
        places = {"start": starts, "end": torch.tensor(ran[trained]["theta"])}
        noise = ProductNoise.at(places, counted, parts, source)
        rows = (*self._race_rows(best, batches), *noise.rows())
        data = {f"loss.{name}.{b}": x for (name, b), x in ends.items()} | {"batch.x": np.log2(batches)}
        for kind in KINDS:
            data[f"best.{kind}"] = np.array([best[kind, b].mean() for b in batches])
        data |= noise.data()
        return self.record(
            risk,
            source,
            rows,
            data=data,
            cost=counted.meter.read(),
            rule="SGD ends lower by two standard errors over pairs; batches and ratios by two over starts",
            panels=(
                *side_by_side(SHEET, "batch.x", LOSSES, text="log2 of the batch", linear=False),
                *noise.panels(SHEET),
            ),
            notes=(
                "The essay has no experiment: that products need batches above 1,000 comes without the error meant, "
                "and is compared at .2.",
                f"Rates with the least mean: {_rates(ends, best)}.",
            ),
        )

    def _rules(self) -> dict[str, tuple[Rule, float]]:
        """Every rule with the gradients that a step of it is worth."""
        found: dict[str, tuple[Rule, float]] = {f"sgd_{r:g}": (GradientDescent(r), 1.0) for r in self.rates}
        found |= {f"lbfgs_{r:g}": (OnlineLBFGS(r), 2.0) for r in self.rates}
        return found | {"saddle_free": (SaddleFree(rank=self.rank), 1 + 2 * self.rank + 2 / 3)}

    def _race(
        self, objective: Metered, rule: Rule, price: float, batch: int, starts: Tensor, rows: Stream
    ) -> dict[str, np.ndarray]:
        steps = max(1, round(self.epochs * max(1.0, objective.row_count / batch) / price))
        descent = Descent(rule, steps=steps, batch=batch, every=steps, shared=True)
        run = descent(objective, starts, rng=rows)
        return {"loss": run.final_loss, "theta": run.final}

    def _race_rows(self, best: dict[tuple[str, int], np.ndarray], batches: list[int]) -> list[Finding]:
        text = f"training loss after {self.epochs} epochs' work, batch "
        rows = [mean_row(f"{kind}_{b}", f"{text}{b}", loss) for (kind, b), loss in best.items()]
        for kind in KINDS[1:]:
            for b in batches:
                said = f"log10 of its loss over SGD's, batch {b}; the essay: above 0"
                logs = np.log10(best[kind, b] / best["sgd", b])
                rows.append(mean_row(f"{kind}_against_sgd_{b}", said, logs, None, above_zero))
        return rows


def _rates(ends: dict[tuple[str, int], np.ndarray], best: dict[tuple[str, int], np.ndarray]) -> str:
    """The rates that were taken."""
    names = {(k, b): k.split("_") for (k, b), x in ends.items() if x is best.get((k.split("_")[0], b))}
    return ", ".join(f"{rate} for {kind} at {b}" for (_, b), (kind, rate) in names.items())
