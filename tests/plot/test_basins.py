"""Basins in figures: outlines enclose their cells, branches never cross, and what is left out is said."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tests.plot import made
from thalweg.plot import interactive, static
from thalweg.plot.basins import branches, cut, left_out, outline
from thalweg.plot.scale import scale_of
from thalweg.records import Mark, Topology, Volume
from thalweg.topology import Basins, sublevel


def noisy(seed: int = 0, error: float | None = 0.05) -> Topology:
    rng = np.random.default_rng(seed)
    source = made.surface(lambda a, b: made.wells(a, b) + 0.05 * rng.uniform(-1, 1, a.shape), n=(24, 21))
    return Basins(error=error)(source)


def test_an_outline_encloses_exactly_its_cells() -> None:
    rng = np.random.default_rng(0)
    x, y = np.sort(rng.uniform(0, 1, 7)), np.arange(5.0)
    inside = rng.random((7, 5)) < 0.5
    ends = outline(inside, x, y)
    assert ends.shape[1:] == (2, 2)
    # A ray from a cell's centre to the right crosses the outline an odd number of times exactly from inside.
    upright = ends[ends[:, 0, 0] == ends[:, 1, 0]]
    for i, j in np.ndindex(*inside.shape):
        right = (upright[:, 0, 0] >= x[i]) if i == 6 else (upright[:, 0, 0] > x[i])
        beside = (upright[:, 0, 1] <= y[j]) & (y[j] <= upright[:, 1, 1])
        beside &= ~((upright[:, 1, 1] == y[j]) & (j < 4))  # the lowest row's cells begin at their centres
        assert (np.count_nonzero(right & beside) % 2 == 1) == inside[i, j]


@pytest.mark.parametrize("seed", range(4))
def test_no_two_branches_cross(seed: int) -> None:
    shown = branches(noisy(seed, error=None), most=30)
    at = {b.basin: b.x for b in shown}
    assert sorted(at.values()) == list(range(len(shown))) and len(shown) >= 20
    for b, other in ((b, o) for pair in combinations(shown, 2) for b, o in (pair, pair[::-1])):
        if b.parent is None:
            continue
        left, right = sorted((b.x, at[b.parent]))
        if left < other.x < right:
            assert other.death <= b.death  # what stands between ends below the line that joins the two


def test_a_wrong_order_does_cross() -> None:
    shown = branches(noisy(error=None), most=30)
    at = {b.basin: float(i) for i, b in enumerate(shown)}
    lines = [(sorted((at[b.basin], at[b.parent])), b.death) for b in shown if b.parent is not None]
    assert any(left < at[o.basin] < right and o.death > level for (left, right), level in lines for o in shown)


def test_survivors_are_drawn_first_and_the_rest_is_counted() -> None:
    record = noisy()
    shown = branches(record)
    assert len(shown) == 12 < record.count and sum(b.survives for b in shown) == record.surviving
    assert left_out(record, shown) == f"{record.count - 12} more basins not drawn"
    title = static.draw(record).axes[1].get_title(loc="left")
    assert title == f"grey: not above the error; {record.count - 12} more basins not drawn"
    assert left_out(record, branches(record, most=record.count)) == ""


def test_the_map_draws_regions_minima_and_the_lowest_path() -> None:
    record = made.topology()
    view, bars, tree = interactive.views(record)
    assert [v["name"] for v in (view, bars, tree)] == ["Basins", "Barcode", "Merge tree"]
    (path,) = [t for t in view["data"] if t.get("name") == "lowest path"]
    i, j, level, places = record.joined[0]
    np.testing.assert_allclose(np.stack([path["x"], path["y"]], -1), places, rtol=1e-7)
    assert f"{level:.6g}" in path["hovertemplate"] and (i, j) == (0, 1)
    (minima,) = [t for t in view["data"] if t.get("name") == "minima"]
    np.testing.assert_allclose(np.stack([minima["x"], minima["y"]], -1), record.data["places"][:12], rtol=1e-7)
    contour = view["data"][0]
    assert np.array(contour["z"]).shape == record.data["values"].T.shape
    assert np.array_equal(np.array(contour["customdata"])[..., 1], record.territories.T + 1)
    for row, bar in enumerate(bars["data"]):
        assert bar["y"] == [row, row] and bar["x"][0] == pytest.approx(record.data["births"][row], rel=1e-7)


def test_a_volume_is_cut_through_its_lowest_minimum() -> None:
    axis = np.linspace(-1, 1, 7)
    mesh = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    values = ((mesh - np.array([0.0, 0.3, 0.67])) ** 2).sum(-1)
    surface = made.topology()
    data = {**surface.data, "values": values, "coordinates": mesh, "labels": np.zeros((7, 7, 7), dtype=int)}
    data |= {"births": [values.min()], "deaths": [np.inf], "areas": [343], "parents": [-1], "margins": [np.inf]}
    data |= {"minima": [[3, 4, 6]], "saddles": [[-1, -1, -1]], "places": [[0.0, 1 / 3, 1.0]]}
    data = {name: np.asarray(a) for name, a in data.items() if not name.startswith(("mark", "path"))}
    record = Topology(
        data=data, status=surface.status, cost=surface.cost, provenance=surface.provenance, source="volume",
        field="loss", connectivity=6, error=0.0, error_source="rounding", axes=("a", "b", "c"),
    )  # fmt: skip
    x, y, index, label = cut(record)
    assert np.array_equal(x, axis) and np.array_equal(y, axis) and index[2] == 6 and label == "cut at c = 1"
    assert static.draw(record).axes[0].get_title(loc="left") == "cut at c = 1"
    assert np.array(interactive.views(record)[0]["data"][0]["z"]).shape == (7, 7)


def test_only_what_lies_in_the_cut_is_on_its_map() -> None:
    axis = np.linspace(-1, 1, 9)
    a, b, c = np.meshgrid(axis, axis, axis, indexing="ij")
    plane = made.surface(lambda x, y: x * y, n=(9, 9), trajectory=False)
    mesh = np.stack([a, b, c], axis=-1)
    marks = (Mark("in", (0.0, 0.0, -0.75), 0.0), Mark("out", (0.0, 0.0, 0.5), 0.0))
    wells = np.minimum(a**2 + b**2 + (c + 0.75) ** 2, a**2 + b**2 + (c - 0.5) ** 2 + 0.1)
    data = {"loss": wells, "coordinates": mesh}
    fields = {n: getattr(plane, n) for n in ("status", "cost", "provenance", "directions", "center", "center_loss")}
    record = Basins()(Volume(data=data, marks=marks, **fields))
    assert record.count == 2 and record.data["minima"][0, 2] == 1
    view = interactive.views(record)[0]
    (minima,), (points,) = ([t for t in view["data"] if t.get("name") == name] for name in ("minima", "points"))
    assert minima["text"] == ["1"] and points["text"] == ["in"]
    labels = [t.get_text() for t in static.draw(record).axes[0].texts]
    assert "in" in labels and "out" not in labels and "1" in labels and "2" not in labels


def test_zeros_are_drawn_at_the_low_end_of_a_logarithmic_scale() -> None:
    record = made.topology(made.profile(loss=np.array([0.0, 100.0, 1.0, 100.0, 0.01] + [100.0] * 26)))
    scale = scale_of(record.data["values"])
    assert scale.log and branches(record)[0].birth == 0.0 and branches(record)[0].ends(scale)[0] == 0.01
    assert interactive.views(record)[1]["data"][0]["x"][0] == 0.01


def test_regions_and_territories_follow_the_tree() -> None:
    record = noisy()
    tree = sublevel(record.data["values"])
    kept = record.territories
    assert set(np.unique(kept)) == set(np.flatnonzero(record.survives))
    for b in range(1, 20):
        region = record.region(b)
        death = record.data["deaths"][b]
        assert region.sum() == record.data["areas"][b] and record.data["values"][region].max() < death
        below = np.nextafter(death, -np.inf)
        assert np.array_equal(region, tree.components(below) == b)
