"""Repeats over directions: every one is what it is alone, and bands and rings are what NumPy says they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg.core.evaluate import Inline
from thalweg.core.recorded import Recorded
from thalweg.records import SliceStatus
from thalweg.records.repeats import quantile, rings
from thalweg.slices import Line, Plane, Refine, directions_of
from thalweg.slices.repeats import streams
from thalweg.store import Directory


@pytest.mark.parametrize(("method", "steps"), [(Line, 7), (Plane, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_repeat_is_bitwise_what_it_is_alone(method: type, steps: int, dtype: torch.dtype) -> None:
    risk = tw.zoo.digits(hidden=(12,), dtype=dtype).with_backend("loop")
    record = method(steps=steps, repeats=3)(risk, risk.initial, rng=5)
    for r, stream in enumerate(streams(5, 3)):
        alone = method(steps=steps)(risk, risk.initial, rng=stream)
        for name in ("loss", "accuracy"):
            assert np.array_equal(record.each(name)[r], alone.data[name])
        assert record.repeats[r] == alone.directions
    assert np.array_equal(record.loss, record.each()[0]) and record.directions == record.repeats[0]
    assert not np.array_equal(record.each()[1], record.each()[2])


def test_repeats_in_a_store_are_resumed_and_come_out_the_same(tmp_path: Path) -> None:
    risk = tw.zoo.digits(hidden=(12,), dtype=torch.float64).with_backend("loop")
    method = Line(steps=9, repeats=4)
    whole = method(risk, risk.initial, rng=2)
    directory = Directory.open(tmp_path / "study", {"command": "line"}, resume=False)
    seen: list[int] = []

    class Interrupted(Exception):
        pass

    def stop(done: int, total: int) -> None:
        seen.append(done)
        if done >= 20:
            raise Interrupted

    def recorded(watch: object) -> Recorded:
        return Recorded("line", directory.ledger, directory.sink, watch, task_size=5)  # type: ignore[arg-type]

    with pytest.raises(Interrupted):
        method(risk, risk.initial, rng=2, evaluate=recorded(stop))
    begun = len(directory.ledger.checksums("line"))
    assert 0 < begun < 8
    found = method(risk, risk.initial, rng=2, evaluate=recorded(None))
    assert np.array_equal(found.each(), whole.each()) and len(directory.ledger.checksums("line")) == 8
    with pytest.raises(tw.errors.StoreError, match="repeats"):
        Line(steps=9, repeats=3)(risk, risk.initial, rng=2, evaluate=recorded(None))


def test_the_directions_of_a_repeat_are_made_again_from_its_recipe() -> None:
    from dataclasses import replace

    risk = tw.zoo.digits(hidden=(12,), dtype=torch.float64)
    record = Line(steps=5, repeats=3)(risk, risk.initial)
    again = directions_of(replace(record, directions=record.repeats[2]), risk, risk.initial)
    found = Line(steps=5, directions=again)(risk, risk.initial)
    np.testing.assert_allclose(found.loss, record.each()[2], rtol=1e-12)


def test_bands_are_the_quantiles_and_nan_is_above_everything() -> None:
    values = np.array([[1.0, np.nan, 2.0], [3.0, 1.0, np.inf], [2.0, 2.0, 1.0]])
    np.testing.assert_array_equal(quantile(values, 0.5), [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(quantile(values, 1.0), [3.0, np.inf, np.inf])
    np.testing.assert_array_equal(quantile(values, 0.0), [1.0, 1.0, 1.0])
    risk = tw.zoo.digits(hidden=(12,))
    record = Line(steps=5, repeats=6)(risk, risk.initial)
    np.testing.assert_allclose(record.median(), np.median(record.each(), axis=0))
    low, high = record.band(0.1, 0.9, "accuracy")
    np.testing.assert_allclose(low, np.quantile(record.each("accuracy"), 0.1, axis=0))
    np.testing.assert_allclose(high, np.quantile(record.each("accuracy"), 0.9, axis=0))
    assert (record.band(0, 1)[0] <= record.median()).all() and record.spread.startswith(" Over 6 random directions")


@settings(max_examples=30, deadline=None)
@given(
    st.integers(3, 12), st.integers(3, 12), st.floats(0.1, 5), st.floats(0.1, 5), st.floats(-3, 3), st.integers(1, 3)
)
def test_the_rings_of_an_isotropic_bowl_rise_by_its_curvature(
    n0: int, n1: int, w0: float, w1: float, low: float, repeats: int
) -> None:
    """F = low + r·c²: a ring's mean rise lies between those of its nearest and its farthest point."""
    a, b = np.linspace(-w0, w0, n0), np.linspace(-w1, w1, n1)
    mesh = np.stack(np.meshgrid(a, b, indexing="ij"), -1)
    scale = np.arange(1, repeats + 1)[:, None, None]
    values = low + scale * (mesh**2).sum(-1)
    distances, rise = rings(values, mesh, low)
    spacing = max(a[1] - a[0], b[1] - b[0])
    assert rise.shape == (repeats, distances.size) and (np.diff(distances) > 0).all()
    assert (distances <= min(w0, w1) * (1 + 1e-9)).all()
    for r in range(repeats):
        assert (rise[r] >= (r + 1) * distances**2 * (1 - 1e-9)).all()  # Jensen: a mean of squares
        assert (rise[r] <= (r + 1) * (distances + spacing) ** 2).all()


def test_a_line_has_two_points_at_each_distance() -> None:
    t = np.linspace(-2, 2, 9)
    distances, rise = rings((3 + t + t**2)[None], t[:, None], 3.0)
    np.testing.assert_allclose(distances, [0.5, 1, 1.5, 2])
    np.testing.assert_allclose(rise[0], [0.25, 1, 2.25, 4])
    even = np.linspace(-1, 1, 4)
    np.testing.assert_allclose(rings((even**2)[None], even[:, None], 0.0)[0], [1 / 3, 1])


def test_a_repeat_that_leaves_the_finite_numbers_is_told() -> None:
    pole = tw.Function(lambda x: 1 / (x[0] - 0.1).clamp_min(0) + x[1] * 0 + x.square().sum(), 2, initial=torch.ones(2))
    record = Line(steps=9, half_width=3.0, repeats=5)(pole, pole.initial)
    assert record.status is SliceStatus.NONFINITE and not np.isfinite(record.each()).all()
    assert np.isfinite(record.median()[record.center[0]])


@pytest.mark.parametrize(
    ("make", "points", "words"),
    [
        (lambda: Line(repeats=0), 1, "at least 1"),
        (lambda: Line(repeats=2, fill=Refine()), 1, "Refine"),
        (lambda: Plane(repeats=2, directions=torch.eye(2, 2)), 1, "directions="),
        (lambda: Line(repeats=2), 2, "2 points"),
        (lambda: Plane(repeats=2), 3, "3 points"),
        (lambda: Plane(repeats=2), 1, "plain function"),
    ],
)
def test_what_cannot_be_repeated_is_refused(make: object, points: int, words: str) -> None:
    f = tw.Function(lambda x: x.square().sum(), 2)
    with pytest.raises(tw.errors.InputError, match=words):
        make()(f, *(torch.tensor([float(i), 1.0]) for i in range(points)))  # type: ignore[operator]


def test_the_cost_counts_every_direction() -> None:
    risk = tw.zoo.digits(hidden=(12,)).with_backend("loop")
    one, three = (Line(steps=9, repeats=r)(risk, risk.initial, evaluate=Inline()).cost.forwards for r in (1, 3))
    assert (one, three) == (1 + 9, 1 + 27)
