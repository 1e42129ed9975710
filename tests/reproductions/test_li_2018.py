import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from thalweg.core.evaluate import Evaluator, Inline
from thalweg.core.function import Function
from thalweg.errors import InputError
from thalweg.plot import DARK, draw
from thalweg.records import Reproduction
from thalweg.reproductions import build
from thalweg.reproductions import li_2018_rescaling as rescaling
from thalweg.reproductions import li_2018_walk as walk
from thalweg.reproductions.li_2018_measures import height, interval, nonconvex, positive, surviving, thresholds
from thalweg.reproductions.li_2018_networks import Member
from thalweg.reproductions.li_2018_rows import KINDS, Networks
from thalweg.slices import Plane

TINY = {"depths": (8,), "widths": (1, 2), "width": 1, "seeds": 2, "rows": 48, "batch": 24, "steps": 3, "grid": 3}


# --- what is read off a surface --------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(st.integers(3, 7), st.integers(3, 7)))
def test_curving_downwards_is_told_exactly_on_quadratics(form: tuple[float, ...], shape: tuple[int, int]) -> None:
    a, b, c = form
    lowest = np.linalg.eigvalsh(np.array([[a, b], [b, c]]))[0]
    i, j = np.meshgrid(*map(np.arange, shape), indexing="ij")
    values = (a * i**2 + 2 * b * i * j + c * j**2) / 2 + 5 + i - 2 * j
    if abs(lowest) > 1e-9:
        assert nonconvex(values, 1e-14) == float(lowest < 0)


def test_rounding_is_no_curvature_and_holes_are_left_out() -> None:
    rng = np.random.default_rng(0)
    noise = 1 + 1e-7 * rng.uniform(-1, 1, (30, 30))
    assert nonconvex(noise, 1e-7) == 0
    assert nonconvex(noise, 1e-9) > 0.3
    x = np.linspace(-1, 1, 9)
    bowl = x[:, None] ** 2 + x[None] ** 2
    bowl[4, 4] = np.nan
    assert nonconvex(bowl, 0.0) == 0
    assert np.isnan(nonconvex(np.full((4, 4), np.nan), 0.0))
    assert height(np.array([[1.0, 100.0], [np.nan, 10.0]])) == pytest.approx(np.log10(55))


def test_planted_wells_are_counted_and_a_diagonal_valley_is_one() -> None:
    def wells(x: torch.Tensor) -> torch.Tensor:
        return ((x[0] ** 2 - 0.25) ** 2 + (x[1] ** 2 - 0.25) ** 2).sum()

    def valley(x: torch.Tensor) -> torch.Tensor:
        return (50 * (x[0] - x[1]) ** 2 + (x[0] + x[1]) ** 2).sum()

    counts = [
        surviving(Plane(steps=21)(Function(f, 2, initial=torch.zeros(2, dtype=torch.float64)), torch.zeros(2).double()))
        for f in (wells, valley)
    ]
    assert counts == [4, 1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(1, 3), min_size=4, max_size=4), min_size=1, max_size=5))
def test_thresholds_are_those_of_a_plain_search(rows: list[list[int]]) -> None:
    widths = (1, 2, 4, 8)
    for counts, found in zip(rows, thresholds(np.array(rows), widths), strict=True):
        good = [w for i, w in enumerate(widths) if all(c == 1 for c in counts[i:])]
        assert found == np.log2(min(good, default=16))


def test_intervals_are_students_and_equal_counts_are_no_proof() -> None:
    values = np.array([1.0, 2.0, 4.0, 4.5])
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert interval(values) == pytest.approx((low, high))
    assert interval(values[:1]) is None and interval(np.array([1.0, np.inf])) is None
    assert positive(interval(np.ones(3), 1.0)) is None  # three of three is 1 in 8 by chance
    assert positive(interval(np.ones(6), 1.0)) is True
    assert positive(interval(-np.ones(6), 1.0)) is False


# --- rows ------------------------------------------------------------------------------------------------------------


def test_rescaling_moves_the_plain_curve_alone() -> None:
    record = build("li_2018", parts="rescaling", seeds=1)()
    ours = {row.claim: row.ours for row in record.rows}
    assert ours["rescaling_function"] < 1e-12 and ours["rescaling_filter"] < 1e-12
    assert ours["rescaling_plain"] > 0.5
    data = {k.partition(".")[2]: v for k, v in record.data.items()}
    # the rows can fail: the plain curves in place of the normalised ones, and the other way round
    swapped = {
        k.replace("gaussian", "?").replace("filter", "gaussian").replace("?", "filter"): v for k, v in data.items()
    }
    assert [row.agrees for row in rescaling.rows(swapped)] == [True, False, False]


def counted(counts: dict[str, np.ndarray], seeds: int) -> Networks:
    """Networks whose basins were these at widths 1, 2 and 4, [S, widths] for each kind."""
    settings_ = build("li_2018", seeds=seeds)
    data = {}
    for kind, i in itertools.product(KINDS, range(3)):
        member = Member(kind, 8, (1, 2, 4)[i])
        for rule in ("filter", "gaussian"):
            data[f"{member}.{rule}.basins"] = counts[kind][:, i : i + 1]
        data[f"{member}.test_error"] = 30.0 - 10 * i + np.arange(seeds)
    return Networks(settings_.recipe, data)


def test_the_order_of_the_thresholds_is_told_from_its_reverse_and_from_a_tie() -> None:
    late, early = np.tile([3, 2, 1], (6, 1)), np.tile([2, 1, 1], (6, 1))
    for plain, residual, agrees in ((late, early, True), (early, late, False), (late, late, None)):
        networks = counted({"plain": plain, "residual": residual, "dense": early}, 6)
        rows = {row.claim: row for row in networks.width(8, (1, 2, 4))}
        assert rows["order_filter"].agrees is agrees and rows["order_gaussian"].agrees is agrees
        assert rows["c1_filter"].ours == (2 if plain is late else 1)
        assert rows["order_filter"].ours == rows["c1_filter"].ours - rows["c2_filter"].ours
        assert rows["error_with_width"].agrees and rows["error_with_width"].ours == 20
        assert rows["basins_with_width_filter"].agrees
    few = counted({"plain": late[:3], "residual": early[:3], "dense": early[:3]}, 3).width(8, (1, 2, 4))
    assert next(row for row in few if row.claim == "order_filter").agrees is None


def test_published_errors_stand_beside_the_papers_own_networks_alone() -> None:
    recipe = build("li_2018", dataset="cifar10", base=1, rows=None, seeds=2).recipe
    member = Member("plain", 56, 8)
    found = Networks(recipe, {f"{member}.test_error": np.array([8.0, 9.0])}).error(member)
    assert found.published == 8.70 and found.agrees
    assert not Networks(recipe, {f"{member}.test_error": np.array([12.0, 13.0])}).error(member).agrees
    for other in ({"dataset": "digits"}, {"base": 0.5}, {"rows": 500}):
        row = Networks(dataclasses.replace(recipe, **other), {f"{member}.test_error": np.array([8.0, 9.0])}).error(
            member
        )
        assert row.published is None and row.agrees is None


def test_the_run_is_judged_by_its_range_and_the_walk_by_theory() -> None:
    record = build("li_2018", parts="walk", **TINY | {"steps": 12, "widths": (1,)})()
    rows = {row.claim: row for row in record.rows}
    walks = rows["variance_walk"]
    assert walks.agrees and abs(walks.ours - walks.published) < 0.01
    assert rows["variance_run"].ours == pytest.approx(record.data["walk.run"][:, :2].sum(1).mean())
    assert (record.data["walk.run"].sum(1) <= 1 + 1e-9).all()
    data = {k.removeprefix("walk."): v for k, v in record.data.items()}
    for share, agrees in ((0.35, True), (0.48, False), (0.1, False)):  # twice that in two components
        judged = walk.rows(data | {"run": np.full((2, 2), share)})[0]
        assert judged.agrees is agrees
    assert walk.rows(data | {"walks": data["walks"] - 0.02})[1].agrees is False


# --- the whole -------------------------------------------------------------------------------------------------------


class Kept(Evaluator):
    """Keeps what is checkpointed, and stops the work after so many tasks."""

    def __init__(self, stop: int | None = None) -> None:
        self.state: dict[str, np.ndarray] | None = None
        self.stop, self.ended = stop, 0

    def __call__(self, plan):  # type: ignore[no-untyped-def]
        return Inline()(plan)

    def checkpoint(self, state) -> None:  # type: ignore[no-untyped-def]
        self.state, self.ended = dict(state), self.ended + 1
        if self.ended == self.stop:
            raise KeyboardInterrupt

    def restore(self) -> dict[str, np.ndarray] | None:
        return self.state


@pytest.fixture(scope="module")
def small() -> Reproduction:
    found = build("li_2018", parts="walk,depth,width", **TINY)(rng=1)
    assert isinstance(found, Reproduction)
    return found


def test_every_part_has_its_rows_its_surfaces_and_its_pictures(small: Reproduction) -> None:
    claims = [row.claim for row in small.rows]
    assert len(claims) == len(set(claims))
    wanted = [
        "variance_run",
        "nonconvex_without_skips_8",
        "error_dense_8_x2",
        "basins_gaussian_plain_8_x1",
        "order_filter",
    ]
    assert set(wanted) <= set(claims)
    assert small.data["plain_8_x2.filter.loss"].shape == (2, 1, 3, 3)
    # the centre of every surface is the loss where training ended
    for name in ("plain_8_x1", "dense_8_x2", "residual_8_x1"):
        centre = small.data[f"{name}.filter.loss"][:, 0, 1, 1]
        assert centre == pytest.approx(small.data[f"{name}.loss"], rel=1e-4)
    figure = draw(small, DARK)
    drawn = [axes for part in figure.subfigs for axes in part.axes if axes.get_visible() and axes.get_title()]
    assert len(drawn) == len(small.panels) == 2 + 2 + 2 * 6


def test_an_interrupted_run_goes_on_and_comes_out_the_same() -> None:
    chosen = TINY | {"parts": "rescaling,depth", "seeds": 1}
    whole, kept = build("li_2018", **chosen)(), Kept(stop=2)
    with pytest.raises(KeyboardInterrupt):
        build("li_2018", **chosen)(evaluate=kept)
    assert kept.state is not None and not any(k.startswith("residual") for k in kept.state)
    spent = float(kept.state["cost"][0])
    kept.stop = None
    again = build("li_2018", **chosen)(evaluate=kept)
    assert kept.ended == 3  # only what was left
    assert again.cost.forwards == pytest.approx(whole.cost.forwards) and spent < again.cost.forwards
    for name, array in whole.data.items():
        np.testing.assert_array_equal(array, again.data[name])


def test_surfaces_from_some_of_the_rows_are_counted_by_their_intervals() -> None:
    chosen = TINY | {"parts": "depth", "seeds": 1, "repeats": 2, "rows": 200, "sample": 60, "grid": 5}
    record = build("li_2018", **chosen)()
    assert record.data["plain_8_x1.filter.basins"].shape == (1, 2)
    assert {row.interval for row in record.rows} == {None}  # one network says nothing of others


def test_a_curve_is_drawn_beside_the_published_one_and_numbers_alone_are_refused(small: Reproduction) -> None:
    x = np.linspace(0, 1, 4)
    data = {"c.x": x, "c.published": x, "c.ours": x + 0.1, "c.error": 0 * x + 0.2}
    curve = dataclasses.replace(small, data=data, panels=(), curves=("c",), x_label="level")
    (axes,) = (a for part in draw(curve).subfigs for a in part.axes if a.get_visible())
    assert axes.get_xlabel() == "level" and len(axes.lines) == 2
    with pytest.raises(InputError, match="numbers alone"):
        draw(dataclasses.replace(small, data={}, panels=()))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"parts": "breadth"}, "parts='breadth'"),
        ({"widths": (2, 1)}, "ascending"),
        ({"seeds": 0}, "seeds=0"),
        ({"factor": 1}, r"factor=1"),
        ({"rows": 1700}, "rows=1700"),
        ({"rows": None}, "rows=None"),
        ({"depth": 9}, "depth=9"),
        ({"growth": 1, "widths": (1.5, 2), "base": 0.125}, "whole number"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(wrong: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        build("li_2018", **{"parts": "width", "steps": 1, "seeds": 1, "rows": 24, **wrong})()
