"""Best constant and affine predictors, against other ways of finding them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from thalweg import EmpiricalRisk
from thalweg.core.baseline import baselines
from thalweg.zoo import digits, polynomial, scalar_factorisation


def data(rows: int = 60, outputs: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    y = x @ torch.randn(3, outputs, generator=generator, dtype=torch.float64) + 1
    return x, y + 0.5 * torch.randn(rows, outputs, generator=generator, dtype=torch.float64) ** 3


@pytest.mark.parametrize(
    ("loss", "power"),
    [(nn.MSELoss(), 2), (nn.L1Loss(), 1), (nn.MSELoss(reduction="sum"), 2), (nn.L1Loss(reduction="sum"), 1)],
)
def test_squared_and_absolute_error_against_a_direct_search(loss: nn.Module, power: int) -> None:
    x, y = data()
    found = baselines(EmpiricalRisk(nn.Linear(3, 2).double(), loss, (x, y)))
    scale = 1 if loss.reduction == "sum" else y.numel()
    middle = y.mean(0) if power == 2 else y.median(0).values
    assert found["constant"] == pytest.approx(float((y - middle).abs().pow(power).sum()) / scale)
    design = np.c_[x.numpy(), np.ones(len(x))]

    def value(w: np.ndarray) -> float:
        return float((np.abs(design @ w.reshape(4, 2) - y.numpy()) ** power).sum()) / scale

    start = np.linalg.lstsq(design, y.numpy(), rcond=None)[0].ravel()
    tried = minimize(value, start, method="Powell", options=dict(maxiter=20000, ftol=1e-13, xtol=1e-10)).fun
    assert found["affine"] <= tried * (1 + 1e-9)
    assert found["affine"] == pytest.approx(tried, rel=1e-3)


def test_cross_entropy_of_a_constant_is_the_entropy_of_the_classes() -> None:
    objective = digits()
    shares = torch.bincount(objective.table.targets).double() / objective.row_count
    found = baselines(objective)
    assert found["constant"] == pytest.approx(float(-(shares * shares.log()).sum()), rel=1e-9)
    assert 0 <= found["affine"] < 0.01  # these classes are linearly separable
    x = torch.randn(80, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noisy = torch.randint(0, 3, (80,), generator=torch.Generator().manual_seed(2))
    model = nn.Linear(2, 3).double()
    risk = EmpiricalRisk(model, nn.CrossEntropyLoss(), (x, noisy))
    best = baselines(risk)["affine"]
    theta = risk.initial.theta[None]
    for _ in range(600):  # the network is affine itself, and convex: descent must end at the same value
        theta = theta - 1.0 * risk.value_and_grad(theta)[1]
    assert float(risk.losses(theta)[0]) == pytest.approx(best, rel=1e-6)


def test_the_polynomials_of_the_string_paper() -> None:
    found = baselines(polynomial(loss="absolute", rows=400))
    x = polynomial(rows=400).table.inputs
    assert found["constant"] == pytest.approx(
        float((lambda y: (y - y.median()).abs().mean())(0.5 * x**2 + 0.25 * x)), rel=1e-2
    )


def test_what_has_no_baseline_has_none() -> None:
    assert baselines(scalar_factorisation()) == {}
    x, y = data()
    odd = EmpiricalRisk(nn.Linear(3, 2).double(), lambda z, t: ((z - t) ** 4).sum(1), (x, y))
    assert baselines(odd) == {}
    ids = torch.arange(60) % 7
    tokens = EmpiricalRisk(nn.Embedding(7, 2).double(), nn.MSELoss(), (ids, y))
    assert set(baselines(tokens)) == {"constant"}
