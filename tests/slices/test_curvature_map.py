"""Eigenvalues over a plane equal those of the dense Hessian; neighbours save products and hide nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.conftest import DictConvNet, conv_data
from thalweg.core.recorded import Recorded
from thalweg.core.rng import Stream
from thalweg.errors import BudgetSpent, InputError
from thalweg.records import SliceStatus, Surface, pack, unpack
from thalweg.records.convexity import downward, ratio
from thalweg.slices import CurvatureMap, Line, Plane, TrajectoryPlane
from thalweg.slices.extremes import extremes
from thalweg.store import Directory


@pytest.fixture(scope="module")
def small() -> tw.EmpiricalRisk:
    """A tanh network of 26 parameters, so that its Hessian can be written down."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    data = torch.randn(20, 3, dtype=torch.float64), torch.randint(0, 2, (20,))
    return tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), data)


def dense(objective: tw.Objective, theta: torch.Tensor) -> torch.Tensor:
    return torch.autograd.functional.hessian(objective.scalar, theta)


@pytest.mark.parametrize("warm", [True, False])
def test_eigenvalues_are_those_of_the_dense_hessian(small: tw.EmpiricalRisk, warm: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(2, small.space.size, generator=generator, dtype=torch.float64)
    fill = CurvatureMap(tol=1e-7, warm=warm)
    record = Plane(steps=(3, 10), directions=directions, fill=fill)(small, small.initial)
    plain = Plane(steps=(3, 10), directions=directions)(small, small.initial)
    np.testing.assert_allclose(record.loss, plain.loss, rtol=1e-12)
    for i, a in enumerate(record.axes[0]):
        for j, b in enumerate(record.axes[1]):
            theta = small.initial.theta + float(a) * directions[0] + float(b) * directions[1]
            values = torch.linalg.eigvalsh(dense(small, theta))
            assert record.data["largest"][i, j] == pytest.approx(float(values[-1]), rel=1e-9)
            assert record.data["smallest"][i, j] == pytest.approx(float(values[0]), rel=1e-9)
            assert ratio(record.data)[i, j] == pytest.approx(float((values[0] / values[-1]).abs()), rel=1e-8)
            gradient = torch.autograd.functional.jacobian(small.scalar, theta)
            assert record.data["gradient_norm"][i, j] == pytest.approx(float(gradient.norm()), rel=1e-12)
            inside = directions.T @ torch.linalg.lstsq(directions.T, gradient).solution
            assert record.data["gradient_inside"][i, j] == pytest.approx(
                float(inside.norm() / gradient.norm()), rel=1e-9
            )
    assert record.status is SliceStatus.COMPLETE and record.data["converged"].all()


def test_residuals_are_error_bars(small: tw.EmpiricalRisk) -> None:
    record = Plane(steps=4, fill=CurvatureMap(tol=0.05))(small, small.initial)
    directions = tw.slices.directions_of(record, small, small.initial).dense()
    wide = 0
    for i, j in np.ndindex(4, 4):
        theta = small.initial.theta + torch.tensor(record.data["coordinates"][i, j]) @ directions
        values = torch.linalg.eigvalsh(dense(small, theta)).numpy()
        for name in ("largest", "smallest"):
            found, residual = record.data[name][i, j], record.data[f"{name}_residual"][i, j]
            assert np.abs(values - found).min() <= residual + 1e-12
            wide += residual > 1e-6
        assert record.data["largest"][i, j] <= values[-1] + 1e-12  # a Ritz value lies within the spectrum
        assert record.data["smallest"][i, j] >= values[0] - 1e-12
    assert wide > 8  # the bars are not all of rounding


def test_a_function_with_a_known_hessian() -> None:
    """F = x⁴ + 3y² − z²/2 over x and y: the eigenvalues are 12x², 6 and −1."""
    known = tw.Function(lambda x: x[0] ** 4 + 3 * x[1] ** 2 - x[2] ** 2 / 2, 3)
    record = Plane(steps=9, half_width=2, fill=CurvatureMap(tol=1e-10))(known, known.initial)
    x = record.data["coordinates"][..., 0]
    np.testing.assert_allclose(record.data["largest"], np.maximum(12 * x**2, 6), atol=1e-12)
    np.testing.assert_allclose(record.data["smallest"], -1, atol=1e-12)
    assert downward(record.data, record.convexity.slack).all() and "81 of 81 points" in record.summary
    assert np.isnan(record.data["gradient_inside"][4, 4]) and record.data["gradient_norm"][4, 4] == 0
    np.testing.assert_allclose(np.delete(record.data["gradient_inside"].ravel(), 40), 1)  # z = 0: no slope out of it
    bowl = tw.Function(lambda x: x.square().sum() + x[0] ** 4, 2)
    convex = Plane(steps=3, fill=CurvatureMap())(bowl, bowl.initial)
    assert not downward(convex.data, convex.convexity.slack).any() and "0 of 9 points" in convex.summary


def overtaken(x: torch.Tensor) -> torch.Tensor:
    """Curvatures that never turn: one rises from 0.5 to 5 along x₀, the others stay between −1 and 2."""
    fixed = torch.linspace(-1, 2, len(x) - 1, dtype=x.dtype)
    return 0.5 * 2.75 * x[0] ** 2 + 2.25 * x[0] ** 3 / 6 + 0.5 * (fixed * x[1:] ** 2).sum()


def test_an_eigenvalue_that_overtakes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The neighbour's vectors stay eigenvectors here, so that they alone would never show another."""
    crossing, along = tw.Function(overtaken, 40), torch.eye(40, dtype=torch.float64)[0]
    line = Line(steps=8, directions=along, fill=CurvatureMap(tol=1e-6))
    record = line(crossing, crossing.initial)
    truth = np.maximum(2.75 + 2.25 * record.data["coordinates"], 2)
    np.testing.assert_allclose(record.data["largest"], truth, rtol=1e-6)
    monkeypatch.setattr("thalweg.slices.extremes.KEPT", 1)  # the control: no runner-up and no probe
    blind = replace(line, fill=CurvatureMap(tol=1e-6, probes=0))(crossing, crossing.initial)
    assert np.abs(blind.data["largest"] / truth - 1).max() > 0.3


def test_neighbours_save_products() -> None:
    risk = tw.zoo.digits(dtype=torch.float64)
    run = tw.descent.Descent(steps=60, batch=256)(risk, risk.initial)
    line = Line(steps=8, half_width=0.05)
    taken = {}
    for warm in (True, False):
        record = replace(line, fill=CurvatureMap(tol=1e-3, warm=warm))(risk, run.final[0])
        taken[warm] = record.data["products"]
        assert record.cost.products == record.data["products"].sum() and record.cost.backwards == 8
    assert taken[True][0] == taken[False][0]  # a chain begins cold
    assert taken[True].sum() < 0.75 * taken[False].sum()


def test_an_interrupted_map_goes_on_bit_for_bit(small: tw.EmpiricalRisk, tmp_path: Path) -> None:
    method = Plane(steps=(3, 10), fill=CurvatureMap())
    whole = method(small, small.initial)
    with Directory.open(tmp_path / "d", {"command": "plane"}, resume=False) as directory:
        evaluate = Recorded("plane", directory.ledger, directory.sink, task_size=1)
        with pytest.raises(BudgetSpent):
            method(small, small.initial, evaluate=evaluate, budget=tw.Budget(gradients=400))
        done = directory.ledger.cost("plane").products
        assert 0 < done < whole.cost.products
        resumed = method(small, small.initial, evaluate=evaluate)
        directory.save_record("plane", resumed)
        stored = directory.load_record("plane")
    assert stored is not None and resumed.cost.products == whole.cost.products
    for name, values in whole.arrays().items():
        assert stored.arrays()[name].tobytes() == values.tobytes(), name


@given(
    size=st.integers(1, 24), start=st.integers(0, 4), basis=st.integers(12, 30), seed=st.integers(0, 50),
    low=st.sampled_from([0, 3, 20]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_both_ends_of_any_symmetric_matrix(size: int, start: int, basis: int, seed: int, low: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    factor = torch.randn(size, size, generator=generator, dtype=torch.float64)
    matrix = factor + factor.T
    matrix[:, :low] = matrix[:low] = 0  # rank-deficient, so that the space becomes invariant early
    begin = torch.randn(start, size, generator=generator, dtype=torch.float64) if start else None
    found = extremes(lambda v: v @ matrix, size, Stream(seed), start=begin, tol=1e-9, basis=basis, limit=2000)
    values = torch.linalg.eigvalsh(matrix)
    assert found.converged
    assert found.largest == pytest.approx(float(values[-1]), abs=1e-7)
    assert found.smallest == pytest.approx(float(values[0]), abs=1e-7)
    torch.testing.assert_close(
        found.vectors @ found.vectors.T, torch.eye(len(found.vectors)).double(), atol=1e-8, rtol=0
    )


def test_from_one_vector_it_is_lanczos() -> None:
    """After k products the Ritz values are those of the Krylov space, whatever the basis grew by."""
    matrix = torch.diag(torch.linspace(-1, 3, 60, dtype=torch.float64) ** 3)
    found = extremes(lambda v: v @ matrix, 60, Stream(0), limit=12, tol=1e-12)
    vector = torch.randn(60, generator=Stream(0)("start", 0).torch(), dtype=torch.float64)
    krylov = [vector]
    for _ in range(11):
        krylov.append(matrix @ krylov[-1] / krylov[-1].norm())
    q, _ = torch.linalg.qr(torch.stack(krylov).T)
    values = torch.linalg.eigvalsh(q.T @ matrix @ q)
    assert found.products == 12 and not found.converged
    assert found.largest == pytest.approx(float(values[-1]), rel=1e-8)
    assert found.smallest == pytest.approx(float(values[0]), rel=1e-6)


def test_what_does_not_converge_is_said_and_left_open(small: tw.EmpiricalRisk) -> None:
    record = Plane(steps=3, fill=CurvatureMap(tol=1e-9, limit=3))(small, small.initial)
    assert record.status is SliceStatus.UNSETTLED and "limit of products" in record.message
    assert not record.data["converged"].any() and np.isnan(ratio(record.data)).all()
    assert "No extreme eigenvalue" in record.summary
    assert np.isfinite(record.data["largest"]).all()  # kept: with their residuals they still say something


def test_what_is_not_finite_is_a_hole() -> None:
    pole = tw.Function(lambda x: 1 / x[0] + x[1] ** 2, 2)
    record = Plane(steps=3, fill=CurvatureMap())(pole, pole.initial)
    assert record.status is SliceStatus.NONFINITE
    assert np.isnan(record.data["largest"][1]).all() and np.isfinite(record.data["largest"][[0, 2]]).all()


def test_a_trajectorys_plane_and_the_store_take_it(small: tw.EmpiricalRisk) -> None:
    run = tw.descent.Descent(steps=20, batch=None)(small, small.initial)
    record = TrajectoryPlane(steps=3, fill=CurvatureMap())(small, run)
    back = unpack(*pack(record))
    assert isinstance(back, Surface) and back.convexity == record.convexity and back.curved in record.summary
    assert "random walk" in record.summary and record.data["gradient_inside"].max() <= 1


def test_batchnorm_between_points_is_refused_in_one_line() -> None:
    torch.manual_seed(0)
    risk = tw.EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data())
    alone = Plane(steps=2, fill=CurvatureMap(tol=0.05))(risk, risk.initial)
    assert alone.data["converged"].all()
    moved = risk.point(risk.initial.theta + 0.1, "moved")
    with pytest.raises(tw.errors.ThalwegError, match="recalibrate"):
        Plane(steps=2, fill=CurvatureMap())(risk, risk.initial, moved)


@pytest.mark.parametrize("options", [{"tol": 0.0}, {"tol": 2}, {"limit": 1}, {"basis": 3}, {"probes": -1}])
def test_options_are_refused_with_their_value(options: dict) -> None:
    ((name, value),) = options.items()
    with pytest.raises(InputError, match=f"{name}={value}"):
        CurvatureMap(**options)


def test_where_f_is_not_finite_there_is_no_curvature() -> None:
    """Autograd has finite derivatives of log x at x < 0, where F is NaN: they are of nothing."""
    log = tw.Function(lambda x: torch.log(x[0]) + x[1].square(), 2)
    outside = torch.tensor([[-1.0, 0.0]], dtype=torch.float64)
    assert bool(log.losses(outside).isnan()) and bool(log.value_and_grad(outside)[1].isfinite().all())  # the trap
    record = Plane(steps=(7, 3), fill=CurvatureMap())(log, torch.tensor([0.5, 0.0]))
    lost = ~np.isfinite(record.loss)
    assert lost.any() and not lost.all()
    for name in ("largest", "smallest", "gradient_norm", "gradient_inside"):
        np.testing.assert_array_equal(np.isnan(record.data[name]), lost)
    assert not record.data["products"][lost].any() and not record.data["converged"][lost].any()
    x = record.data["coordinates"][..., 0] + 0.5
    np.testing.assert_allclose(record.data["smallest"][~lost], -1 / x[~lost] ** 2, rtol=1e-9)
