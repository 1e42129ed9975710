"""What the libraries' optimisers do at saddles with the stops they come with, and that the record says so."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg import records
from thalweg.descent.baselines import STOPS, Library
from thalweg.errors import InputError
from thalweg.records import BaselineStatus

SCIPY = [name for name in STOPS if name != "lbfgs"]


def well(gamma: float = 0.1) -> tw.Function:
    """A strict saddle at 0 with eigenvalue −γ along y, minima at y = ±1."""
    return tw.Function(lambda x: x[0] ** 2 / 2 + gamma * (x[1] ** 4 / 4 - x[1] ** 2 / 2), 2)


def test_the_stops_shown_are_the_libraries_defaults() -> None:
    from scipy.optimize import _optimize, _trustregion

    torch_ = inspect.signature(torch.optim.LBFGS).parameters
    assert STOPS["lbfgs"] == {name: torch_[name].default for name in ("tolerance_grad", "tolerance_change")}
    for name, function, stop in (
        ("bfgs", _optimize._minimize_bfgs, "gtol"),
        ("newton-cg", _optimize._minimize_newtoncg, "xtol"),
        ("trust-ncg", _trustregion._minimize_trust_region, "gtol"),
    ):
        assert STOPS[name] == {stop: inspect.signature(function).parameters[stop].default}
    assert STOPS["trust-ncg"] == STOPS["trust-krylov"] == STOPS["trust-exact"]


@pytest.mark.parametrize("method", STOPS)
def test_every_one_calls_an_exact_saddle_converged(method: str) -> None:
    """None looks at the curvature; a certificate does."""
    objective = well()
    record = Library(method)(objective, torch.zeros(2))
    assert record.status is BaselineStatus.CONVERGED and record.converged.all()
    assert record.data["steps"][0] <= 1 and (record.data["thetas"] == 0).all()
    assert tw.critical.certify(objective, torch.from_numpy(record.data["thetas"][0].copy())).status.name == "ESCAPES"
    assert all(f"{name} = {x:.3g}" in record.summary for name, x in STOPS[method].items())


@pytest.mark.parametrize("method", STOPS)
def test_every_one_reaches_a_minimum_from_elsewhere(method: str) -> None:
    record = Library(method)(well(1.0), torch.tensor([[1.0, 0.5], [-1.0, -0.3]]))
    np.testing.assert_allclose(np.abs(record.data["thetas"][:, 1]), 1, atol=1e-3)
    assert record.converged.all() and (record.data["gradients"] > 2).all()
    hessian = method not in ("lbfgs", "bfgs")
    assert (record.data["products"] > 0).all() == hessian
    assert record.data["products"].sum() == record.cost.products


def test_lbfgs_stops_near_a_saddle_by_its_progress_whatever_gradient_is_asked() -> None:
    """1e-4 off a saddle with γ = 0.1: −g·d < 1e-9 ends it with ‖∇F‖ ≈ 1e-5; without that rule it gets away."""
    start = torch.tensor([0.0, 1e-4], dtype=torch.float64)
    stuck = Library(stops={"tolerance_grad": 1e-12})(well(), start)
    assert stuck.converged.all() and stuck.data["steps"][0] <= 5 and abs(stuck.data["thetas"][0, 1]) < 1e-3
    assert stuck.data["gradient_norm"][0] > 1e-6
    away = Library(stops={"tolerance_grad": 1e-12, "tolerance_change": 0.0})(well(), start)
    assert abs(away.data["thetas"][0, 1]) == pytest.approx(1, abs=1e-6)


def test_on_the_stable_manifold_only_the_whole_hessian_sees_the_way_out() -> None:
    start = torch.tensor([0.7, 0.0], dtype=torch.float64)
    for method, leaves in (("trust-exact", True), ("trust-ncg", False), ("newton-cg", False), ("bfgs", False)):
        record = Library(method)(well(1.0), start)
        assert (abs(record.data["thetas"][0, 1]) > 0.5) == leaves, method


def test_limits_budgets_and_networks() -> None:
    torch.manual_seed(0)
    risk = tw.EmpiricalRisk(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)), nn.MSELoss(),
                            (torch.randn(20, 3), torch.randn(20, 1)))  # fmt: skip
    for method in ("lbfgs", "trust-krylov"):
        record = Library(method, limit=30)(risk, risk.initial)
        assert record.data["loss"][0] < float(risk.losses(risk.initial.theta[None])[0])
    short = Library("bfgs", limit=2)(well(1.0), torch.tensor([1.0, 0.5]))
    assert short.status is BaselineStatus.STOPPED and not short.converged.any() and short.messages[0]
    spent = Library("bfgs")(well(1.0), torch.tensor([1.0, 0.5]), budget=tw.Budget(gradients=3))
    assert spent.status is BaselineStatus.BUDGET and spent.messages == ("the budget ended",)
    metadata, arrays = records.pack(spent)
    again = records.unpack(json.loads(json.dumps(metadata, allow_nan=False)), arrays)
    assert again.stops == spent.stops and again.summary == spent.summary


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(InputError, match="method='sgd'"):
        Library("sgd")
    with pytest.raises(InputError, match="'ftol'"):
        Library("bfgs", stops={"ftol": 1.0})
    with pytest.raises(InputError, match="0 points"):
        Library()(well())


@pytest.mark.parametrize("method", STOPS)
def test_a_run_ends_at_the_first_value_that_is_low_enough(method: str) -> None:
    objective, starts = well(1.0), torch.tensor([[1.0, 0.5], [0.0, 0.9], [0.0, 0.0]], dtype=torch.float64)
    record = Library(method, stop_loss=-0.2)(objective, starts)
    assert record.data["reached"].tolist() == [True, True, False]
    assert (record.data["loss"][:2] <= -0.2).all() and "stop_loss=-0.2" in record.messages[0]
    assert record.data["steps"][0] >= 1 and record.data["steps"][1] == 0 and record.data["gradients"][1] == 1
    whole = Library(method)(objective, starts[:1])
    assert record.data["gradients"][0] < whole.data["gradients"][0] and not whole.data["reached"].any()
    assert record.data["steps"][0] <= whole.data["steps"][0]
