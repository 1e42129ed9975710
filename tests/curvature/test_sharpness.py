"""Measures of sharpness against closed forms on quadratics, and against Dinh's rescaling on networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.curvature import Operator, Sharpness
from thalweg.errors import InputError
from thalweg.records import SharpnessStatus, unpack
from thalweg.records.codec import pack

A = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
THETA = torch.tensor([0.3, -0.2, 0.5, 0.1], dtype=torch.float64)


def quadratic() -> tw.Function:
    return tw.Function(lambda x: (A.to(x) * x * x).sum() / 2, 4, initial=THETA)


def network(act: nn.Module, seed: int = 0) -> tw.EmpiricalRisk:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, 12), act, nn.Linear(12, 3)).double()
    x, y = torch.randn(90, 5).double(), torch.randint(0, 3, (90,))
    return tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), (x, y))


def test_closed_forms_on_a_quadratic() -> None:
    table = Sharpness(draws=400, rise=0.05)(quadratic(), THETA)
    g, loss = A * THETA, float((A * THETA * THETA).sum() / 2)

    def at(step: torch.Tensor) -> float:
        return float((A * (THETA + step) ** 2).sum() / 2) - loss

    assert table["largest eigenvalue"].value == pytest.approx(4, rel=1e-6)
    assert abs(table["trace"].value - 7.5) <= 4 * table["trace"].error
    assert table["worst case"].value == pytest.approx(at(0.05 * g / g.norm()), rel=1e-9)
    step = 0.05 * THETA**2 * g / (THETA * g).norm()
    assert table["adaptive worst case"].value == pytest.approx(at(step), rel=1e-9)
    average = table["adaptive average"]
    assert abs(average.value - 0.005 * float((A * THETA**2).sum())) <= 4 * average.error
    # E F(θ + σξ) − F = σ² Tr A/2, so that 1/σ² = Tr A/(2 rise)
    assert table["pac-bayes"].value == pytest.approx(7.5 / 0.1, rel=0.1)
    reach = 1e-3 * (THETA.abs() + 1)
    corner = at(reach * THETA.sign())
    assert table["keskar"].value == pytest.approx(100 * corner / (1 + loss), rel=1e-6)
    assert table["keskar"].bound == "lower"
    for name, words in (("worst case of batches", "no rows"), ("relative flatness", "no weight matrix")):
        assert table[name].value is None and words in table[name].note
    assert table.status is SharpnessStatus.PARTIAL and table["trace"].invariant is None


def test_relative_flatness_of_a_linear_model_is_known() -> None:
    """F = ‖Wx − y‖²/2 in the mean: H is I ⊗ C with C the inputs' second moment, so the measure is ‖W‖² Tr C."""
    torch.manual_seed(2)
    model = nn.Linear(4, 3, bias=False).double()
    x = torch.randn(200, 4).double()
    objective = tw.EmpiricalRisk(model, lambda z, t: ((z - t) ** 2).sum(1) / 2, (x, torch.randn(200, 3).double()))
    found = Sharpness(draws=300, only=("relative flatness",))(objective, objective.initial)["relative flatness"]
    true = float(model.weight.detach().square().sum() * x.square().mean(0).sum())
    assert abs(found.value - true) <= 4 * found.error < true


@pytest.mark.parametrize("gamma", [3.0, 100.0])
def test_local_entropy_of_a_quadratic_is_its_closed_form(gamma: float) -> None:
    """Both lines of the table, one by sampling, one by quadrature that is exact in four dimensions."""
    table = Sharpness(draws=4000, gamma=gamma, only=("local entropy", "local entropy of the quadratic"))(
        quadratic(), THETA
    )
    g = A * THETA
    true = float((1 + A / gamma).log().sum() - (g * g / (A + gamma)).sum()) / 2
    sampled = table["local entropy"]
    assert abs(sampled.value - true) <= 4 * sampled.error < 0.2 * abs(true)
    exact = table["local entropy of the quadratic"]
    assert abs(exact.value - true) <= 4 * exact.error


def test_local_entropy_of_a_network_nears_its_quadratic_as_the_scope_narrows() -> None:
    """Third and fourth derivatives count for less; a control: at a wide scope the two differ by far."""
    objective = network(nn.Tanh())
    with Operator(objective, objective.initial) as matrix:
        hessian = matrix.dense()
    gradient = objective.value_and_grad(objective.initial.theta[None])[1][0]
    eye, gaps = torch.eye(len(gradient)).double(), {}
    for gamma in (3.0, 3e5):
        bent = gradient @ torch.linalg.solve(hessian + gamma * eye, gradient)
        true = float(torch.linalg.slogdet(eye + hessian / gamma).logabsdet - bent) / 2
        sampled = Sharpness(draws=1000, gamma=gamma, only=("local entropy",))(objective, objective.initial).measures[0]
        gaps[gamma] = abs(sampled.value - true) / sampled.error
        line = Sharpness(gamma=gamma, only=("local entropy of the quadratic",))(objective, objective.initial)
        assert abs(line.measures[0].value - true) <= 5 * line.measures[0].error
    assert gaps[3e5] <= 4 and gaps[3.0] > 8


def test_the_quadratic_has_no_local_entropy_across_a_steep_fall() -> None:
    falling = tw.Function(lambda x: -50 * (x * x).sum(), 3, initial=torch.ones(3))
    found = Sharpness(gamma=10.0, only=("local entropy of the quadratic",))(falling, falling.initial).measures[0]
    assert found.value is None and "not positive definite" in found.note


def test_which_measures_rescaling_changes() -> None:
    """Dinh et al. 2017: the function stays, so what changes is no property of it; the flatness of a layer stays."""
    objective = network(nn.ReLU())
    table = Sharpness(draws=64)(objective, objective.initial)
    kept = {m.name for m in table.measures if m.invariant}
    assert {"adaptive worst case", "adaptive average", "relative flatness"} <= kept
    assert not kept & {"largest eigenvalue", "trace", "keskar", "worst case", "pac-bayes"}
    assert "layer 0 × 10, layer 2 ÷ 10" in table.rescaling and "adaptive average" in table.summary
    assert table.status is SharpnessStatus.COMPLETE


def test_a_tanh_network_offers_no_rescaling() -> None:
    objective = network(nn.Tanh())
    table = Sharpness(draws=4)(objective, objective.initial)
    assert all(m.invariant is None for m in table.measures) and "not tried" in table.rescaling


def test_batches_move_each_their_own_way() -> None:
    """The mean over batches exceeds the whole: each batch's worst direction is its own."""
    objective = network(nn.ReLU())
    table = Sharpness(batch=10, only=("worst case", "worst case of batches"))(objective, objective.initial)
    assert table["worst case of batches"].value > 1.2 * table["worst case"].value


def test_the_table_is_stored_and_read_back() -> None:
    table = Sharpness(draws=4, only=("trace",))(quadratic(), THETA)
    again = unpack(*pack(table))
    assert again.measures == table.measures and math.isclose(again.value, table.value)
    with pytest.raises(KeyError, match="there are trace"):
        table["keskar"]


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="rho=0"):
        Sharpness(rho=0)
    with pytest.raises(InputError, match="only='flatness'"):
        Sharpness(only=("flatness",))
    assert np.isfinite(Sharpness(draws=2, only=("trace",))(quadratic(), THETA)["trace"].value)
