"""Should second-order methods work? Small-batch L-BFGS and saddle-free Newton beside SGD, and the noise they meet."""

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
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream, stream
from thalweg.descent import Descent, GradientDescent, Rule, SaddleFree
from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction
from thalweg.records.reproductions import Panel, outcome
from thalweg.reproductions.base import Published
from thalweg.reproductions.classifiers import Classifier, check_counts
from thalweg.reproductions.parts import Parts, interval
from thalweg.reproductions.stochastic_lbfgs import OnlineLBFGS

LEVELS = (0.1, 0.2, 0.5, 1.0)
"""Relative errors whose batch is reported."""

ENOUGH = 1000
"""The batch that products with the Hessian are said to need, at an error that is not stated."""

STEP = 1e-6
"""Length of the difference that a row's product is taken by; the unit roundoff over it is 1e-10."""


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
            for kind in ("sgd", "lbfgs", "saddle_free")
            for b in batches
        }
        trained = min((k for k in ran if k[0].startswith("sgd")), key=lambda k: ends[k].mean())
        places = {"start": starts, "end": torch.tensor(ran[trained]["theta"])}
        noise = {
            place: [
                parts(f"{place} {s}", partial(_noise, risk, counted.meter, thetas[s], source("v", s)))
                for s in range(self.seeds)
            ]
            for place, thetas in places.items()
        }
        rows = (*self._race_rows(best, batches), *self._noise_rows(noise))
        data = {f"loss.{name}.{b}": x for (name, b), x in ends.items()} | {"batch.x": np.log2(batches)}
        for kind in ("sgd", "lbfgs", "saddle_free"):
            data[f"best.{kind}"] = np.array([best[kind, b].mean() for b in batches])
        data["noise.x"] = np.arange(2.0, 14.0)
        for place, found in noise.items():
            for name in found[0]:
                c = np.exp(np.mean([np.log(x[name]) for x in found]))
                data |= {f"{name}.{place}": np.array([x[name] for x in found])}
                data |= {f"{name}.{place}.error": np.sqrt(c / 2 ** data["noise.x"])}
        return Reproduction(
            data=data,
            status=outcome(rows),
            cost=counted.meter.read(),
            provenance=provenance(risk, self, (), source),
            paper=self.paper,
            rows=rows,
            rule="SGD ends lower by two standard errors over pairs; batches and ratios by two over starts",
            panels=_panels(),
            notes=(
                "The essay has no experiment: that products need batches above 1,000 comes without the error meant, "
                "and is compared at .2.",
                "Rates with the least mean: "
                + ", ".join(
                    f"{k.split('_')[-1]} for {k.split('_')[0]} at {b}"
                    for (k, b), x in ends.items()
                    if not k.startswith("saddle") and x is best[k.split("_")[0], b]
                )
                + ".",
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
        rows = []
        for (kind, b), loss in best.items():
            ours, about = interval(loss)
            rows.append(
                Finding(f"{kind}_{b}", f"training loss after {self.epochs} epochs' work, batch {b}", None, ours, about)
            )
        for kind in ("lbfgs", "saddle_free"):
            for b in batches:
                ours, about = interval(np.log10(best[kind, b] / best["sgd", b]))
                rows.append(
                    Finding(f"{kind}_against_sgd_{b}", f"log10 of its loss over SGD's, batch {b}; the essay: above 0",
                            None, ours, about, about[0] > 0)
                )  # fmt: skip
        return rows

    def _noise_rows(self, noise: dict[str, list[dict[str, np.ndarray]]]) -> list[Finding]:
        rows = []
        for place, found in noise.items():
            for name in found[0]:
                logs = np.log([float(x[name]) for x in found])
                for level in LEVELS:
                    ours, about = (np.exp(np.array(x)) / level**2 for x in interval(logs))
                    compared = level == 0.2 and name == "product_random"
                    rows.append(
                        Finding(f"{name}_{level:g}_{place}", f"batch for a relative error of {level:g}, at the {place}",
                                ENOUGH if compared else None, float(ours), (float(about[0]), float(about[1])),
                                bool(about[0] > ENOUGH) if compared else None)
                    )  # fmt: skip
            ratio = np.log([float(x["product_random"] / x["gradient"]) for x in found])
            ours, about = (np.exp(np.array(x)) for x in interval(ratio))
            said = f"batch that a product needs over that of the gradient, at the {place}; the essay: above 1"
            rows.append(
                Finding(f"product_over_gradient_{place}", said, None, float(ours), (float(about[0]), float(about[1])),
                        bool(about[0] > 1))
            )  # fmt: skip
        return rows


def _noise(risk: EmpiricalRisk, meter: Meter, theta: Tensor, rng: Stream) -> dict[str, np.ndarray]:
    """The constant c of the gradient and of products with a random direction and with the gradient."""
    counted = Metered(risk, meter=meter)
    single = counted.rows(torch.arange(risk.row_count)[:, None])

    def gradients(at: Tensor) -> Tensor:
        return single.value_and_grad(at.expand(risk.row_count, -1))[1]

    each = gradients(theta)
    directions = {
        "random": torch.randn(len(theta), generator=rng.torch(), dtype=torch.float64),
        "gradient": each.mean(0),
    }
    found = {"gradient": _constant(each)}
    for name, v in directions.items():
        along = STEP * v / v.norm()
        found[f"product_{name}"] = _constant((gradients(theta + along) - gradients(theta - along)) / (2 * STEP))
    return {name: np.array(x) for name, x in found.items()}


def _constant(each: Tensor) -> float:
    """The constant c of E‖mean of B rows − mean‖²/‖mean‖² = c/B, for the values of every row [n, P]."""
    return float(each.square().sum(1).mean() / each.mean(0).square().sum() - 1)


def _panels() -> tuple[Panel, ...]:
    kinds, labels = ("sgd", "lbfgs", "saddle_free"), ("SGD", "online L-BFGS", "saddle-free Newton")
    names = ("gradient", "product_random", "product_gradient")
    said = ("gradient", "product, random direction", "product, gradient")
    sheet = "Losses for equal work, and relative errors of what a batch gives"
    return (
        Panel(sheet, 0, 0, tuple(f"best.{k}" for k in kinds), x="batch.x", labels=labels, title="training loss",
              text="log2 of the batch"),
        *(Panel(sheet, 0, 1 + i, tuple(f"{n}.{place}.error" for n in names), x="noise.x", labels=said,
                title=f"relative error at the {place}", text="log2 of the batch")
          for i, place in enumerate(("start", "end"))),
    )  # fmt: skip
