"""What survives the noise test was there before the noise; an undersized error lets noise through."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.topology.brute import grid_fill, matched, meeting
from thalweg.errors import InputError
from thalweg.topology import MergeTree, margins, simultaneous, sublevel, sublevel_graph

SMALL = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5)


def diagram(tree: MergeTree) -> np.ndarray:
    return np.stack([tree.births, tree.deaths], axis=1)


def wells(shape: tuple[int, ...], centres: list[tuple[int, ...]]) -> np.ndarray:
    """Paraboloids with one minimum each, the first the lowest; values of order one."""
    at = np.stack(np.indices(shape), -1) / max(shape)
    bowls = [((at - np.array(c) / max(shape)) ** 2).sum(-1) * 8 + 0.05 * i for i, c in enumerate(centres)]
    return np.min(bowls, axis=0)


PLANTED = [
    ((200,), [(30,), (90,), (160,)], None),
    ((60, 60), [(10, 10), (45, 15), (12, 48), (47, 45), (30, 28)], 4),
    ((60, 60), [(10, 10), (45, 15), (12, 48), (47, 45)], 8),
    ((18, 18, 18), [(3, 3, 3), (14, 4, 13), (4, 14, 12)], 6),
]


@pytest.mark.parametrize(("shape", "centres", "connectivity"), PLANTED)
@pytest.mark.parametrize("seed", range(3))
def test_planted_basins_are_found_under_noise(
    shape: tuple[int, ...], centres: list[tuple[int, ...]], connectivity: int | None, seed: int
) -> None:
    noise = 0.04
    truth = wells(shape, centres)
    values = truth + np.random.default_rng(seed).uniform(-noise, noise, shape)
    tree = sublevel(values, connectivity)
    assert len(sublevel(truth, connectivity)) == len(centres) < len(tree)
    for error in (noise, np.full(shape, noise)):
        survivors = np.flatnonzero(margins(tree, error) > 0)
        assert len(survivors) == len(centres)
        for place in tree.minima[survivors]:
            assert min(abs(truth[c] - truth.flat[place]) for c in centres) <= 2 * noise
    undersized = int((margins(tree, noise / 20) > 0).sum())
    assert undersized > len(centres)  # the test has teeth: noise passes where the error is understated


def test_the_bound_of_twice_the_error_is_sharp() -> None:
    truth, error = np.zeros(3), np.array([-0.25, 0.25, -0.25])
    tree = sublevel(truth + error)
    assert len(sublevel(truth)) == 1 and tree.persistence.tolist() == [np.inf, 0.5]
    assert margins(tree, 0.25).tolist() == [np.inf, 0.0]  # no more than noise can do: not above zero
    assert margins(tree, 0.24)[1] > 0  # an error that is too small makes a basin of nothing


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_diagrams_are_as_near_as_the_values(data: st.DataObject) -> None:
    shape = data.draw(SMALL)
    element = st.integers(-32, 32).map(lambda i: i / 8)  # differences of eighths are exact
    one, two = (data.draw(hnp.arrays(np.float64, shape, elements=element)) for _ in range(2))
    corners = data.draw(st.booleans())
    connectivity = 3 ** len(shape) - 1 if corners else 2 * len(shape)
    apart = float(np.abs(one - two).max())
    first, second = sublevel(one, connectivity), sublevel(two, connectivity)
    assert matched(diagram(first), diagram(second), apart)
    assert (margins(second, apart) > 0).sum() <= len(first)
    assert (margins(first, apart) > 0).sum() <= len(second)


def test_the_matching_can_fail() -> None:
    tree = sublevel(np.array([0.0, 2.0, 0.5]))
    shifted = sublevel(np.array([1.0, 3.0, 1.5]))
    assert matched(diagram(tree), diagram(shifted), 1.0) and not matched(diagram(tree), diagram(shifted), 0.9)
    assert not matched(diagram(tree), diagram(sublevel(np.zeros(3))), 0.7)  # a rise of 1.5 is no noise of 0.7


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_survivors_of_one_error_per_cell_are_in_the_truth(data: st.DataObject) -> None:
    shape = data.draw(SMALL)
    truth = data.draw(hnp.arrays(np.float64, shape, elements=st.integers(-8, 8).map(float)))
    error = data.draw(hnp.arrays(np.float64, shape, elements=st.integers(0, 12).map(lambda i: i / 2)))
    share = data.draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])))
    tree = sublevel(truth + share * error)
    assert (margins(tree, error) > 0).sum() <= len(sublevel(truth))


@pytest.mark.parametrize("seed", range(4))
def test_margins_per_cell_equal_their_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, error = rng.standard_normal((8, 7)), rng.exponential(0.15, (8, 7))
    values[rng.random((8, 7)) < 0.1] = np.nan
    error[np.isnan(values)] = np.nan  # what a hole carries is not asked for
    tree, low = sublevel(values), values - error
    born = tree.births + error.flat[tree.minima]
    fill = grid_fill(low, False)
    for b, found in enumerate(margins(tree, error)):
        elders = [c for c in range(len(tree)) if (born[c], tree.minima[c]) < (born[b], tree.minima[b])]
        meets = [meeting(fill, low.ravel(), tree.minima[b], tree.minima[c]) for c in elders]
        expected = min(meets, default=np.inf) - born[b]
        assert found == expected if expected > 0 else found <= 0


def test_one_number_for_all_cells_is_the_same_test() -> None:
    values = np.random.default_rng(5).standard_normal((12, 12))
    tree = sublevel(values)
    np.testing.assert_allclose(margins(tree, np.full((12, 12), 0.2)), margins(tree, 0.2), atol=1e-14)


def test_an_uncertain_cell_far_away_costs_a_basin_nothing() -> None:
    values, error = np.array([0.0, 1.0, 0.2, 1.5, 1.6, 1.7]), np.full(6, 0.01)
    error[-1] = 10.0
    tree = sublevel(values)
    assert margins(tree, float(error.max()))[1] < 0
    error[-1] = 0.5  # it reaches down to 1.2, above the pass
    np.testing.assert_allclose(margins(tree, error)[1], 0.78)
    error[1] = 0.9  # an uncertain pass is no wall
    assert margins(tree, error)[1] <= 0


def test_the_lowest_value_is_not_the_eldest_where_it_is_least_certain() -> None:
    values, error = np.array([0.0, 2.0, 0.1]), np.array([3.0, 0.0, 0.0])
    found = margins(sublevel(values), error)  # the truth may be 3, 2, 0.1: one basin, the second
    assert found[0] == -1.0 and found[1] == np.inf
    assert len(sublevel(values + error)) == 1


def test_simultaneous_errors_hold_at_all_cells_at_once() -> None:
    spread = np.linspace(0.5, 2.0, 50)

    def together(bound: np.ndarray) -> float:
        """The chance that 50 independent normal errors are all within their bounds."""
        return math.prod(math.erf(b / s / math.sqrt(2)) for b, s in zip(bound, spread, strict=True))

    assert 0.9 <= together(simultaneous(spread, 0.9)) <= 0.91
    single = float(simultaneous(np.ones(1), 0.9)[0])
    assert together(single * spread) < 0.01  # one cell's bound does not hold for all
    np.testing.assert_allclose(simultaneous(np.array([1.0, np.nan]), 0.95), [1.959964, np.nan], rtol=1e-6)


def test_errors_of_the_error() -> None:
    tree = sublevel(np.zeros((2, 3)))
    with pytest.raises(InputError, match=r"error=-1.0"):
        margins(tree, -1.0)
    with pytest.raises(InputError, match="error=nan"):
        margins(tree, np.full((2, 3), np.nan))
    with pytest.raises(InputError, match=r"\(3, 2\): give one number, or one per cell of \(2, 3\)"):
        margins(tree, np.zeros((3, 2)))
    with pytest.raises(InputError, match="infinite"):
        margins(tree, np.full((2, 3), np.inf))
    with pytest.raises(InputError, match="one number"):
        margins(sublevel_graph(np.zeros(2), np.array([[0, 1]])), np.zeros(2))
    with pytest.raises(InputError, match="confidence=1"):
        simultaneous(np.ones(2), 1)
    assert margins(tree, 5.0).tolist() == [np.inf]
    huge = sublevel(np.array([-1.7e308, 1.7e308, -1.6e308]))
    assert margins(huge, np.inf)[0] == np.inf
    assert margins(huge, np.full(3, 1e308)).tolist() == [np.inf, 1.7e308 - 1e308 - (-1.6e308 + 1e308)]
    np.testing.assert_allclose(margins(huge, np.full(3, 1.7e308)), [np.inf, -1e307])
