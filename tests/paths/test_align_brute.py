"""Alignment against every permutation there is: how often the best one is found, and that nothing beats it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import thalweg as tw
from thalweg.descent import Adam
from thalweg.paths import FrankWolfe, Sinkhorn, StraightThrough, WeightMatching
from thalweg.paths.align import Aligner

Aim = Callable[[Tensor, Tensor], Tensor]


@cache
def small() -> tw.EmpiricalRisk:
    """A 3-4-4-2 tanh network in float64: 4!·4! = 576 orders of its units."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x = torch.randn(30, 3, dtype=torch.float64)
    return tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), (x, (x[:, 0] * x[:, 1] > 0).long()))


@cache
def pair(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two random networks, and the second in all 576 orders [576, P]."""
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, small().space.size, generator=generator, dtype=torch.float64)
    named, orders = small().space.unravel(b), [list(p) for p in itertools.permutations(range(4))]
    every = []
    for p, q in itertools.product(orders, orders):
        turned = {
            "0.weight": named["0.weight"][p],
            "0.bias": named["0.bias"][p],
            "2.weight": named["2.weight"][q][:, p],
            "2.bias": named["2.bias"][q],
            "4.weight": named["4.weight"][:, q],
            "4.bias": named["4.bias"],
        }
        every.append(small().space.ravel(turned))
    return a, b, torch.stack(every)


def far(a: Tensor, points: Tensor) -> Tensor:
    """The squared distance from a, which weight matching and Frank–Wolfe make small."""
    return (points - a).square().sum(1)


def half_way(a: Tensor, points: Tensor) -> Tensor:
    """F half way to a, which the other two make small."""
    return small().losses(0.5 * (a + points))


@pytest.mark.parametrize(
    ("method", "aim", "pairs", "often", "worst"),
    [
        (WeightMatching(steps=2), far, 5, 3, 6),
        (WeightMatching(steps=2, restarts=20), far, 6, 6, 0),
        (FrankWolfe(steps=2), far, 6, 6, 0),
        (StraightThrough(rule=Adam(0.1), steps=2, updates=60, every=1, batch=None), half_way, 2, 0, 80),
        (Sinkhorn(steps=2, updates=100, batch=None), half_way, 2, 0, 10),
    ],
    ids=["weights", "weights restarted", "frank wolfe", "straight through", "sinkhorn"],
)
def test_the_best_of_all_orders(method: Aligner, aim: Aim, pairs: int, often: int, worst: int) -> None:
    """Found ``often`` of so many pairs, and never with more than ``worst`` of the 576 orders below it."""
    ranks = []
    for seed in range(pairs):
        a, b, every = pair(seed)
        made = torch.from_numpy(method(small(), a, b).data["theta"].copy())
        assert any(torch.equal(made, point) for point in every)
        values, value = aim(a, every), float(aim(a, made[None])[0])
        ranks.append(int((values < value * (1 - 1e-9)).sum()))
    assert ranks.count(0) >= often and max(ranks) <= worst, ranks


def test_where_weights_are_near_says_little_of_the_loss_half_way() -> None:
    """The control: between random networks the nearest order is not among the best by the other aim."""
    ranks = []
    for seed in range(6):
        a, _, every = pair(seed)
        values = half_way(a, every)
        ranks.append(int((values < values[far(a, every).argmin()]).sum()))
    assert np.median(ranks) > 100, ranks
