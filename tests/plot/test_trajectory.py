"""Trajectories on the picture: every run where it was, at its losses, in order of time; what lies off the plane."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb

from tests.plot import made
from thalweg.plot import DARK, LIGHT, Theme, interactive, static
from thalweg.plot.footer import footer
from thalweg.plot.trajectories import RUNS, tracks
from thalweg.records import Surface


@pytest.fixture(scope="module")
def record() -> Surface:
    """Two runs of 12 and 5 points on one plane."""
    one = made.surface()
    rows = {name: np.concatenate([one.data[name], one.data[name][:5] + 0.1]) for name in ("path", "path_loss")}
    data = {**one.data, **rows, "path_projected": rows["path_loss"] + 0.2}
    data["path_distance"] = np.concatenate([one.data["path_distance"], np.full(5, 0.7)])
    data |= {"path_run": np.repeat([0, 1], [12, 5]), "path_step": np.concatenate([np.arange(12) * 3, np.arange(5)])}
    walk = {"explained": [0.9, 0.05], "walk": [0.61, 0.15], "walk_lengths": [0.7, 0.1], "walk_spread": [0.01, 0.01]}
    data |= {name: np.array(values) for name, values in walk.items()} | {"walk_points": np.array([12, 5])}
    return dataclasses.replace(one, data=data, runs=("adam", "descent"))


def test_each_run_is_a_line_of_its_own(record: Surface) -> None:
    axes = static.draw(record).axes[0]
    for track in tracks(record):
        (line,) = [line for line in axes.lines if line.get_label() == track.name]
        assert np.allclose(line.get_xydata(), record.data["path"][track.rows])
        assert to_rgb(line.get_color()) == to_rgb(track.colour)
    legend = axes.get_legend()
    assert legend is not None and [t.get_text() for t in legend.get_texts()] == ["adam", "descent"]


def test_time_is_told_by_colour(record: Surface) -> None:
    dots = [c for c in static.draw(record).axes[0].collections if isinstance(c, PathCollection)]
    for scatter, colour in zip(dots, RUNS, strict=False):
        shades = scatter.to_rgba(scatter.get_array())[:, :3]
        assert np.allclose(shades[0], 1) and np.allclose(shades[-1], to_rgb(colour), atol=0.01)
        assert (np.diff(shades.sum(1)) < 0).all()  # it deepens with every step
    for view in interactive.views(record)[:2]:
        times = [
            t["marker"]["color"]
            for t in view["data"]
            if "color" in t.get("marker", {}) and t.get("name") in record.runs
        ]
        assert len(times) == 2 and all(t == sorted(t) and t[0] == 0 and t[-1] == 1 for t in times)


def test_a_run_keeps_its_colour_in_both_themes(record: Surface) -> None:
    light, dark = (interactive.views(record, theme) for theme in (LIGHT, DARK))
    for one, other in zip(light, dark, strict=True):
        for trace, twin in zip(one["data"], other["data"], strict=True):
            if trace.get("name") in record.runs:
                assert trace["line"] == twin["line"] and trace.get("marker") == twin.get("marker")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_what_lies_off_the_plane_has_its_own_panels(record: Surface, theme: Theme) -> None:
    axes = static.draw(record, theme).axes
    distance, losses = (next(a for a in axes if a.get_ylabel() == name) for name in ("off the plane", "loss"))
    for line, track in zip(distance.lines, tracks(record), strict=True):
        assert np.allclose(line.get_ydata(), record.data["path_distance"][track.rows])
        assert np.allclose(line.get_xdata(), record.data["path_step"][track.rows])
    assert len(losses.lines) == 4
    assert static.render(record, "png", theme, dpi=40).startswith(b"\x89PNG")
    names = [view["name"] for view in interactive.views(record, theme)]
    assert names == ["3-D", "From above", "Off the plane", "Loss on the path"]


def test_the_walk_is_written_under_every_plane(record: Surface) -> None:
    said = "\n".join(footer(record))
    assert "explained 90 % + 5 %" in said and "give 61 % + 15 %" in said and "70 % + 10 %" in said
    assert "0.7 off the plane" in said and "differ by up to 0.2" in said
