"""Critical points counted by index: found by searches and told apart, beside how many there are known to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import comb

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.critical.find import Search
from thalweg.descent.rule import positive
from thalweg.errors import InputError
from thalweg.records.counts import Count as CountRecord
from thalweg.records.counts import CountStatus

Known = Mapping[int, int]
"""How many critical points there are of each index."""


@dataclass(frozen=True)
class Count:
    """Search from ``starts`` normal points of standard deviation ``spread`` and count the different ones found.

    Two points are one where they are within ``apart``. It makes sense where critical points are isolated: a point with
    null directions is refused. ``known`` says how many there are, where that can be said.

    Raises
    ------
    InputError
        If starts is below 1, spread or apart is not positive, or a critical point found is not isolated.
    """

    search: Search = field(default_factory=lambda: Search(steps=100))
    starts: int = 200
    spread: float = 1.0
    apart: float = 1e-3
    known: Known | None = None

    def __post_init__(self) -> None:
        positive("spread", self.spread)
        positive("apart", self.apart)
        if self.starts < 1:
            raise InputError(f"starts={self.starts}: at least 1 is needed")

    def __call__(
        self,
        objective: Objective,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> CountRecord:
        """Search and count."""
        source = stream(rng)("count")
        counted = objective if isinstance(objective, Metered) else Metered(objective, budget)
        draws = torch.randn(self.starts, objective.space.size, generator=source("starts").torch(), dtype=torch.float64)
        starts = objective.retract(self.spread * draws)
        found = self.search(counted, starts, rng=source, evaluate=evaluate)
        critical = found.data["critical"]
        if bool((found.data["nullity_low"][critical] > 0).any()):
            raise InputError("a critical point has null directions: such points are no isolated ones to be counted")
        thetas = torch.from_numpy(found.data["thetas"][critical].copy())
        first, met = _different(thetas, self.apart)
        index = found.data["index_low"][critical][first].astype(int)
        count = np.bincount(index, minlength=found.size + 1)
        known = None if self.known is None else np.array([self.known.get(k, 0) for k in range(found.size + 1)])
        status = CountStatus.FOUND
        if known is not None:
            status = CountStatus.COMPLETE if np.array_equal(count, known) else CountStatus.SHORT
        return CountRecord(
            data={
                "count": count,
                "thetas": thetas.numpy()[first],
                "loss": found.data["loss"][critical][first],
                "index": index,
                **({} if known is None else {"known": known}),
            },
            status=status,
            cost=counted.meter.read(),
            provenance=provenance(counted, self, (), source),
            size=found.size,
            starts=self.starts,
            reached=int(critical.sum()),
            once=int((met == 1).sum()),
        )


def tensor_counts(dimension: int) -> dict[int, int]:
    """Critical points of −Σ xᵢ⁴ on the unit sphere: sign vectors on supports of size k, index k − 1, 3^d − 1 in all.

    The orthogonal tensor of order four (Ge, Huang, Jin & Yuan 2015, §4): the Riemannian Hessian is −8/k on the k − 1
    tangent directions within the support and 4/k on the others.
    """
    return {k - 1: comb(dimension, k) * 2**k for k in range(1, dimension + 1)}


def _different(thetas: Tensor, apart: float) -> tuple[list[int], np.ndarray]:
    """The first of each group of points within ``apart`` of it, and the sizes of the groups."""
    first: list[int] = []
    met: list[int] = []
    for i, theta in enumerate(thetas):
        if first:
            distance = (thetas[first] - theta).norm(dim=1)
            near = int(distance.argmin())
            if float(distance[near]) <= apart:
                met[near] += 1
                continue
        first.append(i)
        met.append(1)
    return first, np.array(met, dtype=int)
