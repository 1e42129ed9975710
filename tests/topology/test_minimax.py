"""Minimax paths equal a spanning tree's, are shortest below their level, and never rise above it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree, shortest_path

from tests.topology.test_sublevel import KINDS, random_values
from thalweg.errors import InputError
from thalweg.topology import Lattice, minimax, sublevel, sublevel_graph

SHAPES = [((25,), 2), ((9, 8), 4), ((9, 8), 8), ((4, 3, 5), 6), ((4, 3, 5), 26)]


def links(values: np.ndarray, connectivity: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of touching finite cells, by comparing every cell with every other."""
    at = np.stack(np.unravel_index(np.arange(values.size), values.shape), 1)
    apart = np.abs(at[:, None] - at[None])
    touch = (apart.sum(-1) == 1) if connectivity == 2 * values.ndim else (apart.max(-1) == 1)
    solid = np.isfinite(values.ravel())
    first, second = np.nonzero(np.triu(touch & solid[:, None] & solid[None]))
    return first, second


def spanning_level(values: np.ndarray, connectivity: int, start: int, end: int) -> float:
    """The highest edge between two cells on scipy's minimum spanning tree."""
    first, second = links(values, connectivity)
    weight = np.maximum(values.flat[first], values.flat[second])
    if start == end:
        return float(values.flat[start])
    shifted = weight - weight.min() + 1.0  # a weight of zero would be no edge
    tree = minimum_spanning_tree(coo_matrix((shifted, (first, second)), shape=(values.size,) * 2).tocsr())
    _, before = breadth_first_order(tree, start, directed=False)
    if before[end] < 0:
        return float("inf")
    walk = [end]
    while walk[-1] != start:
        walk.append(before[walk[-1]])
    return float(values.flat[walk].max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "connectivity"), SHAPES)
def test_paths_are_lowest_and_then_shortest(shape: tuple[int, ...], connectivity: int, kind: str) -> None:
    values = random_values(shape, kind, 11)
    tree, rng = sublevel(values, connectivity), np.random.default_rng(0)
    first, second = links(values, connectivity)
    solid = np.flatnonzero(np.isfinite(values.ravel()))
    for start, end in rng.choice(solid, (12, 2)).tolist():
        path = minimax(tree, start, end)
        assert path.level == tree.level(start, end) == spanning_level(values, connectivity, start, end)
        if path.level == np.inf:
            assert path.cells.shape == (0, values.ndim)
            continue
        assert path.level == max(values[tuple(cell)] for cell in path.cells)
        flat = np.ravel_multi_index(tuple(path.cells.T), shape)
        assert (flat[0], flat[-1]) == (start, end)
        steps = {frozenset(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)}
        assert all(frozenset(pair) in steps for pair in zip(flat[:-1].tolist(), flat[1:].tolist(), strict=True))
        low = np.maximum(values.flat[first], values.flat[second]) <= path.level
        below = coo_matrix((np.ones(low.sum()), (first[low], second[low])), shape=(values.size,) * 2)
        assert len(flat) - 1 == shortest_path(below, directed=False, unweighted=True, indices=start)[end]


def test_links_are_each_found_once() -> None:
    values = random_values((4, 3, 5), "holes", 2)
    for connectivity in (6, 26):
        found = [np.sort(np.stack(block[:2], 1), axis=1) for block in Lattice(values, connectivity).links()]
        expected = np.stack(links(values, connectivity), 1)
        np.testing.assert_array_equal(sorted(np.concatenate(found).tolist()), sorted(expected.tolist()))


def test_a_path_goes_around_the_wall_and_through_its_gate() -> None:
    wall = np.zeros((9, 9))
    wall[4] = 5.0
    wall[4, 7] = 2.0
    path = minimax(sublevel(wall), (0, 0), (8, 0))
    assert path.level == 2.0 and [4, 7] in path.cells.tolist() and len(path.cells) == 23
    wall[4] = np.nan
    cut = minimax(sublevel(wall), (0, 0), (8, 0))
    assert cut.level == np.inf and not len(cut.cells)


def test_a_path_through_a_graph_uses_edges_below_its_level() -> None:
    values, edges = np.zeros(4), np.array([[0, 3], [0, 1], [1, 2], [2, 3]])
    path = minimax(sublevel_graph(values, edges, np.array([9.0, 1.0, 2.0, 1.0])), 0, 3)
    assert path.level == 2.0 and path.cells.ravel().tolist() == [0, 1, 2, 3]


def test_a_hole_has_no_path() -> None:
    tree = sublevel(np.array([0.0, np.nan, 1.0]))
    with pytest.raises(InputError, match="1 is a hole, its value is nan"):
        minimax(tree, 0, 1)
    assert tree.level(0, 1) == np.inf
