"""Test rows beside training rows on a slice, and normalisation policies that disagree by more than the picture."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from tests.conftest import DictConvNet, conv_data
from thalweg.core.statistics import Batch, Freeze, Interpolate, Recalibrate
from thalweg.errors import StatisticsWarning
from thalweg.plot.footer import footer
from thalweg.slices import Line, Plane, Refine, Simplex


@pytest.fixture(scope="module")
def digits() -> tw.EmpiricalRisk:
    return tw.zoo.digits(hidden=(10,), test=300, dtype=torch.float64).with_backend("loop")


@pytest.mark.parametrize(
    "method", [Line(steps=5), Line(steps=5, repeats=2), Plane(steps=3), Line(steps=21, fill=Refine(start=4))]
)
def test_test_rows_are_evaluated_at_the_same_points(digits: tw.EmpiricalRisk, method: object) -> None:
    """They equal a slice of the test objective itself, and change nothing of the training rows' values."""
    record = method(digits, digits.initial)  # type: ignore[operator]
    alone = method(digits.with_data((digits.table.inputs, digits.table.targets)), digits.initial)  # type: ignore[operator]
    assert record.tested and record.test_rows == 300 and not alone.tested
    assert np.array_equal(record.loss, alone.loss)
    test = digits.test
    assert test is not None
    had = record.data.get("evaluated", np.ones(record.loss.shape, dtype=bool))
    beside = type(method)(steps=method.steps, repeats=method.repeats)(test, digits.initial)  # type: ignore[attr-defined]
    for name in ("loss", "accuracy"):
        found, expected = record.data[f"test_{name}"][had], beside.data[name][had]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert not np.array_equal(found, record.data[name][had])
    assert record.marks[0].test_loss == float(test.losses(digits.initial.theta[None])[0])
    assert f"Over 300 test rows it is {record.marks[0].test_loss:.4g} at initial." in record.summary


def test_test_rows_cost_their_share(digits: tw.EmpiricalRisk) -> None:
    cost = Line(steps=9)(digits, digits.initial).cost
    assert cost.forwards == pytest.approx((1 + 9) * (1 + 300 / 1497)) and cost.rows == (1 + 9) * 1797


def risk(**options: object) -> tw.EmpiricalRisk:
    torch.manual_seed(0)
    net = DictConvNet()
    fresh = tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), conv_data())
    net.load_state_dict(fresh.point(fresh.initial.theta).statistics, strict=False)  # its own, as after training
    return tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), conv_data(), **options)


def test_policies_that_agree_say_nothing() -> None:
    one = risk()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = Line(steps=5, half_width=2.0)(one, one.initial)
    assert record.provenance.statistics.startswith("freeze") and not record.provenance.notes


def test_statistics_of_another_network_are_warned_of_and_noted() -> None:
    """Frozen far from its own, a point's F differs by more than a picture that hardly moves."""
    one = risk()
    off = {n: x + 3.0 if n.endswith("mean") else x for n, x in (one.initial.statistics or {}).items()}
    forced = one.with_statistics(Freeze(off, "elsewhere"))
    with pytest.warns(StatisticsWarning, match=r"more than the range of the picture.*--statistics"):
        record = Line(steps=5, half_width=1e-3)(forced, one.initial)
    (note,) = record.provenance.notes
    own = float(one.with_statistics(Recalibrate()).losses(one.initial.theta[None])[0])
    assert "under freeze(elsewhere)" in note and "under recalibrate" in note
    gap = abs(own - record.center_loss)
    assert gap > record.loss_max - record.loss_min
    assert any(note in line for line in footer(record))


@pytest.mark.parametrize("policy", ["recalibrate", "interpolate", "batch"])
def test_every_policy_is_compared_with_another(policy: str) -> None:
    one = risk()
    a, b = one.point(one.initial.theta, "a"), one.point(one.initial.theta + 0.05, "b")
    made = {"recalibrate": Recalibrate(), "interpolate": Interpolate(a, b), "batch": Batch()}[policy]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        near = Line(steps=5)(one.with_statistics(made), a, b)
    # The other point's saved statistics are wrong by a factor: its own F and the recalibrated one disagree.
    wrong = tw.core.space.Point(b.theta, {n: x * 50 for n, x in (b.statistics or {}).items()}, "b")
    assert near.loss_max > near.loss_min
    if policy == "recalibrate":
        with pytest.warns(StatisticsWarning, match="freeze"):
            Line(steps=5)(one.with_statistics(Recalibrate()), a, wrong)
    if policy == "interpolate":
        with pytest.warns(StatisticsWarning, match="recalibrate"):
            Line(steps=5)(one.with_statistics(Interpolate(a, wrong)), a, wrong)


@pytest.mark.parametrize("method", [Line(steps=3), Plane(steps=3, half_width=1e-3), Simplex(steps=3)])
def test_one_points_statistics_at_another_are_said_on_the_picture(method: Line | Plane | Simplex) -> None:
    """Frozen at the first of two points, F at the second is not its own: by more than the range, as a note."""
    one = risk()
    near = one.point(one.initial.theta + 1e-4, "near")
    off = {n: x + 9.0 if n.endswith("mean") else x for n, x in (near.statistics or {}).items()}
    other = tw.core.space.Point(near.theta, off, "off")
    with pytest.warns(StatisticsWarning):
        record = method(one.with_statistics(Freeze()), one.initial, other)
    own = float(one.at(other).losses(other.theta[None])[0])
    assert any(f"{own:.4g} under freeze(off)" in note for note in record.provenance.notes), record.provenance.notes
    same = tw.core.space.Point(near.theta, one.initial.statistics, "same")  # the control
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticsWarning)
        record = method(one.with_statistics(Freeze()), one.initial, same)
    assert not any("freeze(same)" in note for note in record.provenance.notes)


def test_a_spent_budget_leaves_the_picture() -> None:
    """The comparison of policies comes last and is left out before the answer is."""
    one = risk()
    needed = Line(steps=5, half_width=2.0)(one, one.initial, budget=tw.Budget(gradients=(1 + 5) / 3 + 1e-9))
    assert needed.points == 5 and np.isfinite(needed.loss).all()
