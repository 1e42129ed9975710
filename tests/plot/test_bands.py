"""Bands, dashed test rows, clipped scales and holes, on the picture's own data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import thalweg as tw
from tests.plot.made import profile, surface
from thalweg import plot
from thalweg.plot import static
from thalweg.plot.bands import Band, pieces
from thalweg.plot.footer import footer
from thalweg.plot.interactive import views
from thalweg.plot.scale import scale_of, written
from thalweg.records import Profile, SliceStatus, Surface


def repeated(record: Profile | Surface, count: int = 5, tested: bool = False) -> Profile | Surface:
    """The record drawn along several directions, of which direction r is r + 1 times as steep."""
    base = record.loss - record.loss.min()
    data = {**record.data, "repeat_loss": np.stack([record.loss.min() + (r + 1) * base for r in range(count)])}
    for name in record.metrics:
        data[f"repeat_{name}"] = np.stack([record.data[name]] * count)
    if tested:
        data |= {"test_loss": record.loss + 1, "repeat_test_loss": data["repeat_loss"] + 1}
    return replace(
        record, data=data, repeats=(record.directions,) * count, test_rows=77 if tested else None,
        center_loss=float(record.loss.min()),
    )  # fmt: skip


@pytest.fixture
def line() -> Profile:
    return repeated(profile(marks=()), tested=True)  # type: ignore[return-value]


def test_a_band_is_drawn_between_its_quantiles(line: Profile) -> None:
    axes = plot.draw(line).axes[0]
    t, found = line.data["coordinates"], Band.of(line.each())
    drawn = {tuple(c.get_facecolor()[0][:3]): c for c in axes.collections}
    assert len(axes.collections) == 2 and len(drawn) == 1  # all of them and the middle half, in one colour
    for area, edges in zip(axes.collections, ((found.bottom, found.top), (found.low, found.high)), strict=True):
        vertices = area.get_paths()[0].vertices
        for x, low, high in zip(t, *edges, strict=True):
            at = vertices[np.isclose(vertices[:, 0], x), 1]
            assert np.isclose(at.min(), low) and np.isclose(at.max(), high)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), found.middle)


def test_training_is_solid_and_test_dashed(line: Profile) -> None:
    axes = plot.draw(line).axes[0]
    solid, dashed = axes.lines[:2]
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert solid.get_color() == dashed.get_color()
    np.testing.assert_allclose(dashed.get_ydata(), Band.of(line.each("test_loss")).middle)
    (view,) = views(line)
    dash = {trace["name"]: trace["line"]["dash"] for trace in view["data"] if "dash" in trace.get("line", {})}
    assert dash["loss"] == "solid" and dash["loss on test rows"] == "dash"
    assert any("77 test rows" in words for words in footer(line))


def test_infinite_values_cut_a_band_into_pieces() -> None:
    x, low = np.arange(6.0), np.zeros(6)
    high = np.array([1.0, 1, np.inf, 1, 1, np.nan])
    found = pieces(x, low, high)
    assert [xs.tolist() for xs, _ in found] == [[0, 1, 1, 0], [3, 4, 4, 3]]
    values = np.array([[0.0, 1.0, np.nan], [1.0, np.inf, 2.0]])
    band = Band.of(values)
    assert np.isnan(band.top[1]) and np.isnan(band.middle[2]) and band.bottom.tolist() == [0, 1, 2]


def test_the_footer_counts_what_is_not_finite_over_all_directions(line: Profile) -> None:
    every = line.data["repeat_loss"].copy()
    every[2, 3:5] = np.nan
    broken = replace(line, data={**line.data, "repeat_loss": every}, status=SliceStatus.NONFINITE)
    assert any("2 of all their values are NaN or infinite" in words for words in footer(broken))
    plot.draw(broken)


def test_a_plane_of_several_shows_the_first_and_all_by_distance() -> None:
    record = repeated(surface(lambda a, b: a**2 + b**2, n=(9, 9), trajectory=False))
    figure = plot.draw(record)
    distances, rise = record.rings
    panel = next(axes for axes in figure.axes if "distance from the centre" in axes.get_xlabel())
    np.testing.assert_allclose(panel.lines[0].get_xdata(), distances)
    np.testing.assert_allclose(panel.lines[0].get_ydata(), np.median(rise, axis=0))
    assert [view["name"] for view in views(record)][-1] == "By distance"
    assert "of 5 planes" in figure.axes[0].get_title(loc="left")


def test_few_large_values_do_not_take_the_colours_and_the_picture_says_so() -> None:
    values = np.linspace(0.0, 1.0, 1000) - 0.2
    values[:3] = [1e6, 2e6, 3e6]
    whole, clipped = scale_of(values), scale_of(values, clip=True)
    assert whole.high == 3e6 and whole.clipped == 0
    assert clipped.clipped == 3 and clipped.high < 2 and "3 values above" in clipped.name and "linear" in clipped.name
    assert clipped.shown(values).max() == clipped.high and np.isnan(clipped.shown(np.array([np.inf])))[0]
    wide = np.geomspace(1e-3, 1.0, 1000)
    wide[:3] = 1e30
    assert scale_of(wide, clip=True).log and "log scale, 3 values above" in scale_of(wide, clip=True).name


@pytest.mark.parametrize(
    "values", [np.linspace(-1, 1, 50) ** 2 - 0.1, np.geomspace(1e-9, 1, 40), np.ones(9), np.array([1.0])]
)
def test_ordinary_values_are_not_clipped(values: np.ndarray) -> None:
    assert scale_of(values, clip=True) == scale_of(values)


def test_estimates_are_drawn_with_their_intervals_and_the_picture_says_so() -> None:
    risk = tw.zoo.digits(hidden=(6,))
    record = tw.slices.Line(steps=7, fill=tw.slices.Sample(rows=60))(risk, risk.initial)
    assert record.sampling is not None and (record.data["upper"] > record.data["lower"]).any()
    foot = "\n".join(footer(record))
    assert "F is estimated from 60 of 1,797 rows; the interval called 95%" in foot
    figure = plot.draw(record)
    (area,) = figure.axes[0].collections
    corners = area.get_paths()[0].vertices
    ends = np.concatenate([record.data["lower"], record.data["upper"]])
    assert corners[:, 1].min() == pytest.approx(ends.min()) and corners[:, 1].max() == pytest.approx(ends.max())
    assert figure.axes[0].get_legend() is not None
    shaded = views(record)[0]["data"][0]
    assert shaded["fill"] == "toself" and max(y for y in shaded["y"] if y) == pytest.approx(ends.max(), rel=1e-5)
    exact = tw.slices.Line(steps=7)(risk, risk.initial)  # the control
    assert not plot.draw(exact).axes[0].collections and "estimated" not in "\n".join(footer(exact))


def test_interpolated_points_are_said_under_the_picture() -> None:
    bowl = tw.Function(lambda x: x.square().sum(), 2)
    record = tw.slices.Plane(steps=33, fill=tw.slices.Refine(tolerance=0.05))(bowl, bowl.initial)
    assert record.evaluated < record.points
    assert f"{record.evaluated:,} of 1,089 points were evaluated and the others interpolated" in " ".join(
        footer(record)
    )


def test_a_slice_that_is_flat_but_for_rounding_says_so() -> None:
    """The second factor of a product is zero, as a fresh adapter's is: no direction moves the outputs."""
    base, eps = surface(trajectory=False), 2.0**-52
    noise = eps * np.arange(base.loss.size).reshape(base.loss.shape) % (2 * eps)
    for size, said in ((0.0, False), (1.0, True), (100.0, False)):
        foot = " ".join(footer(replace(base, data={**base.data, "loss": 1.5 + size * noise})))
        assert ("is rounding" in foot) is said, (size, foot)


def test_what_differs_by_rounding_is_a_constant_to_the_eye() -> None:
    """The ticks of its scale can be told apart; those of three neighbours among floats could not."""
    values = 2.0 + 4e-16 * np.arange(3)
    assert values[2] > values[0]
    scale = scale_of(values)
    assert scale.low < 2 < scale.high and max(map(len, written(scale.ticks()))) < 12
    assert scale_of(2.0 + 1e-6 * np.arange(3)).high == pytest.approx(2 + 2e-6, rel=1e-12)  # the control


def test_one_is_not_many_on_a_scale() -> None:
    one, two = (np.concatenate([np.zeros(n), np.geomspace(1e-3, 1, 9)]) for n in (1, 2))
    assert "1 zero drawn" in scale_of(one).name and "2 zeros drawn" in scale_of(two).name


def test_a_clipped_surface_is_drawn_at_its_end_and_hovers_at_its_truth() -> None:
    record = surface(lambda a, b: a - b + 1e9 * ((a > 1.4) & (b > 0.9)), n=(13, 13), trajectory=False)
    solid = views(record)[0]["data"][0]
    top = max(max(row) for row in solid["z"])
    assert top < 1e3 and max(max(row) for row in solid["customdata"]) > 1e8
    bar = next(axes for axes in plot.draw(record).axes if "loss" in axes.get_ylabel())
    assert "1 value above" in bar.get_ylabel()


def test_nan_cells_are_holes_in_the_picture_and_counted() -> None:
    record = surface(
        lambda a, b: np.where((a > 0.4) & (a < 0.8) & (b > 0), np.nan, a**2 + b**2), n=(13, 9), trajectory=False
    )
    lost = int(np.isnan(record.loss).sum())
    assert lost > 0 and any(f"{lost} of 117 points are NaN" in words for words in static.footer(record))
    for view in views(record)[:2]:
        z = np.array(view["data"][0]["z"], dtype=float)  # None becomes NaN
        np.testing.assert_array_equal(np.isnan(z), np.isnan(record.loss.T))
