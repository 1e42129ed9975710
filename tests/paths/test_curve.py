"""Curves: definitions, known lengths, resampling and files, over drawn knots; their contract is in tests/testing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from thalweg.errors import InputError
from thalweg.paths import Bezier, Curve, Polyline, curve, load, segment

KINDS = st.sampled_from([Polyline, Bezier])


def knots_of(seed: int, count: int, size: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


CURVES = st.builds(
    lambda kind, seed, count, size: kind(knots_of(seed, count, size)),
    KINDS,
    st.integers(0, 99),
    st.integers(2, 7),
    st.integers(1, 6),
)


@given(CURVES)
@settings(max_examples=20, deadline=None)
def test_lengths_of_a_metric_are_those_of_a_stretched_curve(curve: Curve) -> None:
    weights = torch.linspace(0.3, 4.0, curve.knots.shape[1], dtype=torch.float64)
    stretched = type(curve)(curve.knots * weights.sqrt())
    assert curve.length(weights) == pytest.approx(stretched.length(), rel=1e-9)
    assert curve.normalised_length(weights) == pytest.approx(stretched.normalised_length(), rel=1e-9)


def test_lengths_do_not_depend_on_how_parameters_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    knots, weights = knots_of(3, 4, 11), knots_of(4, 1, 11)[0].square()
    found = []
    for strip in (3, 11):
        monkeypatch.setattr(curve, "STRIP", strip)
        found.append([kind(knots).length(w) for kind in (Polyline, Bezier) for w in (None, weights)])
    assert found[0] == pytest.approx(found[1], rel=1e-14)


@given(st.integers(0, 99), st.integers(2, 7), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_a_bezier_curve_is_its_definition(seed: int, count: int, t: float) -> None:
    knots, n = knots_of(seed, count, 3), count - 1
    wanted = sum(math.comb(n, k) * t**k * (1 - t) ** (n - k) * knots[k] for k in range(count))
    assert torch.allclose(Bezier(knots).theta(t)[0], wanted, atol=1e-13)


def test_lengths_of_known_curves() -> None:
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    assert Polyline(square).length() == 3 and Polyline(square).normalised_length() == 3
    assert Polyline(square).length(torch.tensor([4.0, 1.0])) == 5  # two edges along x count double
    a, b = torch.tensor([1.0, 2.0, 2.0]), torch.zeros(3)
    assert segment(a, b).length() == 3 and segment(a, b).normalised_length() == 1
    # The parabola of control points (0,0), (1,2), (2,0) is y = x(2 − x): √5 + asinh(2)/2.
    parabola = Bezier(torch.tensor([[0.0, 0.0], [1.0, 2.0], [2.0, 0.0]], dtype=torch.float64))
    assert parabola.length() == pytest.approx(math.sqrt(5) + math.asinh(2) / 2, rel=1e-10)
    assert math.isnan(segment(a, a).normalised_length())


@given(CURVES)
@settings(max_examples=30, deadline=None)
def test_a_curve_is_no_shorter_than_its_chord_and_no_longer_than_its_control_polygon(curve: Curve) -> None:
    assert curve.straight - 1e-12 <= curve.length() <= Polyline(curve.knots).length() * (1 + 1e-6)


@given(CURVES, st.integers(2, 30))
@settings(max_examples=40, deadline=None)
def test_resampling_spaces_points_evenly_along_the_curve(curve: Curve, count: int) -> None:
    found = curve.resampled(count)
    assert torch.equal(found.knots[[0, -1]], curve.knots[[0, -1]]) and len(found.knots) == count
    fine = curve.theta(torch.linspace(0, 1, 4001, dtype=torch.float64))
    apart = curve.length() / (count - 1)
    at = torch.cdist(found.knots, fine).min(1).indices  # where along the curve each new knot is
    along = torch.cat([torch.zeros(1, dtype=torch.float64), fine.diff(dim=0).norm(dim=1).cumsum(0)])
    if curve.knots.shape[1] >= 3:  # in one or two dimensions a curve may meet itself
        assert torch.allclose(along[at], apart * torch.arange(count, dtype=torch.float64), atol=0.02 * curve.length())


def test_a_resampled_curve_of_no_length_stays_where_it_is() -> None:
    point = torch.ones(3, 4)
    assert torch.equal(Polyline(point).resampled(5).knots, torch.ones(5, 4))


@given(st.integers(0, 99), st.integers(2, 6))
@settings(max_examples=20, deadline=None)
def test_times_move_the_parameter_and_not_the_curve(seed: int, count: int) -> None:
    knots = knots_of(seed, count, 4)
    times = torch.cat([torch.zeros(1), torch.rand(count - 1, generator=torch.Generator().manual_seed(seed)) + 0.1])
    times = (times.cumsum(0) / times.sum()).double()
    times[-1] = 1
    curve = Polyline(knots, times)
    assert torch.allclose(curve.theta(times), knots, atol=1e-12)
    assert curve.length() == pytest.approx(Polyline(knots).length())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", [Polyline, Bezier])
def test_a_curve_is_saved_whole(kind: type[Curve], dtype: torch.dtype, tmp_path: Path) -> None:
    curve = kind(knots_of(1, 4, 5, dtype))
    curve.save(tmp_path / "curve.safetensors")
    again = load(tmp_path / "curve.safetensors")
    assert type(again) is kind and torch.equal(again.knots, curve.knots) and again.knots.dtype == dtype
    uneven = Polyline(knots_of(0, 3, 2), torch.tensor([0.0, 0.2, 1.0]))
    uneven.save(tmp_path / "uneven.safetensors")
    again = load(tmp_path / "uneven.safetensors")
    assert isinstance(again, Polyline) and torch.equal(again.times, uneven.times)


def test_what_is_no_curve_is_refused(tmp_path: Path) -> None:
    for knots in (torch.zeros(1, 3), torch.zeros(3)):
        with pytest.raises(InputError, match="at least 2 knots"):
            Bezier(knots)
    with pytest.raises(InputError, match="knot 1 holds"):
        Polyline(torch.tensor([[0.0], [math.nan]]))
    with pytest.raises(InputError, match="increasing from 0 to 1"):
        Polyline(torch.zeros(3, 2), torch.tensor([0.0, 1.0, 1.0]))
    with pytest.raises(InputError, match="from 0 to 1"):
        segment(torch.zeros(2), torch.ones(2)).theta(np.array([1.5]))
    with pytest.raises(InputError, match="2 points or more"):
        segment(torch.zeros(2), torch.ones(2)).resampled(1)
    save_file({"knots": torch.zeros(2, 3), "dimes": torch.zeros(2)}, tmp_path / "odd", metadata={"curve": "polyline"})
    with pytest.raises(InputError, match=r"'polyline' is not made of dimes, knots: .* 'dimes'; use another"):
        load(tmp_path / "odd")
    (tmp_path / "text").write_text("no curve")
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "text")


def test_a_polyline_with_uneven_times_goes_at_the_speed_of_each_segment() -> None:
    knots = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 3.0]], dtype=torch.float64)
    curve = Polyline(knots, torch.tensor([0.0, 0.2, 1.0], dtype=torch.float64))
    found = curve.velocity([0.1, 0.2, 0.7, 1.0])  # at a knot that of the segment after it, at the end the last one's
    after = [0.0, 3 / 0.8]
    assert torch.allclose(found, torch.tensor([[1 / 0.2, 0.0], after, after, after], dtype=torch.float64))


def test_a_resampled_polyline_ends_at_its_ends_in_float32_too() -> None:
    for seed in range(40):
        curve = Polyline(1e3 * knots_of(seed, 6, 3, torch.float32))
        assert torch.equal(curve.resampled(7).knots[[0, -1]], curve.knots[[0, -1]])
