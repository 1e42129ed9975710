"""The top of a path: known saddles of index 1 found and shown, and every other ending named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.paths.landscapes import ENDS, SADDLES, bent_valley, digits_pair, minimum, muller_brown
from thalweg.core.rng import Stream
from thalweg.critical import MinimumMode
from thalweg.descent import Momentum, State
from thalweg.paths.curve import Polyline, rebuilt, segment
from thalweg.paths.elastic_band import ElasticBand
from thalweg.paths.top import Top, highest, landed
from thalweg.records import Guarantee, TopStatus


@pytest.mark.parametrize(("pair", "saddle"), [("AI", "A-I"), ("IB", "I-B"), ("AB", "A-I")])
def test_the_straight_segments_lead_to_the_saddles_of_muller_and_brown(pair: str, saddle: str) -> None:
    landscape = muller_brown()
    top = Top()(landscape, segment(minimum(pair[0]), minimum(pair[1])))
    where, energy = SADDLES[saddle]
    assert top.status is TopStatus.INDEX_ONE and top.guarantee is Guarantee.EXACT and top.index.lower == 1
    assert top.value == pytest.approx(energy, abs=1e-4) and top.before > energy
    np.testing.assert_allclose(top.theta, where, atol=1e-4)
    hessian = torch.autograd.functional.hessian(landscape.fn, torch.from_numpy(top.theta.copy()))
    values, vectors = np.linalg.eigh(hessian.numpy())
    np.testing.assert_allclose(top.arrays()["eigenvalues"], values, rtol=1e-6)
    assert abs(top.arrays()["mode"] @ vectors[:, 0]) == pytest.approx(1, abs=1e-6)
    assert "Index-1 saddle" in top.summary and "±" in top.reason


def test_a_minimum_mode_step_is_newtons_along_the_mode_and_the_gradients_across() -> None:
    saddle = tw.Function(lambda x: -2 * x[0] ** 2 + 3 * x[1] ** 2 + 5 * x[2] ** 2, 3)
    rule = MinimumMode(radius=10.0, rng=Stream(0))
    theta = torch.tensor([[0.5, 0.1, -0.2], [1e-3, 0.0, 4.0]], dtype=torch.float64)
    state, info = rule.step(saddle, rule.init(saddle, theta))
    # curvatures −4, 6, 10: along the mode Newton's step ends at 0, across it the gradient's is divided by 10
    expected = torch.stack([theta[:, 0] * 0, theta[:, 1] * (1 - 0.6), theta[:, 2] * 0], 1)
    assert torch.allclose(state.theta, expected, atol=1e-9)
    assert torch.allclose(info.gradient, theta * torch.tensor([-4.0, 6.0, 10.0], dtype=torch.float64))
    short, _ = MinimumMode(radius=0.01, rng=Stream(0)).step(saddle, State(theta, {"mode": torch.zeros_like(theta)}))
    assert torch.allclose((short.theta - theta).norm(dim=1), torch.full((2,), 0.01, dtype=torch.float64))
    bowl = tw.Function(lambda x: x[0] ** 2 + 9 * x[1] ** 2, 2)
    start = torch.tensor([[0.5, 0.3]], dtype=torch.float64)
    up, _ = MinimumMode(radius=0.1, rng=Stream(0)).step(bowl, State(start, {"mode": torch.zeros_like(start)}))
    assert torch.allclose(up.theta, torch.tensor([[0.6, 0.3]], dtype=torch.float64), atol=1e-9)  # out of the bowl


def test_the_top_of_a_relaxed_band_is_near_its_saddle() -> None:
    path = ElasticBand(pivots=9, steps=300, rule=Momentum(0.005))(bent_valley(), *ENDS)
    top = Top()(bent_valley(), path)
    assert top.status is TopStatus.INDEX_ONE and top.value == pytest.approx(0.25, abs=1e-9) and top.distance < 0.05
    np.testing.assert_allclose(top.theta, [0, 1], atol=1e-5)
    assert torch.equal(rebuilt(path.curve, path.arrays()).knots, torch.from_numpy(path.arrays()["knots"].copy()))


def test_why_not_is_said() -> None:
    falling = tw.Function(lambda x: x[0] + x[1] ** 2, 2)
    at_end = Top()(falling, segment(*ENDS))
    assert at_end.status is TopStatus.AT_AN_END and at_end.guarantee is None and "highest at an end" in at_end.summary
    wave = tw.Function(lambda x: torch.cos(3 * x[0]) + x[1] ** 3, 2)
    short = Top(steps=1, polish=0, radius=1e-3)(wave, segment(ENDS[0] + 0.3, ENDS[1] + 0.3))
    assert short.status is TopStatus.NOT_CRITICAL and short.gradient_norm > 1e-3 and "gradient norm" in short.reason
    ridge = tw.Function(lambda x: -(x[0] ** 2) - 2 * x[1] ** 2 + x[2] ** 2, 3)
    ends = torch.tensor([-1.0, 0.0, 0.0]), torch.tensor([1.0, 0.0, 0.0])
    double = Top()(ridge, segment(*(e.double() for e in ends)))
    assert double.status is TopStatus.HIGHER_INDEX and double.index.lower == 2
    flat = tw.Function(lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 4, 2)
    degenerate = Top()(flat, segment(*ENDS))
    assert degenerate.status is TopStatus.INDEX_ONE and degenerate.nullity.upper == 1  # one negative, one zero


def test_a_search_that_falls_to_the_higher_end_found_no_pass() -> None:
    """F has its least value at infinity, where every gradient is small: no critical point is claimed there."""
    tail = tw.Function(lambda x: torch.exp(-x[1]) + 0.01 * x[0] ** 2, 2)
    ends = [torch.tensor([x, 5.0], dtype=torch.float64) for x in (-1.0, 1.0)]
    bent = Polyline(torch.stack([ends[0], torch.tensor([0.0, 1.0], dtype=torch.float64), ends[1]]))
    top = Top(steps=300, radius=0.5)(tail, bent)
    held = float(tail.losses(ends[0][None])[0])
    assert top.held == pytest.approx(held, rel=1e-12) and top.before > 10 * held
    assert top.status is TopStatus.BELOW_ENDS and top.guarantee is None and top.value <= held
    assert top.gradient_norm == pytest.approx(float(np.hypot(np.exp(-top.theta[1]), 0.02 * top.theta[0])), rel=1e-9)
    assert "no saddle above it" in top.summary and "eigenvalue" not in top.summary
    # the control: between higher walls the same fall is stopped by a pass, which is found
    walled = tw.Function(lambda x: torch.exp(-x[1]) + 0.1 * x[1] + (x[0] ** 2 - 1) ** 2, 2)
    pair = [torch.tensor([x, float(np.log(10))], dtype=torch.float64) for x in (-1.0, 1.0)]
    held_up = Top(steps=300)(walled, Polyline(torch.stack([pair[0], torch.tensor([0.0, 1.0]).double(), pair[1]])))
    assert held_up.status is TopStatus.INDEX_ONE and held_up.theta[1] == pytest.approx(np.log(10), abs=1e-4)
    assert held_up.value == pytest.approx(float(held_up.held or 0) + 1, abs=1e-8)


def test_a_descent_has_landed_where_f_does_not_rise() -> None:
    """A rise of width 0.02, which nine even points do not show, is seen."""
    free = tw.Function(lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2, 2)
    wall = tw.Function(lambda x: free.fn(x) + 0.6 * torch.exp(-(((x[0] + 0.27) / 0.02) ** 2)), 2)
    curve, there = segment(*ENDS), torch.tensor([-0.1, 0.0], dtype=torch.float64)
    nine = there + torch.linspace(0, 1, 9, dtype=torch.float64)[:, None] * (ENDS[0] - there)
    assert float(wall.losses(nine).max()) <= float(wall.losses(there[None])[0]) * (1 + 1e-3)
    assert "in the first end's basin" in landed(free, there, curve)
    assert "in neither end's basin" in landed(wall, there, curve)
    assert "in the second end's basin" in landed(wall, -there, curve)
    assert landed(wall, ENDS[1] * 0.999, curve) == "at the second end"


def test_beyond_dense_hessians_the_error_bars_decide() -> None:
    size = 60
    scales = torch.linspace(1, 3, size, dtype=torch.float64)
    landscape = tw.Function(lambda x: (x[0] ** 2 - 1) ** 2 + (scales[1:] * x[1:] ** 2).sum(), size)
    a, b = torch.zeros(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    a[0], b[0] = -1, 1
    bent = Polyline(torch.stack([a, torch.full((size,), 0.1, dtype=torch.float64), b]))
    top = Top(dense_below=10)(landscape, bent)
    assert top.status is TopStatus.INDEX_ONE and top.guarantee is Guarantee.ADAPTIVE
    values, errors = top.arrays()["eigenvalues"], top.arrays()["errors"]
    assert abs(values[0] + 4) <= errors[0] + 1e-9 and values[0] + errors[0] < 0 < values[1] - errors[1]


def test_the_highest_point_is_that_of_the_record_or_of_a_fine_grid() -> None:
    landscape = bent_valley()
    assert highest(landscape, segment(*ENDS), None) == pytest.approx(0.5)
    path = tw.paths.Barrier(steps=7)(landscape, *ENDS)
    assert highest(landscape, rebuilt(path.curve, path.arrays()), path) == pytest.approx(0.5, abs=1e-3)
    flat = tw.Function(lambda x: x[1] * 0 + 1.0, 2)
    assert highest(flat, segment(*ENDS), None) == 0.0


def test_networks_of_float32_and_a_budget() -> None:
    risk, a, b = digits_pair(steps=20, hidden=(8,))
    top = Top(steps=4, polish=1, judging=20)(risk, segment(a, b))
    assert top.provenance.dtype == "float64" and top.status is TopStatus.NOT_CRITICAL
    assert top.value < top.before and top.distance > 0 and top.cost.products > 40
    ended = Top(steps=100, judging=20)(risk, segment(a, b), budget=tw.Budget(gradients=200))
    assert 0 < ended.steps < 20 and ended.cost.units <= 200 and ended.status is TopStatus.NOT_CRITICAL
    assert ended.value < ended.before and "the budget ended: gradient norm" in ended.summary


def test_options_out_of_range_are_refused() -> None:
    for options in (dict(steps=0), dict(radius=0.0), dict(products=2), dict(tolerance=-1.0), dict(judging=2)):
        with pytest.raises(tw.errors.InputError):
            Top(**options)  # type: ignore[arg-type]
