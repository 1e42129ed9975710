"""Basins equal a flood fill at every level, on grids of one to three axes and on graphs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.topology.brute import Brute, graph_fill, grid_fill, meeting, sweep
from thalweg.errors import InputError
from thalweg.topology import MergeTree, sublevel, sublevel_graph

GRIDS = [((30,), 2), ((30, 30), 4), ((30, 30), 8), ((17, 29), 4), ((1, 12), 8), ((6, 5, 7), 6), ((6, 5, 7), 26)]
KINDS = ["continuous", "ties", "holes", "ties and holes"]


def random_values(shape: tuple[int, ...], kind: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 5, shape).astype(float) if "ties" in kind else rng.standard_normal(shape)
    if "holes" in kind:
        share = rng.random(shape)
        values[share < 0.30] = np.nan
        values[share < 0.15] = np.inf
        values[share < 0.05] = -np.inf
    return values


def corners(values: np.ndarray, connectivity: int) -> bool:
    return connectivity == 3**values.ndim - 1


def agrees(tree: MergeTree, truth: Brute) -> None:
    """Deaths, heirs, areas and labels by minimum; the eldest of equals is the one with the smallest index."""
    minima = tree.minima.tolist()
    assert dict(zip(minima, tree.deaths.tolist(), strict=True)) == truth.deaths
    assert dict(zip(minima, tree.areas.tolist(), strict=True)) == truth.areas
    heirs = [minima[p] if p >= 0 else -1 for p in tree.parents]
    assert dict(zip(minima, heirs, strict=True)) == truth.heirs
    np.testing.assert_array_equal(np.append(tree.minima, -1)[tree.labels.ravel()], truth.labels)
    np.testing.assert_array_equal(tree.births, tree.domain.values.ravel()[tree.minima])
    assert (np.diff(tree.persistence[np.isfinite(tree.deaths)]) <= 0).all()
    assert (tree.parents < np.arange(len(tree))).all() and (tree.deaths > tree.births).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "connectivity"), GRIDS)
def test_basins_equal_a_flood_fill_at_every_level(shape: tuple[int, ...], connectivity: int, kind: str) -> None:
    for seed in range(3):
        values = random_values(shape, kind, seed)
        tree = sublevel(values, connectivity)
        agrees(tree, sweep(values, grid_fill(values, corners(values, connectivity)), values.ravel()))
        assert tree.holes == np.count_nonzero(~np.isfinite(values))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_basins_of_any_small_grid(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    size = int(np.prod(shape))
    element = st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.0, np.nan, np.inf, -np.inf, 1e300, 5e-324])
    values = np.array(data.draw(st.lists(element, min_size=size, max_size=size))).reshape(shape)
    connectivity = data.draw(st.sampled_from([2 * len(shape), 3 ** len(shape) - 1]))
    fill = grid_fill(values, corners(values, connectivity) and len(shape) > 1)
    agrees(sublevel(values, connectivity), sweep(values, fill, values.ravel()))


def test_a_checkerboard_tells_the_two_connectivities_apart() -> None:
    board = np.indices((6, 6)).sum(axis=0) % 2.0
    assert len(sublevel(board)) == 18 and len(sublevel(board, 8)) == 1  # sides alone are the default
    assert sublevel(board).domain.connectivity == 4
    cube = np.indices((3, 3, 3)).sum(axis=0) % 2.0
    assert len(sublevel(cube)) == 14 and len(sublevel(cube, 26)) == 1
    assert sublevel(np.zeros(3)).domain.connectivity == 2


@pytest.mark.parametrize("seed", range(3))
def test_a_saddle_is_where_the_basin_meets_its_elder(seed: int) -> None:
    values = random_values((9, 11), "continuous", seed)
    tree = sublevel(values)
    for b in np.flatnonzero(tree.parents >= 0):
        high, low = tree.saddles[b]
        assert values.flat[high] == tree.deaths[b] > values.flat[low]
        assert np.abs(np.diff(np.unravel_index([high, low], values.shape))).sum() == 1
        joined = tree.components(tree.deaths[b]).ravel()
        assert joined[high] == joined[low] == tree.parents[b]
        walled = values.copy()
        walled.flat[high] = np.nan
        again = sublevel(walled)
        assert again.deaths[again.minima == tree.minima[b]] > tree.deaths[b]
    assert (tree.saddles[tree.parents < 0] == -1).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("connectivity", [4, 8])
def test_levels_between_vertices_equal_the_first_common_component(kind: str, connectivity: int) -> None:
    values = random_values((7, 6), kind, 3)
    tree, fill = sublevel(values, connectivity), grid_fill(values, connectivity == 8)
    for first in range(0, 42, 3):
        for second in range(first, 42, 2):
            assert tree.level(first, second) == meeting(fill, values.ravel(), first, second)
            assert tree.level(first, second) == tree.level(second, first)


@pytest.mark.parametrize("kind", KINDS)
def test_components_and_simplified_labels_equal_flood_fills(kind: str) -> None:
    values = random_values((12, 12), kind, 5)
    tree, fill = sublevel(values), grid_fill(values, False)
    for level in np.quantile(values[np.isfinite(values)], [0, 0.3, 0.6, 1]):
        found, expected = tree.components(level).ravel(), fill(level, False)
        pairs = set(zip(found.tolist(), expected.tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})  # one to one, −1 with −1
        assert (found < 0).tolist() == (expected < 0).tolist()
    cut = float(np.median(tree.persistence))
    kept = np.unique(tree.simplified(cut)[np.isfinite(values)])
    assert kept.tolist() == np.flatnonzero(tree.persistence > cut).tolist()
    np.testing.assert_array_equal(tree.simplified(0.0), tree.labels)
    np.testing.assert_array_equal(tree.simplified(np.inf) < 0, ~np.isfinite(values))


@pytest.mark.parametrize("seed", range(6))
def test_basins_of_a_graph_equal_a_sweep(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = 14, 22
    values = rng.integers(0, 6, n).astype(float) if seed % 2 else rng.standard_normal(n)
    values[rng.random(n) < 0.1] = np.nan
    edges = rng.integers(0, n, (m, 2))
    levels = np.fmax(values[edges[:, 0]], values[edges[:, 1]]) + rng.integers(0, 3, m)
    levels[rng.random(m) < 0.2] = np.nan
    levels[rng.random(m) < 0.1] = np.inf
    tree = sublevel_graph(values, edges, levels)
    fill = graph_fill(values, edges, levels)
    events = np.concatenate([values, levels])
    agrees(tree, sweep(values, fill, events))
    for first, second in rng.integers(0, n, (20, 2)):
        assert tree.level(int(first), int(second)) == meeting(fill, events, first, second)


def test_three_minima_and_their_spanning_tree() -> None:
    tree = sublevel_graph(np.array([0.0, 1.0, 0.5]), np.array([[0, 1], [1, 2], [0, 2]]), np.array([3.0, 2.0, 9.0]))
    assert tree.minima.tolist() == [0, 2, 1] and tree.deaths.tolist() == [np.inf, 3.0, 2.0]
    assert tree.parents.tolist() == [-1, 0, 1] and tree.areas.tolist() == [3, 2, 1]
    assert tree.level(0, 2) == 3.0 and tree.saddles[1].tolist() == [1, 0]


def test_a_grid_is_the_graph_of_its_sides() -> None:
    values = random_values((8, 9), "ties and holes", 1)
    index = np.arange(72).reshape(8, 9)
    sides = [np.stack([a.ravel(), b.ravel()], 1) for a, b in ((index[1:], index[:-1]), (index[:, 1:], index[:, :-1]))]
    one, two = sublevel(values), sublevel_graph(values.ravel(), np.concatenate(sides))
    for name in ("births", "deaths", "areas", "minima", "parents"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_nothing_finite_is_no_basin() -> None:
    tree = sublevel(np.full((3, 4), np.nan))
    assert len(tree) == 0 and tree.holes == 12 and (tree.labels == -1).all()
    assert (tree.components(1.0) == -1).all() and (tree.simplified(1.0) == -1).all()
    assert tree.level((0, 0), (2, 3)) == np.inf


def test_a_rise_beyond_float64_is_infinite_and_no_warning() -> None:
    tree = sublevel(np.array([-1.7e308, 1.7e308, -1.6e308]))
    assert tree.deaths.tolist() == [np.inf, 1.7e308] and tree.persistence.tolist() == [np.inf, np.inf]


def test_the_callers_array_is_neither_kept_nor_changed() -> None:
    values = np.array([2.0, 1.0, 3.0, 0.0])
    tree = sublevel(values)
    values[:] = 9.0
    assert tree.domain.values.tolist() == [2.0, 1.0, 3.0, 0.0]


@pytest.mark.parametrize(
    ("values", "connectivity", "said"),
    [
        (np.zeros((2, 2)), 6, "connectivity=6 .* 2-D .* 4 or 8"),
        (np.zeros(4), 4, "connectivity=4 .* 1-D .* 2"),
        (np.zeros((2, 2, 2)), 18, "6 or 26"),
        (np.zeros((2, 2, 2, 2)), None, r"\(2, 2, 2, 2\)"),
        (np.zeros((0, 3)), None, r"\(0, 3\)"),
        (np.zeros(()), None, "1 to 3 axes"),
        (np.zeros(3, dtype=complex), None, "complex128"),
        (np.array(["a"]), None, "real numbers"),
    ],
)
def test_what_is_no_grid_is_refused(values: np.ndarray, connectivity: int | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        sublevel(values, connectivity)


def test_what_is_no_graph_is_refused() -> None:
    values, edge = np.array([0.0, 1.0]), np.array([[0, 1]])
    with pytest.raises(InputError, match=r"edge 0 joins vertices \[0, 1\] at 0.5, below the higher of them, 1"):
        sublevel_graph(values, edge, np.array([0.5]))
    with pytest.raises(InputError, match="0 to 2: there are 0 to 1"):
        sublevel_graph(values, np.array([[0, 2]]))
    with pytest.raises(InputError, match=r"\(2,\): give one for each of the 1 edges"):
        sublevel_graph(values, edge, np.zeros(2))
    with pytest.raises(InputError, match="integers"):
        sublevel_graph(values, edge.astype(float))
    assert len(sublevel_graph(values, np.empty((0, 2)))) == 2


def test_a_place_outside_is_refused() -> None:
    tree = sublevel(np.zeros((3, 4)))
    for place in ((3, 0), (0, -1), (0, 0, 0), 12, -1, 0.5):
        with pytest.raises(InputError, match="no vertex"):
            tree.level(place, 0)  # type: ignore[arg-type]
    assert tree.index((2, 3)) == tree.index(11) == 11
