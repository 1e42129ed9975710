"""Connected sublevel sets: wide linear networks under several losses and at special points, and strict minima."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.records import VerdictStatus
from thalweg.theory import CLAIMS, Subject
from thalweg.theory.deep_linear.build import balanced, network, point, whitened

CONNECTED, STRICT = CLAIMS["freeman_2017.connected_linear"], CLAIMS["freeman_2017.strict_minima"]


def linear(widths: tuple[int, ...], loss: nn.Module, classes: bool = False) -> tw.EmpiricalRisk:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(8, widths[0], generator=generator, dtype=torch.float64)
    y = torch.randn(8, widths[-1], generator=generator, dtype=torch.float64)
    layers = [nn.Linear(n, m, bias=False) for n, m in itertools.pairwise(widths)]
    return tw.EmpiricalRisk(nn.Sequential(*layers).double(), loss, (x, y.argmax(1) if classes else y))


@pytest.mark.parametrize("widths", [(2, 3, 2), (1, 2, 4), (4, 3, 5, 2), (3, 4, 4, 4, 3), (3, 2)])
@pytest.mark.parametrize("size", [0.0, 1.0, 30.0])
def test_wide_linear_networks_are_joined_from_zero_and_from_far_away(widths: tuple[int, ...], size: float) -> None:
    risk = linear(widths, nn.MSELoss())
    theta = size * torch.randn(risk.space.size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    verdict = CONNECTED.examine(Subject(risk, theta))
    assert verdict.status is VerdictStatus.HOLDS, verdict.conclusion


def test_other_convex_losses_are_joined_and_others_are_refused() -> None:
    for risk in (linear((3, 4, 3), nn.CrossEntropyLoss(), True), linear((3, 4, 3), nn.HuberLoss())):
        assert CONNECTED.examine(Subject(risk, risk.initial)).status is VerdictStatus.HOLDS
    bounded = linear((3, 4, 3), nn.MSELoss())
    x, y = bounded.table.inputs, bounded.table.targets
    odd = tw.EmpiricalRisk(bounded.network.module, lambda z, t: (z - t).square().sum(1).div(3).tanh(), (x, y))
    verdict = CONNECTED.examine(Subject(odd, odd.initial))
    assert [check.name for check in verdict.unmet] == ["the loss is convex in the outputs"]


@pytest.mark.parametrize("widths", [(2, 2, 2), (3, 2, 4, 2), (1, 5, 1, 3)])
def test_one_layer_as_wide_as_the_narrower_end_is_refused(widths: tuple[int, ...]) -> None:
    risk = linear(widths, nn.MSELoss())
    assert CONNECTED.examine(Subject(risk, risk.initial)).status is VerdictStatus.HYPOTHESIS_UNMET


def test_minima_of_wide_linear_networks_are_not_strict() -> None:
    phi = torch.diag(torch.tensor([2.0, 0.8], dtype=torch.float64))
    risk = whitened((2, 3, 2), phi)
    verdict = STRICT.examine(Subject(risk, point(risk, balanced(phi, (2, 3, 2)))))
    assert [check.name for check in verdict.unmet] == ["smallest Hessian eigenvalue"]
    narrow = whitened((2, 2, 2), phi)
    names = [c.name for c in STRICT.examine(Subject(narrow, point(narrow, balanced(phi, (2, 2, 2))))).unmet]
    assert names[0] == "sublevel sets that are known to be connected"


def test_a_strict_minimum_of_least_squares_is_global_and_a_wrong_point_is_not_critical() -> None:
    x, y = torch.eye(3, dtype=torch.float64), torch.ones(3, 2, dtype=torch.float64)
    risk = network((3, 2), x, y)
    good = torch.ones(6, dtype=torch.float64)
    assert STRICT.examine(Subject(risk, good)).status is VerdictStatus.HOLDS
    assert [c.name for c in STRICT.examine(Subject(risk, good + 0.1)).unmet] == ["gradient norm"]
