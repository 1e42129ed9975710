"""The scaled objective is R(alpha·(f − f_0))/alpha² exactly, and its descent becomes the linear one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import thalweg as tw
from tests.core import test_objectives as contract
from tests.core.test_linearise import squares
from thalweg.core.lazy import LazyScale
from thalweg.core.objective import Objective
from thalweg.errors import InputError
from thalweg.testing import ObjectiveContract


class TestContract(ObjectiveContract):
    @pytest.fixture(params=["mlp", "conv", "recurrent"], autouse=True)
    def _named(self, request: pytest.FixtureRequest) -> None:
        risk = contract.OBJECTIVES[request.param]().to(torch.float64)
        self.kept = LazyScale(3.0)(risk, contract.nearby(risk, 1)[0])

    def make(self) -> Objective:
        return self.kept


@pytest.mark.parametrize("centred", [True, False])
def test_it_is_the_formula(centred: bool) -> None:
    risk = contract.mlp().to(torch.float64)
    assert isinstance(risk, tw.EmpiricalRisk)
    start, theta = contract.nearby(risk, 2)
    scaled = LazyScale(5.0, centred)(risk, start)
    z = risk.outputs(theta) - (risk.outputs(start) if centred else 0)
    torch.testing.assert_close(scaled.outputs(theta), 5 * z)
    expected = F.cross_entropy(5 * z, risk.table.targets) / 25
    assert float(scaled.losses(theta[None])[0]) == pytest.approx(float(expected), rel=1e-12)
    index = torch.arange(7)
    part = F.cross_entropy(5 * z[:7], risk.table.targets[:7]) / 25
    assert float(scaled.rows(index).losses(theta[None])[0]) == pytest.approx(float(part), rel=1e-12)
    assert float(scaled.to(torch.float32).losses(theta[None].float())[0]) == pytest.approx(float(expected), rel=1e-5)


def test_the_regulariser_is_divided_with_the_loss() -> None:
    net, data = torch.nn.Linear(2, 1).double(), (torch.randn(4, 2).double(), torch.randn(4, 1).double())
    risk = tw.EmpiricalRisk(net, torch.nn.MSELoss(), data, regulariser=lambda p: p["weight"].square().sum())
    scaled = LazyScale(2.0)(risk, risk.initial)
    theta = risk.initial.theta + 1
    bare = tw.EmpiricalRisk(net, torch.nn.MSELoss(), data)
    extra = risk.penalty(theta) / 4
    assert float(scaled.losses(theta[None])[0]) == pytest.approx(
        float(LazyScale(2.0)(bare, risk.initial).losses(theta[None])[0]) + extra
    )


def test_a_large_scale_trains_like_the_linear_model() -> None:
    risk = squares(8)
    moves, gaps = [], []
    train = tw.descent.LinearisedTraining(steps=60, lr=0.2, kernels=0, every=20)
    for alpha in (10.0, 100.0):
        found = tw.descent.LinearisedTraining(steps=100, lr=0.2, kernels=0)(
            LazyScale(alpha)(risk, risk.initial), risk.initial
        )
        moves.append(found.movement)
        gaps.append(float(found.data["gap"].max()))
    assert moves[0] / moves[1] == pytest.approx(10, rel=0.1)  # 1/alpha
    assert gaps[0] / gaps[1] == pytest.approx(10, rel=0.1)
    real = train(LazyScale(0.1)(risk, risk.initial), risk.initial)
    assert float(real.data["gap"].max()) > 5 * gaps[0]  # a small scale is not lazy


def test_refusals() -> None:
    with pytest.raises(InputError, match="alpha=0"):
        LazyScale(0.0)
    with pytest.raises(InputError, match="Function has none"):
        LazyScale(1.0)(contract.formula(), torch.zeros(3))
