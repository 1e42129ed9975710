"""The straight-through estimator: permutations learnt by the loss half way (Ainsworth et al. 2022, §3.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.descent import Adam
from thalweg.descent.rule import Rule
from thalweg.descent.steered import Steered
from thalweg.errors import BudgetSpent, InputError
from thalweg.paths.align.aligner import Aligner, Found, Work
from thalweg.paths.align.find import moved
from thalweg.paths.align.matching import ascend
from thalweg.paths.align.weights import paired


@final
@dataclass(frozen=True)
class StraightThrough(Aligner):
    """Parameters â, begun at a, are trained so that b in their order has a low loss half way to a.

    Each of ``updates`` steps weight-matches b to â (from where it is), takes the gradient of F at the middle of a and b
    so permuted, and moves â by it as if the matching were the identity. The permutations with the lowest F half way on
    all rows, looked at every ``every`` steps, count; those of weight matching alone are the first looked at, so that
    half way it is never worse. ``batch`` rows a step (None: all). The budget ends the search, not the answer. The rate
    decides how far from weight matching it looks: about a tenth of the weights' size finds other orders.

    Raises
    ------
    InputError
        If updates or every is below 1.
    """

    name: ClassVar[str] = "straight through"

    rule: Rule = field(default_factory=lambda: Adam(lr=1e-2))
    updates: int = 200
    every: int = 10
    batch: int | None = 256

    def __post_init__(self) -> None:
        if self.updates < 1 or self.every < 1:
            raise InputError(f"updates={self.updates}, every={self.every}: give at least 1 of each")

    def search(self, work: Work, rng: Stream) -> Found:
        """Train, and keep the best permutations that were met."""
        space, named = work.risk.space, work.symmetries
        training, values = work.counted.training(), work.counted.at(work.a, work.b)
        b = space.unravel(work.b.theta.detach().double())
        draws = rng("sweeps").numpy()
        now = ascend(named, paired(named, space.unravel(work.a.theta.double()), b), named.identity(), draws, 100)
        current = now.permutations

        def middle(permutations: dict[str, np.ndarray]) -> Tensor:
            other = moved(named, work.risk, work.b, permutations)
            return (0.5 * (work.a.theta + other.theta))[None]

        def matched(thetas: Tensor) -> tuple[Tensor, Tensor]:
            nonlocal current
            pairs = paired(named, space.unravel(thetas[0].double()), b)
            current = ascend(named, pairs, current, draws, 1).permutations
            value, gradient = part.value_and_grad(middle(current))
            return value, 0.5 * gradient

        first = best = float(values.losses(middle(current))[0])
        kept, at, taken = current, 0, 0
        state = self.rule.init(training, work.a.theta.detach()[None].clone())
        try:
            for taken in range(1, self.updates + 1):
                rows = rng("rows", taken).numpy().permutation(training.row_count)[: self.batch]
                part = training if self.batch is None else training.rows(torch.from_numpy(np.sort(rows)))
                state, _ = self.rule.step(Steered(part, matched), state)
                if taken % self.every == 0 or taken == self.updates:
                    value = float(values.losses(middle(current))[0])
                    if math.isfinite(value) and not value >= best:
                        best, kept, at = value, current, taken
        except BudgetSpent as spent:
            said = f"; {spent}"
        else:
            said = ""
        return Found(
            kept,
            evidence=(
                f"F half way went from {first:.5g} (weight matching) to {best:.5g} at step {at} of {taken}{said}.",
            ),
        )
