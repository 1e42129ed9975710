"""Half-widths against closed forms: where a quadratic, or a quartic, has risen by the target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.slices import Line, Plane, Range, shared_range

CURVATURES = torch.tensor([4.0, 1.0])


def bowl(low: float = 0.5, power: float = 1.0) -> tw.Function:
    return tw.Function(lambda x: low + ((CURVATURES.to(x) * x.square()).sum() / 2) ** power, 2, initial=torch.zeros(2))


@pytest.mark.parametrize("by", ["loss", "curvature"])
def test_a_plane_reaches_where_a_quadratic_has_risen_by_the_ratio(by: str) -> None:
    """Along the axes ½·4·r² and ½·r²: by the largest eigenvalue, √(2·rise/4); by the median of both, between."""
    record = Plane(steps=5, half_width=Range(ratio=4, by=by, limits=(1e-3, 100)))(bowl(), torch.zeros(2))
    reach, rise = record.reach, 2.0
    assert reach is not None and reach.reached and reach.rise == (rise,) and reach.by == by
    # the median of two rises is their mean: (½·4 + ½)/2·r² = rise
    expected = np.sqrt(2 * rise / 4) if by == "curvature" else np.sqrt(rise / 1.25)
    assert expected * 0.999 <= reach.half_width <= expected * 1.12  # bisected to 5 %, then two digits upwards
    assert record.axes[0][-1] == reach.half_width == -record.axes[1][0]


def test_the_median_rise_at_the_half_width_is_the_ratio() -> None:
    risk = tw.zoo.digits(hidden=(12,), dtype=torch.float64)
    run = tw.descent.Descent(steps=300, batch=128)(risk, risk.initial)
    theta = torch.from_numpy(run.final[0].copy())
    record = Line(steps=3, half_width=Range(ratio=2, directions=5), repeats=5)(risk, theta)
    ratio = np.median(record.rings[1][:, -1]) / record.center_loss
    assert record.reach is not None and record.reach.reached and record.reach.directions == 5
    assert 2 <= ratio <= 2 * 1.3, ratio
    assert float(record.data["coordinates"][-1]) == record.reach.half_width
    half = Line(steps=3, half_width=record.reach.half_width / 1.3, repeats=5)(risk, theta)  # the negative control
    assert np.median(half.rings[1][:, -1]) / half.center_loss < 2


def test_curvature_and_loss_agree_where_f_is_quadratic() -> None:
    f = tw.Function(lambda x: 1 + x.square().sum(), 6, initial=torch.zeros(6))
    found = [
        Line(half_width=Range(ratio=0.5, by=by, limits=(1e-3, 10)), norm=None).reach(f, f.point(torch.zeros(6)))
        for by in ("loss", "curvature")
    ]
    assert all(reach is not None and reach.reached for reach in found)
    assert found[0].half_width == pytest.approx(found[1].half_width, rel=0.12)


def test_one_half_width_for_several_models_is_the_largest() -> None:
    narrow, wide = bowl(), tw.Function(lambda x: 0.5 + x.square().sum() / 50, 2, initial=torch.zeros(2))
    method = Plane(steps=3, half_width=Range(ratio=1, limits=(1e-3, 100)))
    shared = shared_range(method, (narrow, torch.zeros(2)), (wide, torch.zeros(2)))
    alone = [method(f, torch.zeros(2)).reach.half_width for f in (narrow, wide)]
    assert shared.half_width.found == tuple(alone) and shared.half_width.half_width == max(alone) == alone[1]
    records = [shared(f, torch.zeros(2)) for f in (narrow, wide)]
    np.testing.assert_array_equal(records[0].data["coordinates"], records[1].data["coordinates"])
    assert all("largest of 2 models" in record.provenance.notes[-1] for record in records)
    with pytest.raises(tw.errors.InputError, match="the same for all"):
        shared_range(Plane(half_width=1.0), (narrow, torch.zeros(2)))


def test_a_rise_that_is_not_reached_is_said() -> None:
    flat = tw.Function(lambda x: 1 + 1e-9 * x.square().sum(), 2, initial=torch.zeros(2))
    record = Plane(steps=3, half_width="auto")(flat, torch.ones(2))
    assert record.reach is not None and not record.reach.reached and "not reached" in str(record.reach)
    steep = tw.Function(lambda x: 1 + 1e12 * x.square().sum(), 2, initial=torch.zeros(2))
    found = Plane(steps=3, half_width="auto")(steep, torch.zeros(2)).reach
    assert found is not None and not found.reached and found.half_width == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("half_width", "center", "points", "words"),
    [
        ("auto", 0.0, 1, r"Range\(rise="),
        (Range(by="curvature", rise=1.0), 0.0, 1, "curve upwards"),
        ("auto", 1.0, 2, "2 points"),
        ("auto", float("inf"), 1, "nothing rises"),
        (Range(rise=1.0), float("nan"), 1, "nothing rises"),
    ],
)
def test_where_no_half_width_can_be_found_is_refused(
    half_width: object, center: float, points: int, words: str
) -> None:
    f = tw.Function(lambda x: center - x.square().sum(), 2, initial=torch.zeros(2))
    with pytest.raises(tw.errors.InputError, match=words):
        Line(steps=3, half_width=half_width)(f, *(torch.full((2,), float(i)) for i in range(points)))


@pytest.mark.parametrize("half_width", [0, -1.0, float("nan"), "wide", None])
def test_half_widths_that_are_none_are_refused(half_width: object) -> None:
    with pytest.raises(tw.errors.InputError, match="half_width"):
        replace(Line(), half_width=half_width)


def test_a_rise_in_units_of_f_is_taken_as_asked() -> None:
    f = bowl(low=-3.0)
    reach = Line(half_width=Range(rise=2.0, limits=(1e-3, 10)), directions=torch.tensor([1.0, 0.0])).reach(
        f, f.point(torch.zeros(2))
    )
    assert reach is not None and reach.ratio is None and 1.0 <= reach.half_width <= 1.1
