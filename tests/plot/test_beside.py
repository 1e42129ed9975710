"""Surfaces beside each other: one scale, what lies on them, both views, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.errors import InputError
from thalweg.plot.scale import scale_of
from thalweg.plot.static import draw, render


def bowl(height: float = 1.0, steps: int = 9) -> tw.records.Surface:
    objective = tw.Function(lambda x: height * (x @ x), 2)
    return tw.slices.Plane(steps=steps)(objective, objective.point(torch.zeros(2), "bottom"))


def paths() -> tw.records.Surface:
    objective = tw.Function(lambda x: 1 + x[0] ** 2 + 3 * x[1] ** 2, 2)
    t = torch.linspace(1, 0, 12, dtype=torch.float64)[:, None]
    two = {"slow": t * torch.tensor([1.0, 1.0]), "fast": t**2 * torch.tensor([-1.0, 0.5])}
    return tw.slices.TrajectoryPlane(steps=7)(objective, two)


def test_all_share_the_scale_of_the_highest_and_the_lowest() -> None:
    low, high = bowl(1.0), bowl(4.0)
    figure = draw({"low": low, "high": high})
    titles = [axes.get_title() for axes in figure.axes[:2]]
    assert titles == ["low", "high"]
    limits = {axes.collections[0].norm.vmax for axes in figure.axes[:2]}
    assert limits == {scale_of(np.concatenate([low.loss, high.loss]).ravel()).high}
    assert limits != {scale_of(low.loss).high}


@pytest.mark.parametrize("theme", tw.plot.THEMES.values(), ids=lambda t: t.name)
@pytest.mark.parametrize("view", ["contours", "relief", ("relief", "contours")])
def test_every_view_is_drawn_in_both_themes(view, theme, tmp_path: Path) -> None:
    tw.plot.save({"one": bowl(), "two": paths()}, tmp_path / "a.png", theme, view=view)
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_a_relief_has_each_trajectory_at_its_true_losses() -> None:
    record = paths()
    (axes, *_) = draw(record, view="relief").axes
    heights = {tuple(np.round(line.get_data_3d()[2], 9)) for line in axes.lines if len(line.get_data_3d()[2]) > 1}
    loss, lift = np.maximum(record.data["path_loss"], record.loss.min()), 0.012 * np.ptp(record.loss)
    assert heights == {tuple(np.round(loss[record.data["path_run"] == run] + lift, 9)) for run in (0, 1)}


def test_holes_are_left_open_and_the_same_record_gives_the_same_file() -> None:
    objective = tw.Function(lambda x: torch.where(x[0] > 0.5, x[0] * torch.nan, x @ x), 2)
    record = tw.slices.Plane(steps=9)(objective, torch.zeros(2))
    assert record.nonfinite
    assert render(record, "png", view="relief") == render(record, "png", view="relief")


def test_what_is_said_of_all_is_said_once() -> None:
    said = draw({"one": bowl(), "two": bowl(), "three": bowl(steps=7)}, view="contours").get_supxlabel()
    assert said.count("guarantee: sampled") == 1 or said.count("one, two: ") >= 1
    assert "three: 7×7" in said and "one, two: 9×9" in said


def test_what_is_no_surface_or_no_view_is_refused() -> None:
    run = tw.descent.Descent(steps=2)(tw.Function(lambda x: x @ x, 2), torch.ones(2))
    with pytest.raises(InputError, match="a run is no surface"):
        draw({"a run": run})
    with pytest.raises(InputError, match="nothing is no surface"):
        draw({})
    with pytest.raises(InputError, match="view='solid'"):
        draw(bowl(), view="solid")


def test_a_few_values_far_below_all_others_take_no_colours() -> None:
    values = np.concatenate([np.geomspace(1e-2, 10, 97), [1e-30, 1e-20, 0.0]])
    plain, sunk = scale_of(values), scale_of(values, clip=True)
    assert plain.low == 1e-30 and plain.sunk == 0
    assert sunk.log and 1e-8 < sunk.low < 1e-2 and sunk.sunk == 2 and sunk.zeros == 1
    assert "2 values below" in sunk.name and sunk.shown(values).min() == sunk.low
    even = np.geomspace(1e-30, 10, 100)
    assert scale_of(even, clip=True) == scale_of(even)
