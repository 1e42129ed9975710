"""REPAIR: between two networks, normalising layers give out the mix of what they give out at the ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from tests.paths.test_align_symmetries import conv, images, noisy
from thalweg.core.moments import given_out
from thalweg.core.statistics import Interpolate, Recalibrate, Repair
from thalweg.errors import StatisticsError
from thalweg.paths import Barrier, align, symmetries
from thalweg.paths.align.find import moved


class Deep(nn.Module):
    """Two normalised layers, the second behind the first; its gain of one channel is negative, of one zero."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.first = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.two, self.second = nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)
        self.head = nn.Linear(5, 3)
        with torch.no_grad():
            self.second.weight.copy_(torch.tensor([1.0, -2.0, 0.5, 0.0, 1.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(self.one(x)).relu()
        return self.head(self.second(self.two(x)).relu().mean((2, 3)))


def pair(blocks: int = 1) -> tuple[tw.EmpiricalRisk, tw.Point, tw.Point]:
    torch.manual_seed(0)
    rows = 24
    data = images(rows).double(), torch.randint(0, 3, (rows,))
    risk = tw.EmpiricalRisk(Deep().double(), nn.CrossEntropyLoss(), data, block_rows=rows // blocks)
    a = noisy(risk)
    generator = torch.Generator().manual_seed(9)
    theta = a.theta + 0.3 * torch.randn(a.theta.shape, generator=generator, dtype=torch.float64)
    assert a.statistics is not None
    statistics = {n: x * 1.3 if x.is_floating_point() else x for n, x in a.statistics.items()}
    return risk, a, tw.Point(theta, statistics, "b")


def test_both_ends_keep_their_own_statistics() -> None:
    risk, a, b = pair()
    forced = risk.with_statistics(Repair(a, b))
    values = forced.losses(torch.stack([a.theta, b.theta]))
    own = [float(risk.at(p).losses(p.theta[None])[0]) for p in (a, b)]
    # a channel whose gain is 0 has no scale that could be told from what it gives out, and none is needed
    assert values.tolist() == pytest.approx(own, rel=1e-9)
    again = risk.with_statistics(Recalibrate()).losses(torch.stack([a.theta, b.theta]))
    assert abs(float(again[0]) - own[0]) > 1e-3  # the control: recalibration gives other ends


@pytest.mark.parametrize("t", [0.0, 0.3, 0.5, 1.0, 1.2])
def test_moments_are_the_mix_of_those_at_the_ends(t: float) -> None:
    risk, a, b = pair()
    network, rows = risk.network, risk._parts.calibration
    policy = Repair(a, b)
    theta = torch.lerp(a.theta, b.theta, t)
    named = {n: x.double() for n, x in risk.space.unravel(theta).items()}
    # the gain itself is interpolated, and a negative one stays so
    buffers = policy.buffers(network, named, rows)
    assert buffers is not None
    found = given_out(network, named, buffers, rows)
    ends = [given_out(network, risk.space.unravel(p.theta), {**network.buffers, **p.statistics}, rows) for p in (a, b)]  # type: ignore[dict-item]
    for layer, moments in found.items():
        wanted = ends[0][layer].lerp(ends[1][layer], t)
        torch.testing.assert_close(moments.mean, wanted.mean, rtol=1e-7, atol=1e-7)
        torch.testing.assert_close(moments.std, wanted.std, rtol=1e-6, atol=1e-7)


def test_with_exact_statistics_at_both_ends_it_is_recalibration() -> None:
    risk, a, b = pair()
    a, b = (risk.point(p.theta) for p in (a, b))
    middle = torch.lerp(a.theta, b.theta, 0.5)[None]
    one = float(risk.with_statistics(Repair(a, b)).losses(middle)[0])
    two = float(risk.with_statistics(Recalibrate()).losses(middle)[0])
    # recalibration takes torch's unbiased variances, which differ by 1/(n − 1)
    assert one == pytest.approx(two, rel=5e-3)


def test_values_only_and_its_cost() -> None:
    risk, a, b = pair()
    forced = risk.with_statistics(Repair(a, b))
    assert forced.statistics_name == "repair" and forced.passes == 2.0
    with pytest.raises(StatisticsError, match="gradients are not offered under the policy repair"):
        forced.value_and_grad(a.theta[None])
    bare = Repair(tw.Point(a.theta), tw.Point(b.theta))
    with pytest.raises(StatisticsError, match="statistics of both points"):
        risk.with_statistics(bare).losses(a.theta[None])


def test_a_policy_between_two_points_goes_over_to_those_of_a_method() -> None:
    """After alignment the path ends at another point, and so does the policy."""
    risk, a, _ = pair()
    found = symmetries(risk)
    b = moved(found, risk, a, found.random(np.random.default_rng(0)))
    made = align(risk.with_statistics(Repair(a, b)), a, b)
    assert made.distance_after == 0 and made.provenance.statistics == "repair"
    np.testing.assert_allclose(made.data["after_loss"], made.ends[0], rtol=1e-9)
    interpolated = align(risk.with_statistics(Interpolate(a, b)), a, b)
    assert interpolated.output_change <= 1e-12 and interpolated.distance_after == 0
    straight = Barrier(steps=4)(risk.with_statistics(Repair(a, a)), a, b)
    np.testing.assert_allclose(straight.data["loss"][[0, -1]], made.ends, rtol=1e-9)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm2d(1), nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.norm(x).relu()).flatten(1))


def test_a_layer_that_runs_twice_is_refused() -> None:
    risk = tw.EmpiricalRisk(Twice(), nn.CrossEntropyLoss(), (images(9), torch.randint(0, 3, (9,))))
    point = risk.initial
    with pytest.raises(StatisticsError, match="layer norm runs twice in a forward pass: use --statistics recalibrate"):
        risk.with_statistics(Repair(point, point)).losses(point.theta[None])


def test_several_row_blocks_come_close() -> None:
    """The statistics of blocks are averaged; the ends are then near their own, and nearer with larger blocks."""
    gaps = []
    for blocks in (1, 2, 4):
        risk, a, b = pair(blocks)
        own = float(risk.at(a).losses(a.theta[None])[0])
        gaps.append(abs(float(risk.with_statistics(Repair(a, b)).losses(a.theta[None])[0]) - own))
    assert gaps[0] < 1e-9 and gaps[0] < gaps[1] < 0.1 and gaps[2] < 0.2


def test_networks_of_other_kinds() -> None:
    risk = tw.EmpiricalRisk(conv(), nn.CrossEntropyLoss(), (images(9), torch.randint(0, 3, (9,))))
    a = noisy(risk)
    value = float(risk.with_statistics(Repair(a, a)).losses(a.theta[None])[0])
    assert value == pytest.approx(float(risk.at(a).losses(a.theta[None])[0]), rel=1e-4)
