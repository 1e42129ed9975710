"""Slices equal a plain loop of load_state_dict and forward, and say where everything is."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from tests.conftest import DictConvNet, conv_data
from thalweg.records import SliceStatus
from thalweg.slices import Line, Plane, RandomDirections, TrajectoryPlane


def digits_net(dtype: torch.dtype) -> nn.Module:
    """The network of zoo.digits rebuilt by hand, to be driven by load_state_dict."""
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))
    return net.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", ["loop", "vmap", "stacked"])
def test_a_plane_equals_a_plain_loop_of_load_state_dict(dtype: torch.dtype, backend: str) -> None:
    risk = tw.zoo.digits(dtype=dtype).with_backend(backend)
    record = Plane(steps=5)(risk, risk.initial, rng=0)
    net, space, theta = digits_net(dtype), risk.space, risk.initial.theta
    one, two = RandomDirections(space, theta, 2, tw.core.rng.Stream(0, ("plane",))).dense()
    inputs, targets = risk.table.inputs, risk.table.targets
    expected, right = np.empty((5, 5)), np.empty((5, 5))
    for i, a in enumerate(np.linspace(-1, 1, 5)):
        for j, b in enumerate(np.linspace(-1, 1, 5)):
            named = space.unravel(theta + float(a) * one + float(b) * two)
            net.load_state_dict({name: x.clone() for name, x in named.items()})
            with torch.no_grad():
                logits = net(inputs)
            expected[i, j] = (
                F.cross_entropy(logits.double(), targets)
                if dtype == torch.float64
                else F.cross_entropy(logits, targets)
            )
            right[i, j] = (logits.argmax(1) == targets).double().mean()
    if dtype == torch.float64:
        np.testing.assert_allclose(record.loss, expected, rtol=1e-12)
    else:
        assert (np.abs(record.loss - expected) <= 1e-6 + 1e-5 * np.abs(expected)).all()
    np.testing.assert_allclose(record.data["accuracy"], right, atol=1e-12)
    assert record.provenance.backend == backend and record.center == (2, 2)
    assert record.center_loss == record.loss[2, 2]


def test_even_grids_do_not_pretend_to_hold_the_centre() -> None:
    risk = tw.zoo.polynomial()
    record = Plane(steps=4)(risk, risk.initial)
    assert record.center is None and record.points == 16
    assert record.center_loss == float(risk.losses(risk.initial.theta[None])[0])
    first, second = record.axes
    np.testing.assert_allclose(first, [-1, -1 / 3, 1 / 3, 1])


def test_coordinates_are_indexed_first_direction_first() -> None:
    lopsided = tw.Function(lambda x: x[0] + 10 * x[1], 2)
    record = Plane(steps=3)(lopsided, lopsided.initial)
    np.testing.assert_allclose(record.loss, [[-11, -1, 9], [-10, 0, 10], [-9, 1, 11]])
    np.testing.assert_allclose(record.data["coordinates"][2, 0], [1, -1])


def test_a_line_between_two_points_holds_both_ends() -> None:
    risk, other = tw.zoo.digits(seed=0), tw.zoo.digits(seed=1)
    record = Line(steps=7)(risk, risk.initial, other.initial)
    assert record.loss[0] == float(risk.losses(risk.initial.theta[None])[0])
    assert record.loss[-1] == record.marks[1].loss == float(risk.losses(other.initial.theta[None])[0])
    assert record.barrier >= 0 and [m.coordinates for m in record.marks] == [(0.0,), (1.0,)]


def test_a_plane_through_three_points_holds_all_three() -> None:
    risks = [tw.zoo.digits(seed=i, dtype=torch.float64) for i in range(3)]
    record = Plane(steps=6, margin=0.25)(risks[0], *(r.initial for r in risks))
    for mark, risk in zip(record.marks, risks, strict=True):
        assert mark.loss == float(risks[0].losses(risk.initial.theta[None])[0])
    subspace = risks[0].restrict(risks[0].initial, [risks[i].initial.theta - risks[0].initial.theta for i in (1, 2)])
    found = subspace.evaluate(torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64))["loss"]
    np.testing.assert_allclose(found, [record.marks[1].loss, record.marks[2].loss], rtol=1e-12)


def test_two_points_give_the_segment_and_an_orthogonal_direction() -> None:
    risk, other = tw.zoo.digits(), tw.zoo.digits(seed=1)
    record = Plane(steps=3)(risk, risk.initial, other.initial)
    assert abs(record.directions.cosines[0]) < 1e-6
    assert record.marks[1].coordinates == (1.0, 0.0)


def test_points_on_one_line_are_refused() -> None:
    risk = tw.zoo.polynomial()
    a = risk.initial.theta
    with pytest.raises(tw.errors.InputError, match="one line"):
        Plane(steps=3)(risk, a, a + 1, a + 2)
    with pytest.raises(tw.errors.InputError, match="the same"):
        Line(steps=3)(risk, a, a.clone())


@pytest.mark.parametrize("method", [Line, Plane, TrajectoryPlane])
def test_fewer_than_two_steps_are_refused(method: type) -> None:
    with pytest.raises(tw.errors.InputError, match="steps=1"):
        method(steps=1)


def test_infinite_values_are_kept_and_counted() -> None:
    pole = tw.Function(lambda x: 1 / x[0].square() + x[1] * 0, 2)
    record = Plane(steps=3)(pole, pole.initial)
    assert record.status is SliceStatus.NONFINITE and record.nonfinite == 3
    assert np.isinf(record.loss[1]).all() and record.loss_max == 1.0


def test_default_statistics_follow_the_points() -> None:
    torch.manual_seed(0)
    risk = tw.EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data(), metrics={"accuracy": tw.accuracy})
    with pytest.warns(tw.errors.StatisticsWarning, match="recalibrate"):  # a fresh module's statistics are no one's
        alone = Line(steps=3)(risk, risk.initial)
    assert alone.provenance.statistics == "freeze(initial)"
    moved = risk.point(risk.initial.theta + 0.3, "moved")
    pair = Line(steps=3)(risk, risk.initial, moved)
    assert pair.provenance.statistics == "recalibrate"
    # Recalibrating takes a pass more; the other policy is looked at in 3 points, and at both ends.
    assert alone.cost.forwards == 3 + 1 + 2 * 3 and pair.cost.forwards == 2 * (3 + 2) + 2
    net = DictConvNet()
    net.load_state_dict({**risk.network.module.state_dict(), **risk.space.unravel(moved.theta)})
    net.norm.reset_running_stats()
    net.norm.momentum = None
    inputs, targets = conv_data()
    with torch.no_grad():
        net.train()(**inputs)
        expected = F.cross_entropy(net.eval()(**inputs), targets)
    np.testing.assert_allclose(pair.loss[-1], expected, rtol=1e-5)


def test_freezing_two_different_points_warns() -> None:
    from thalweg.core.statistics import Freeze
    from thalweg.errors import StatisticsWarning

    torch.manual_seed(0)
    risk = tw.EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data(), statistics=Freeze())
    moved = risk.point(risk.initial.theta + 0.3, "moved")
    with pytest.warns(StatisticsWarning, match="'initial'"):
        record = Line(steps=3)(risk, risk.initial, moved)
    assert record.provenance.statistics == "freeze(initial)"


def test_recalibration_offers_values_only_and_test_rows_use_training_statistics() -> None:
    from thalweg.core.statistics import Recalibrate

    torch.manual_seed(0)
    risk = tw.EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data(), statistics=Recalibrate())
    theta = risk.initial.theta[None]
    with pytest.raises(tw.errors.StatisticsError, match="recalibrate"):
        risk.value_and_grad(theta)
    test_rows = conv_data(rows=11, seed=5)
    found = risk.with_data(test_rows).losses(theta)
    net = copy.deepcopy(risk.network.module)
    net.norm.reset_running_stats()
    net.norm.momentum = None
    with torch.no_grad():
        net.train()(**conv_data()[0])
        expected = F.cross_entropy(net.eval()(**test_rows[0]), test_rows[1])
    torch.testing.assert_close(found[0].float(), expected, rtol=1e-5, atol=1e-6)


def test_interpolated_statistics_are_right_at_both_ends() -> None:
    from thalweg.core.statistics import Interpolate

    torch.manual_seed(0)
    risk = tw.EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data())
    a, b = (risk.point(risk.initial.theta + shift, name) for shift, name in ((0.0, "a"), (0.3, "b")))
    record = Line(steps=3)(risk.with_statistics(Interpolate(a, b)), a, b)
    for end, point in ((0, a), (-1, b)):
        own = float(risk.at(point).losses(point.theta[None])[0])
        np.testing.assert_allclose(record.loss[end], own, rtol=1e-6)
    assert record.provenance.statistics == "interpolate"


def test_features_of_a_layer() -> None:
    risk = tw.zoo.digits()
    hidden = risk.features(risk.initial, "1")
    expected = (risk.table.inputs @ risk.space.unravel(risk.initial.theta)["0.weight"].T).add(
        risk.space.unravel(risk.initial.theta)["0.bias"]
    )
    torch.testing.assert_close(hidden, expected.relu(), rtol=1e-5, atol=1e-6)
    with pytest.raises(tw.errors.InputError, match="'head'"):
        risk.features(risk.initial, "head")


@pytest.mark.parametrize("margin", [0.0, 0.25, 0.5])
def test_the_barrier_is_between_the_points_whatever_the_margin(margin: float) -> None:
    double = tw.Function(lambda x: (x[0] ** 2 - 1) ** 2 + 0.3 * x[0], 1)
    a, b = torch.tensor([-1.0]), torch.tensor([1.0])
    record = Line(steps=41, margin=margin)(double, a, b)
    assert record.barrier == pytest.approx(1.0, abs=0.01)
    assert Line(steps=5)(double, a).barrier is None


def test_directions_are_as_many_as_the_slice_needs_and_exclude_points() -> None:
    risk = tw.zoo.polynomial()
    theta, three = risk.initial.theta, torch.eye(3, risk.space.size, dtype=torch.float64)
    with pytest.raises(tw.errors.InputError, match="3 directions were given: 2 are needed"):
        Plane(steps=3, directions=three)(risk, theta)
    with pytest.raises(tw.errors.InputError, match="drop one"):
        Line(steps=3, directions=three[:1])(risk, theta, theta + 1)
    one = tw.Function(lambda x: x.square().sum(), 1, initial=torch.tensor([1.0]))
    with pytest.raises(tw.errors.InputError, match="draw a line instead"):
        Plane(steps=3)(one, one.initial)


def test_frozen_statistics_follow_the_dtype() -> None:
    from thalweg.core.statistics import Freeze, Interpolate

    torch.manual_seed(0)
    risk = tw.EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data())
    a, b = risk.point(risk.initial.theta, "a"), risk.point(risk.initial.theta + 0.3, "b")
    for policy in (Freeze(a.statistics, "a"), Interpolate(a, b)):
        single = risk.with_statistics(policy)
        double = single.to(torch.float64)
        expected = single.losses(a.theta[None])
        torch.testing.assert_close(double.losses(a.theta[None]), expected, rtol=1e-5, atol=1e-6)
    v = torch.ones(risk.space.size)
    assert torch.isfinite(risk.at(a).directional(a, v, 2)).all()
    assert risk.at(a).numerics["statistics_values"] != risk.at(b).numerics["statistics_values"]
