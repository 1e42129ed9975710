"""What changes along a run: dense references, conserved quantities with controls, networks as users have them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from tests.conftest import DictConvNet, TinyAttention, conv_data
from thalweg.core.metered import Budget
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream
from thalweg.descent import Descent, GradientDescent
from thalweg.errors import InputError
from thalweg.records import AlongRun, AlongStatus, Run, pack, unpack
from thalweg.trajectories import Along


def regression(activation: nn.Module | None, biases: bool = True) -> EmpiricalRisk:
    """Two hidden layers of 4 and 5 units on 30 rows, squared error, float64, drawn from fixed seeds."""
    torch.manual_seed(3)
    x = torch.randn(30, 3, dtype=torch.float64)
    between = [] if activation is None else [activation]
    layers = [nn.Linear(3, 4, biases), *between, nn.Linear(4, 5, biases), *between, nn.Linear(5, 2, biases)]
    return EmpiricalRisk(nn.Sequential(*layers).double(), nn.MSELoss(), (x, torch.sin(2 * x[:, :2])))


def descended(risk: EmpiricalRisk, lr: float = 0.1, steps: int = 40, every: int = 10) -> Run:
    return Descent(GradientDescent(lr), steps=steps, every=every)(risk, risk.initial)


def test_columns_equal_dense_references() -> None:
    risk = regression(nn.Tanh())
    run = descended(risk)
    found = Along(points=None, tol=1e-8)(risk, run)
    assert found.status is AlongStatus.COMPLETE and found.data["steps"].tolist() == run.data["steps"].tolist()
    np.testing.assert_allclose(found.data["loss"], run.data["loss"][:, 0], rtol=1e-12)
    np.testing.assert_allclose(found.data["gradient_norm"], run.data["gradient_norm"][:, 0], rtol=1e-9)
    for i, theta in enumerate(torch.from_numpy(run.data["thetas"][:, 0].copy())):
        dense = torch.autograd.functional.hessian(risk.scalar, theta)
        assert found.data["sharpness"][i] == pytest.approx(float(torch.linalg.eigvalsh(dense)[-1]), rel=1e-7)
        for j, name in enumerate(found.tensors):
            values = np.linalg.svd(risk.space.unravel(theta)[name].numpy(), compute_uv=False)
            assert found.data["rank"][i, j] == np.count_nonzero(values > 0.01 * values[0])
            assert found.data["stable_rank"][i, j] == pytest.approx((values**2).sum() / values[0] ** 2)
    ends = run.data["thetas"][[0, -1], 0]
    assert found.data["from_start"][-1] == pytest.approx(np.linalg.norm(ends[1] - ends[0]))
    assert found.data["from_start"][0] == found.data["from_end"][-1] == 0.0


def test_the_iteration_agrees_with_the_dense_matrix_beyond_it() -> None:
    """Warm starts on 257 parameters: the dense Hessian's top eigenvalue at the first and the last point."""
    torch.manual_seed(0)
    x = torch.randn(40, 6, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    risk = EmpiricalRisk(model, nn.MSELoss(), (x, x[:, :1] * x[:, 1:2]))
    run = descended(risk, steps=20)
    found = Along(points=3, tol=1e-6, kernel_rows=0)(risk, run)
    for i in (0, -1):
        theta = torch.from_numpy(run.data["thetas"][i, 0].copy())
        dense = torch.autograd.functional.hessian(risk.scalar, theta)
        assert found.data["sharpness"][i] == pytest.approx(float(torch.linalg.eigvalsh(dense)[-1]), rel=1e-5)
    assert "kernel_change" not in found.data and found.kernel == "none was asked for"


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("activation", [None, nn.ReLU(), nn.LeakyReLU(0.1)])
def test_gradient_flow_conserves_the_imbalance(activation: nn.Module | None, biases: bool) -> None:
    """Over the same time the change falls with the step: descent's is of order η, the flow's is zero."""
    risk = regression(activation, biases)
    changes = []
    for lr, steps in ((0.02, 50), (0.01, 100)):
        found = Along(points=2, sharpness=False, kernel_rows=0)(risk, descended(risk, lr, steps))
        assert found.pairs == (("0 → 1", "1 → 2") if activation is None else ("0 → 2", "2 → 4"))
        changes.append(found.data["imbalance_change"][-1])
    ratio = changes[0] / changes[1]
    assert ((ratio > 1.8) & (ratio < 2.2)).all()


def test_what_is_not_conserved_is_not_told() -> None:
    """Controls: tanh conserves nothing, weight decay destroys it, and a layer that also feeds a sum is in no pair."""
    quick = Along(points=2, sharpness=False, kernel_rows=0)
    smooth = regression(nn.Tanh())
    assert quick(smooth, descended(smooth)).pairs == ()

    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.one(x)
            return self.three(h + self.two(h).relu())

    torch.manual_seed(0)
    x = torch.randn(20, 3, dtype=torch.float64)
    skip = EmpiricalRisk(Skip().double(), nn.MSELoss(), (x, x[:, :2] ** 2))
    assert quick(skip, descended(skip)).pairs == ()
    decayed = EmpiricalRisk(
        nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double(),
        nn.MSELoss(),
        (x, x[:, :2] ** 2),
        regulariser=lambda named: 0.1 * sum((w.square().sum() for w in named.values()), torch.zeros(())),
    )
    assert quick(decayed, descended(decayed)).pairs == ()


def test_convolutions_through_relu_and_pooling_conserve_their_diagonal() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 2), nn.Flatten()).double()
    x = torch.randn(12, 1, 8, 8, dtype=torch.float64)
    risk = EmpiricalRisk(model, nn.MSELoss(), (x, torch.randn(12, 8, dtype=torch.float64)))
    found = Along(points=2, sharpness=False, kernel_rows=0)(risk, descended(risk, 0.01, 10))
    assert found.pairs == ("0 → 3",)


@pytest.mark.parametrize("kind", ["conv", "attention"])
def test_users_networks(kind: str) -> None:
    torch.manual_seed(0)
    if kind == "conv":
        risk = EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data())
    else:
        ids = torch.randint(0, 7, (12, 5), generator=Stream(0, ("ids",)).torch())
        risk = EmpiricalRisk(TinyAttention(), nn.CrossEntropyLoss(), (ids, ids.roll(1, 1)))
    found = Along(points=3, kernel_rows=8)(risk, descended(risk, 0.05, 8, 2))
    assert found.status is AlongStatus.COMPLETE and len(found.data["steps"]) == 3
    assert np.isfinite(found.data["sharpness"]).all() and (found.data["sharpness"] > 0).all()
    assert found.kernel


def test_what_was_not_asked_for_is_not_told() -> None:
    """Control: with the sharpness the sentence tells it."""
    risk = regression(nn.Tanh())
    run = descended(risk, steps=10)
    assert "sharpness" not in Along(sharpness=False)(risk, run).summary
    assert "the sharpness from" in Along()(risk, run).summary


def test_points_functions_budgets_and_the_store() -> None:
    objective = tw.Function(lambda x: (x[0] ** 2 + 10 * x[1] ** 2) / 2, 2)
    found = Along()(objective, torch.tensor([[1.0, 1.0], [0.5, 0.0], [0.0, 0.0]], dtype=torch.float64))
    np.testing.assert_allclose(found.data["sharpness"], 10.0)
    assert found.tensors == () and "has no rows" in found.kernel
    again = unpack(*pack(found))
    assert isinstance(again, AlongRun) and again.summary == found.summary
    risk = regression(nn.Tanh())
    short = Along(points=None)(risk, descended(risk), budget=Budget(gradients=200))
    assert short.status is AlongStatus.BUDGET and 0 < len(short.data["steps"]) < 5
    with pytest.raises(InputError, match="at least 2"):
        Along()(objective, torch.zeros(1, 2, dtype=torch.float64))
    with pytest.raises(InputError, match="which=3"):
        Along(which=3)(risk, descended(risk))


def test_a_run_that_leaves_the_finite_numbers() -> None:
    objective = tw.Function(lambda x: torch.log(x[0]), 1, initial=torch.ones(1))
    found = Along(kernel_rows=0)(objective, torch.tensor([[1.0], [0.5], [-1.0]], dtype=torch.float64))
    assert found.status is AlongStatus.NONFINITE and len(found.data["steps"]) == 2
