"""Sinkhorn re-basin: doubly stochastic matrices trained by gradients of the loss half way (Peña et al. 2023)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.errors import BudgetSpent, InputError
from thalweg.paths.align.aligner import Aligner, Found, Work
from thalweg.paths.align.find import moved
from thalweg.paths.align.frank_wolfe import mixed, plain_groups
from thalweg.paths.align.matching import Pair, ascend, assign
from thalweg.paths.align.weights import paired

ROUNDS = 20
"""Normalisations of rows and columns (Peña et al. 2023, as in their code)."""


@final
@dataclass(frozen=True)
class Sinkhorn(Aligner):
    """Logits of every group are trained by Adam so that F is low half way between a and b under their matrices.

    A matrix is Sinkhorn's normalisation of exp(logits / ``temperature``). The search begins near the permutations of
    weight matching, ``begin`` being the logit of each unit's place there over the others'. The rounded permutations
    with the lowest F half way on all rows, looked at every ``every`` updates, count; those of weight matching are the
    first. Heads, and the units in them, stay as weight matching puts them. The budget ends the search, not the answer.

    Raises
    ------
    InputError
        If updates or every is below 1, or lr or temperature is not positive.
    """

    name: ClassVar[str] = "sinkhorn"

    updates: int = 100
    lr: float = 0.1
    temperature: float = 1.0
    begin: float = 2.0
    batch: int | None = 256
    every: int = 10

    def __post_init__(self) -> None:
        if self.updates < 1 or self.every < 1:
            raise InputError(f"updates={self.updates}, every={self.every}: give at least 1 of each")
        if not (self.lr > 0 and self.temperature > 0):
            raise InputError(f"lr={self.lr}, temperature={self.temperature}: both must be positive")

    def search(self, work: Work, rng: Stream) -> Found:
        """Train, round, keep the best."""
        space, named = work.risk.space, work.symmetries
        training, values = work.counted.training(), work.counted.at(work.a, work.b)
        a, b = (space.unravel(p.theta.detach().double()) for p in (work.a, work.b))
        start = ascend(named, paired(named, a, b), named.identity(), rng("sweeps").numpy(), 100).permutations
        near = moved(named, work.risk, work.b, start)
        logits = {
            name: (self.begin * torch.eye(n, dtype=torch.float64)).requires_grad_()
            for name, n in plain_groups(named).items()
        }
        if not logits:
            return Found(start, evidence=("No group is without others inside it: weight matching alone.",))
        blocks = [(name, block) for name in space.names for block in named.blocks[name]]
        other = space.unravel(near.theta.detach().double().cpu())
        optimiser = torch.optim.Adam(list(logits.values()), lr=self.lr)

        def half_way(point: Tensor) -> float:
            return float(values.losses(0.5 * (work.a.theta + point)[None])[0])

        first = best = half_way(near.theta)
        kept, at, taken, said = start, 0, 0, ""
        try:
            for taken in range(1, self.updates + 1):
                matrices = {name: doubly_stochastic(x / self.temperature) for name, x in logits.items()}
                # Tensors are formed block by block, so that the gradient by them passes on to the matrices.
                soft = [mixed(Pair(block, x := block.take(other[name]), x), matrices) for name, block in blocks]
                point = {name: x.clone() for name, x in other.items()}
                for (name, block), x in zip(blocks, soft, strict=True):
                    block.put(point[name], x.detach())
                rows = rng("rows", taken).numpy().permutation(training.row_count)[: self.batch]
                part = training if self.batch is None else training.rows(torch.from_numpy(np.sort(rows)))
                middle = 0.5 * (work.a.theta + space.ravel(point))
                _, gradient = part.value_and_grad(middle[None])
                slopes = space.unravel(0.5 * gradient[0].double().cpu())
                optimiser.zero_grad()
                sum(
                    (block.take(slopes[name]) * x).sum() for (name, block), x in zip(blocks, soft, strict=True)
                ).backward()  # type: ignore[union-attr]
                optimiser.step()
                if taken % self.every == 0 or taken == self.updates:
                    turned = {name: assign(x.detach().numpy()) for name, x in logits.items()}
                    tried = start | {name: start[name][p] for name, p in turned.items()}
                    value = half_way(moved(named, work.risk, work.b, tried).theta)
                    if math.isfinite(value) and not value >= best:
                        best, kept, at = value, tried, taken
        except BudgetSpent as spent:
            said = f"; {spent}"
        return Found(
            kept,
            evidence=(
                f"F half way went from {first:.5g} (weight matching) to {best:.5g} at update {at} of {taken}{said}.",
            ),
        )


def doubly_stochastic(logits: Tensor, rounds: int = ROUNDS) -> Tensor:
    """exp(logits) [n, n] with rows and columns normalised in turn; the columns add up to 1, the rows nearly."""
    for _ in range(rounds):
        logits = logits - logits.logsumexp(1, keepdim=True)
        logits = logits - logits.logsumexp(0, keepdim=True)
    return logits.exp()
