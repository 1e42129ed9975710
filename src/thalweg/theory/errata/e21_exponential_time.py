"""E21: gradient descent can take exponential time, and in general does not."""

from __future__ import annotations

import itertools
import math
from typing import ClassVar, final

import numpy as np
import torch

from thalweg.theory.errata.erratum import Erratum, Judgement, Shown
from thalweg.zoo.octopus import octopus

RATE = 0.1


@final
class ExponentialTime(Erratum):
    """The cited result is a construction."""

    id: ClassVar[str] = "E21"
    place: ClassVar[str] = "003 fifth paragraph"
    quote: ClassVar[str] = (
        "It has been shown in [14] that gradient descent takes an exponential amount of time to escape from saddle "
        "points."
    )
    judgement: ClassVar[Judgement] = "informal"
    corrected: ClassVar[str] = (
        "Gradient descent can take exponential time: there are functions with chains of saddles at which it does "
        "(Du et al. 2017). From a generic start at distance δ from the stable manifold of one strict saddle it takes "
        "about ln(1/δ)/ln(1 + η|λ|) steps, whatever the dimension."
    )
    fairness: ClassVar[str] = "The title of the paper cited there says “can take”."
    states: ClassVar[tuple[str, ...]] = ("003.exponential_time",)

    def refute(self) -> Shown:
        """½(‖x‖² − y²) in 2, 20 and 200 dimensions: steps from a standard normal start until |y| > 10."""
        generator, most, predicted = torch.Generator().manual_seed(0), [], []
        for dimension in (2, 20, 200):
            theta = torch.randn(200, dimension, generator=generator, dtype=torch.float64)
            signs = torch.ones(dimension, dtype=torch.float64)
            signs[-1] = -1.0
            predicted.append(math.ceil(max(math.log(10 / abs(float(y))) / math.log1p(RATE) for y in theta[:, -1])))
            steps = torch.zeros(200, dtype=torch.int64)
            while bool((inside := theta[:, -1].abs() <= 10).any()) and int(steps.max()) < 1000:
                theta[inside] -= RATE * signs * theta[inside]
                steps += inside
            most.append(int(steps.max()))
        said = f"the slowest of 200 starts takes {', '.join(map(str, most))} steps in 2, 20 and 200 dimensions"
        ok = max(most) < 200 and all(abs(a - b) <= 1 for a, b in zip(most, predicted, strict=True))
        return Shown(ok, said + f"; the formula says {', '.join(map(str, predicted))}", {"most": max(most)})

    def confirm(self) -> Shown:
        """On the octopus the median number of steps grows by a factor per dimension, at L = 2γ."""
        dimensions = range(2, 9)
        medians = [float(np.median(octopus.passage_steps(d, L=2.0, starts=200)[:, -1])) for d in dimensions]
        factors = [b / a for a, b in itertools.pairwise(medians)]
        said = f"medians {', '.join(f'{m:.4g}' for m in medians)} in 2 … 8 dimensions, {min(factors):.3g} times or more"
        return Shown(min(factors) > 1.5, said, {"least factor": min(factors), "last": medians[-1]})


if __name__ == "__main__":
    print(ExponentialTime().report())
