"""Shallow problems: certificates against dense references, thresholds from both sides, balances along a flow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.errors import InputError
from thalweg.records import VerdictStatus
from thalweg.theory import Subject, shallow
from thalweg.theory.shallow.burer_monteiro import ZeroColumn, basis, coordinates, spurious
from thalweg.theory.shallow.factored import Factored


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def symmetric(seed: int, count: int, d: int) -> Tensor:
    a = drawn(seed, count, d, d)
    return (a + a.mT) / 2


@given(st.integers(2, 4), st.integers(1, 4), st.integers(1, 8), st.floats(0, 1), st.integers(0, 2**31 - 1))
@settings(max_examples=20, deadline=None)
def test_the_gradient_of_a_factored_problem_is_twice_the_slope_times_the_factor(
    d: int, columns: int, rows: int, decay: float, seed: int
) -> None:
    problem = Factored(symmetric(seed, rows, d), drawn(seed + 1, rows), columns, decay)
    x = drawn(seed + 2, d, columns)
    _, gradient = problem.objective().value_and_grad(x.reshape(1, -1))
    assert torch.allclose(gradient[0].reshape(d, columns), 2 * problem.slope(x) @ x, rtol=1e-10, atol=1e-12)


def test_the_isometry_constant_is_the_worst_matrix_and_no_rank_is_worse() -> None:
    problem = Factored.planting(symmetric(0, 60, 3), drawn(1, 3, 1), 1)
    delta = problem.isometry()
    matrices = symmetric(2, 4000, 3)
    vectors = drawn(3, 4000, 3)
    for m in (matrices, vectors[:, :, None] * vectors[:, None, :]):
        ratio = torch.einsum("kij,bij->bk", problem.operators, m).square().sum(1) / m.square().sum((1, 2))
        assert float((ratio.max() - ratio.min()) / (ratio.max() + ratio.min())) <= delta
    assert Factored.planting(basis(3), drawn(1, 3, 1), 1).isometry() == pytest.approx(0, abs=1e-14)
    # two operators on three dimensions of symmetric matrices: some matrix is invisible
    assert Factored.planting(symmetric(4, 2, 2), drawn(5, 2, 1), 1).isometry() == pytest.approx(1)


@pytest.mark.parametrize("delta", [0.45, 0.55, 0.7, 0.9])
def test_the_bad_minimum_appears_where_the_isometry_constant_passes_one_half(delta: float) -> None:
    problem, bad = spurious(delta)
    assert problem.isometry() == pytest.approx(delta, rel=1e-6)
    objective = problem.objective()
    value, gradient = objective.value_and_grad(bad[None])
    assert float(gradient.norm()) < 1e-12 and float(value[0]) == pytest.approx((1 - delta**2) / 12)
    with objective.linearized(bad[None]) as products:
        hessian = products.hvp(torch.eye(2, dtype=torch.float64)[None])[0]
    least = float(torch.linalg.eigvalsh(hessian)[0])
    assert (least > 1e-3) == (delta > 0.5) and (least < -1e-3) == (delta < 0.5)


@given(st.integers(0, 2**31 - 1), st.floats(0.01, 0.5))
@settings(max_examples=8, deadline=None)
def test_the_dual_bound_is_below_every_value_it_bounds(seed: int, decay: float) -> None:
    """F(M') ≥ F(M) − gap for every M' of that trace, at any X: no stationarity is used."""
    problem = Factored(symmetric(seed, 5, 3), drawn(seed + 1, 5), 3, decay)
    x = drawn(seed + 2, 3, 3)
    found = shallow.dual(problem, x)
    others = drawn(seed + 3, 200, 9) * 2
    traces = others.square().sum(1)
    values = torch.stack([problem(o) for o in others])
    bounds = torch.tensor([float(problem(x.reshape(-1))) - found.gap(float(t)) for t in traces])
    assert bool((values >= bounds - 1e-9 * values.abs().max()).all())


def test_a_zero_column_certifies_and_a_wrong_point_does_not() -> None:
    target = torch.diag(torch.tensor([2.0, 1.0, -1.0], dtype=torch.float64))
    problem = Factored(basis(3), coordinates(target), columns=2)
    claim = ZeroColumn()
    top = torch.zeros(3, 2, dtype=torch.float64)
    top[0, 0] = 2**0.5
    verdict = claim.examine(Subject(problem.objective(), top.reshape(-1)))
    assert verdict.status is VerdictStatus.HYPOTHESIS_UNMET  # rank one of two, but a saddle
    assert [c.name for c in verdict.unmet] == ["negative eigenvalues"]
    assert shallow.dual(problem, top).least == pytest.approx(-1 / 12)


def test_operators_that_are_not_symmetric_are_refused() -> None:
    with pytest.raises(InputError, match="not symmetric"):
        Factored(drawn(0, 3, 2, 2), drawn(1, 3), 1)
    with pytest.raises(InputError, match="columns=0"):
        Factored(symmetric(0, 3, 2), drawn(1, 3), 0)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.MultiMarginLoss()])
def test_neurons_keep_their_balance_along_a_flow(loss: nn.Module) -> None:
    model = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 4), nn.LeakyReLU(0.2), nn.Linear(4, 3)).double()
    x = drawn(0, 20, 3)
    risk = EmpiricalRisk(model, loss, (x, torch.arange(20) % 3))
    start = drawn(1, risk.space.size)
    moved = []
    for step in (1e-3, 5e-4):
        theta = start.clone()
        for _ in range(round(0.2 / step)):
            theta = theta - step * risk.value_and_grad(theta[None])[1][0]
        before, after = (torch.cat(shallow.balances(Subject(risk, p))) for p in (start, theta))
        moved.append(float((after - before).abs().max()))
        assert float((theta - start).norm()) > 0.05
    assert moved[0] < 1e-2 and moved[1] == pytest.approx(moved[0] / 2, rel=0.2)  # Euler's error, gone with the step
    rates = torch.cat(shallow.velocities(Subject(risk, start)))
    assert float(rates.abs().max()) < 1e-12


def test_balances_count_biases_in_and_not_out() -> None:
    model = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1)).double()
    risk = EmpiricalRisk(model, nn.MSELoss(), (drawn(0, 4, 2), drawn(1, 4, 1)))
    theta = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64)
    assert shallow.balances(Subject(risk, theta))[0].tolist() == [1 + 4 + 9 - 16]


def test_a_survey_counts_what_the_facts_list() -> None:
    problem = Factored(basis(3), coordinates(torch.diag(torch.tensor([3.0, 2.0, 1.0]).double())), columns=1)
    found = shallow.survey(Subject(problem.objective(), torch.ones(3, dtype=torch.float64)))
    values = (np.array([14.0, 5.0, 10.0, 13.0]) / 24).round(9)
    expected = dict(zip(values, [3, 0, 1, 2], strict=True))
    assert {round(float(v), 9) for v in found.losses} <= set(values) and found.second_order.sum() >= 10
    assert all(expected[round(float(v), 9)] == i for v, i in zip(found.losses, found.index, strict=True))
    assert not found.above(5 / 24, 1e-9).any()
