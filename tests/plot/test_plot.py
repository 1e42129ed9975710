"""Figures as data: nothing transposed, nothing hidden, everything that must be known written on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.errors import InputError
from thalweg.plot import DARK, interactive, save, static
from thalweg.plot.scale import scale_of
from thalweg.records import Record, Surface


@pytest.fixture(scope="module")
def lopsided() -> Surface:
    function = tw.Function(lambda x: x[0] + 10 * x[1], 2)
    return tw.slices.Plane(steps=3)(function, function.initial)


@pytest.fixture(scope="module")
def every_kind() -> dict[str, Record]:
    risk, other = tw.zoo.digits(), tw.zoo.digits(seed=1)
    run = tw.descent.Descent(steps=20, batch=256)(risk, risk.initial, other.initial)
    path = torch.from_numpy(run.data["thetas"][:, 0].copy())
    return {
        "run": run,
        "path": tw.slices.TrajectoryPlane(steps=4)(risk, path),
        "plane": tw.slices.Plane(steps=4)(risk, risk.initial),
        "line": tw.slices.Line(steps=5)(risk, risk.initial),
        "pair": tw.slices.Line(steps=5)(risk, risk.initial, other.initial),
        "spectrum": tw.curvature.Lanczos(k=3)(risk, risk.initial),
    }


def test_the_second_direction_runs_up_the_picture(lopsided: Surface) -> None:
    (solid, above) = (view["data"][0] for view in interactive.views(lopsided))
    for trace in (solid, above):
        assert trace["x"] == [-1, 0, 1] and trace["y"] == [-1, 0, 1]
        assert trace["customdata"][2] == [9, 10, 11]  # y = 1: x + 10 grows along the row
    figure = static.draw(lopsided)
    axes = figure.axes[0]
    filled = axes.collections[0]
    top = max(filled.levels)
    assert top == pytest.approx(11) and axes.get_xlabel() == "x1" and axes.get_ylabel() == "x2"
    # The highest band is where the second coordinate is 1: its vertices lie in the upper half.
    band = filled.get_paths()[-1].vertices
    assert band[:, 1].min() > 0.5 and band[:, 0].min() < 0.5


def test_every_record_has_a_figure_in_both_themes_and_all_formats(
    every_kind: dict[str, Record], tmp_path: Path
) -> None:
    for name, record in every_kind.items():
        for ending in (".png", ".pdf", ".svg"):
            save(record, tmp_path / f"{name}{ending}", DARK)
            first = (tmp_path / f"{name}{ending}").read_bytes()
            save(record, tmp_path / f"{name}{ending}", DARK)
            assert (tmp_path / f"{name}{ending}").read_bytes() == first, "the same record must give the same file"
    with pytest.raises(InputError, match=r"\.gif"):
        save(every_kind["line"], tmp_path / "x.gif")


def test_every_interactive_view_is_json_without_nan(every_kind: dict[str, Record]) -> None:
    import json

    for record in every_kind.values():
        for view in interactive.views(record):
            assert json.loads(json.dumps(view, allow_nan=False)) == view


def test_footers_say_what_must_be_known(every_kind: dict[str, Record]) -> None:
    words = {
        "plane": ["4×4", "filter", "cosines", "guarantee: sampled", "1,797 rows", "float32"],
        "path": ["explained", "away from this plane"],
        "spectrum": ["guarantee: adaptive"],
        "run": ["seed 0/descent"],
    }
    for name, expected in words.items():
        text = "\n".join(static.footer(every_kind[name]))
        figure = static.draw(every_kind[name])
        assert figure.get_supxlabel() == text
        assert all(word in text for word in expected), text


def test_infinite_cells_are_counted_and_left_grey() -> None:
    pole = tw.Function(lambda x: 1 / x[0].square() + x[1] * 0, 2)
    record = tw.slices.Plane(steps=5)(pole, pole.initial)
    assert "5 of 25 points are NaN or infinite" in "\n".join(static.footer(record))
    assert interactive.views(record)[1]["data"][0]["z"][0][2] is None
    static.draw(record)


def test_scales_are_logarithmic_only_when_positive_and_wide() -> None:
    assert scale_of(np.array([1e-3, 1.0])).log and not scale_of(np.array([0.0, 1.0])).log
    assert not scale_of(np.array([1.0, 2.0])).log and not scale_of(np.array([-1.0, 1e6])).log
    flat = scale_of(np.array([2.0, 2.0]))
    assert flat.low < 2.0 < flat.high and (np.diff(flat.levels()) > 0).all()


def test_a_log_surface_colours_by_logarithm_and_labels_by_loss() -> None:
    bowl = tw.Function(lambda x: 1e-3 + x.square().sum(), 2)
    record = tw.slices.Plane(steps=3)(bowl, bowl.initial)
    trace = interactive.views(record)[0]["data"][0]
    assert trace["surfacecolor"][1][1] == pytest.approx(-3) and trace["z"][1][1] == pytest.approx(1e-3)
    assert trace["colorbar"]["ticktext"][0] == "0.001" and "log scale" in trace["colorbar"]["title"]["text"]
