"""Surfaces interpolated where that will do: the stated error, how many points it takes, and what it cannot see."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from thalweg.core.evaluate import Evaluator, Inline, Outcome, Plan
from thalweg.core.recorded import Recorded
from thalweg.core.subspace import Subspace
from thalweg.records import Guarantee, SliceStatus
from thalweg.slices import Line, Plane, Refine
from thalweg.slices.pyramid import Pyramid
from thalweg.store import Directory


def waves(seed: int, frequency: float = 5.0) -> tw.Function:
    """A sum of four sines over the plane, of wavelengths down to a fifth of its width."""
    generator = torch.Generator().manual_seed(seed)
    k = frequency * torch.randn(4, 2, generator=generator, dtype=torch.float64)
    phase = 6.28 * torch.rand(4, generator=generator, dtype=torch.float64)
    return tw.Function(lambda x: (torch.sin(k @ x + phase)).sum(), 2)


def bumps(seed: int, narrow: float = 0.07, wide: float = 0.5) -> tw.Function:
    """A bowl with four Gaussian bumps of widths from a thirtieth to a quarter of the plane's."""
    rng = np.random.default_rng(seed)
    width = torch.from_numpy(np.exp(rng.uniform(math.log(narrow), math.log(wide), 4)))
    center, height = torch.from_numpy(rng.uniform(-1, 1, (4, 2))), torch.from_numpy(rng.standard_normal(4))
    return tw.Function(
        lambda x: x.square().sum() + (height * torch.exp(-(x - center).square().sum(1) / (2 * width**2))).sum(), 2
    )


def both(objective: Any, method: Plane | Line, fill: Refine, rng: int = 0) -> tuple[Any, Any, float]:
    """The refined record, the dense one, and the largest true error as a share of the range."""
    refined = dataclasses.replace(method, fill=fill)(objective, objective.initial, rng=rng)
    dense = method(objective, objective.initial, rng=rng)
    found, true = (record.loss[np.isfinite(dense.loss)] for record in (refined, dense))
    return (
        refined,
        dense,
        float(np.abs(found - true).max(initial=0.0) / max(np.ptp(true), 1e-300)) if true.size else 0.0,
    )


@cache
def trained() -> tuple[tw.EmpiricalRisk, torch.Tensor, Any]:
    """The digits network after some steps, and the dense plane around it."""
    risk = tw.zoo.digits(dtype=torch.float64)
    run = tw.descent.Descent(tw.descent.Adam(lr=1e-2), steps=60)(risk, risk.initial)
    theta = torch.from_numpy(run.data["thetas"][-1, 0].copy())
    return risk, theta, Plane(steps=97)(risk, theta)


# --- the stated error and what it takes ---------------------------------------------------------------


@pytest.mark.parametrize(("tolerance", "share"), [(0.01, 40), (0.003, 20), (0.001, 8)])
def test_a_trained_plane_takes_a_share_of_the_points(tolerance: float, share: float) -> None:
    risk, theta, dense = trained()
    refined = Plane(steps=97, fill=Refine(tolerance=tolerance))(risk, theta)
    span = np.ptp(dense.loss)
    assert float(np.abs(refined.loss - dense.loss).max()) <= 1.2 * tolerance * span
    assert 0 < refined.interpolation_error <= tolerance * span
    evaluated = int(refined.data["evaluated"].sum())
    assert evaluated < dense.points / share
    assert refined.cost.forwards == evaluated + 1 < dense.cost.forwards  # and F at the point itself
    assert refined.guarantee is Guarantee.ADAPTIVE and dense.guarantee is Guarantee.SAMPLED
    assert refined.status is SliceStatus.INTERPOLATED and dense.status is SliceStatus.COMPLETE
    assert f"{evaluated:,} of 9,409 points were evaluated" in refined.summary and "(no bound)" in refined.summary
    assert refined.loss_min == refined.loss[refined.data["evaluated"]].min() >= dense.loss_min
    assert refined.data["accuracy"].min() >= 0 and refined.data["accuracy"].max() <= 1


@pytest.mark.parametrize(("family", "most"), [(waves, 0.05), (bumps, 0.05)])
def test_how_often_the_stated_error_is_missed_by_how_much(family: Callable[[int], tw.Function], most: float) -> None:
    """The estimate is no bound. Over random smooth surfaces it is rarely exceeded, and never by much."""
    ratios, estimates, counts = [], [], []
    for seed in range(40):
        refined, dense, true = both(family(seed), Plane(steps=65), Refine(tolerance=0.01, start=9))
        ratios.append(true / 0.01)
        estimates.append(true * np.ptp(dense.loss) / refined.interpolation_error)
        counts.append(int(refined.data["evaluated"].sum()))
    over, under = np.array(ratios), np.array(estimates)
    print(
        f"{family.__name__}: true error / tolerance median {np.median(over):.2f}, largest {over.max():.2f}; above it "
        f"in {np.mean(over > 1):.1%}, above the estimate in {np.mean(under > 1):.1%}; {np.median(counts):.0f} points"
    )
    assert np.mean(over > 1) <= most and np.mean(under > 1) <= 2 * most and over.max() < 1.5
    assert np.median(over) > 0.02  # the estimate is not so wide that it says nothing
    assert np.median(counts) < 65**2 / 3


def test_features_narrower_than_the_first_grid_are_often_missed() -> None:
    """What the estimate cannot know: bumps of a tenth to a third of the first spacing, seen or not by luck."""
    missed = 0
    for seed in range(40):
        refined, _, true = both(bumps(seed, 0.025, 0.08), Plane(steps=65), Refine(tolerance=0.01, start=9))
        assert refined.guarantee is Guarantee.ADAPTIVE
        # A point drawn at random that lies on a bump opens its cell, until none that is drawn is missed.
        assert refined.interpolation_error <= 0.01 * np.ptp(refined.loss[refined.data["evaluated"]])
        missed += true > 0.05
    print(f"narrow bumps: missed by more than five tolerances on {missed} of 40 surfaces")
    assert 4 <= missed <= 36


@pytest.mark.parametrize("rows", [3, 30])
def test_kinks_of_a_relu_network(rows: int) -> None:
    """A kink between two points is seen by half its height on average, so that the tolerance is missed by more."""
    worst = []
    for seed in range(4):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)).double()
        risk = tw.EmpiricalRisk(net, nn.MSELoss(), (torch.randn(rows, 2).double(), torch.randn(rows, 1).double()))
        refined, dense, true = both(risk, Plane(steps=65), Refine(tolerance=3e-3, start=9), rng=seed)
        worst.append(true / 3e-3)
        assert refined.data["evaluated"].sum() < dense.points / 2
    assert max(worst) < 3, worst


def test_lines_are_refined_too() -> None:
    refined, dense, true = both(waves(3), Line(steps=401), Refine(tolerance=1e-3))
    assert true <= 1e-3 and refined.data["evaluated"].sum() < dense.points / 4
    assert refined.guarantee is Guarantee.ADAPTIVE and refined.data["coordinates"].shape == (401,)


@pytest.mark.parametrize("method", [Plane(steps=97), Line(steps=401)])
def test_what_a_cubic_fits_takes_the_coarse_grid_and_the_checks(method: Plane | Line) -> None:
    cubic = tw.Function(lambda x: (x[0] - 2 * x[1] + 0.3) ** 3 + x[0] * x[1], 2)
    refined, _, true = both(cubic, method, Refine(tolerance=1e-9))
    coarse = 13 ** len(refined.loss.shape)
    assert true < 1e-9 and refined.evaluated == coarse + max(4, coarse // 8)
    flat = tw.Function(lambda x: 0 * x.sum() + 3.0, 2)
    refined = dataclasses.replace(method, fill=Refine())(flat, flat.initial)
    assert refined.evaluated == coarse + max(4, coarse // 8) and refined.interpolation_error < 1e-12


def test_an_absolute_tolerance_is_in_units_of_f() -> None:
    steep = tw.Function(lambda x: 100 * torch.sin(4 * x).sum(), 2)
    coarse, dense, _ = both(steep, Plane(steps=65), Refine(absolute=5.0))
    fine, *_ = both(steep, Plane(steps=65), Refine(absolute=0.5))
    assert coarse.evaluated < fine.evaluated < dense.points / 4
    assert np.abs(coarse.loss - dense.loss).max() <= 5 and coarse.interpolation_error <= 5
    assert np.abs(fine.loss - dense.loss).max() <= 0.5 and fine.interpolation_error <= 0.5


def test_evaluated_points_are_what_the_dense_grid_has_and_the_others_are_not() -> None:
    refined, dense, _ = both(waves(0), Plane(steps=50), Refine())
    known = refined.data["evaluated"]
    np.testing.assert_allclose(refined.loss[known], dense.loss[known], rtol=0, atol=1e-14)
    assert known[0, 0] and known[-1, -1] and not known.all()
    assert (np.abs(refined.loss - dense.loss)[~known] > 1e-9).mean() > 0.5


def test_a_grid_that_needs_all_its_points_is_a_dense_one() -> None:
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((33, 33)))
    rough = tw.Function(lambda x: noise[tuple(((x + 1) * 16).round().long())], 2).with_backend("loop")
    refined, dense, _ = both(rough, Plane(steps=33), Refine(tolerance=1e-3))
    np.testing.assert_array_equal(refined.loss, dense.loss)
    assert refined.status is SliceStatus.COMPLETE and refined.guarantee is Guarantee.SAMPLED
    assert refined.interpolation_error == 0 and refined.summary == dense.summary


# --- what it cannot see, and what it must not cross -----------------------------------------------------


def test_a_needle_between_the_points_is_missed_and_nothing_else_is_claimed() -> None:
    needle = tw.Function(lambda x: x.square().sum() + 5 * torch.exp(-(((x - 0.0937) * 300) ** 2).sum()), 2)
    refined, dense, true = both(needle, Plane(steps=257), Refine(tolerance=0.01, start=9))
    assert dense.loss_max > 4 and true > 0.5  # the dense grid sees the needle and the refined one does not
    assert refined.guarantee is Guarantee.ADAPTIVE and refined.interpolation_error < 0.01
    assert refined.guarantee.strength < Guarantee.CERTIFIED.strength and "no bound" in refined.summary


def test_the_barrier_of_a_profile_is_one_of_evaluated_points() -> None:
    """What is interpolated is no lower bound of anything."""
    peak = tw.Function(lambda x: torch.exp(-200 * (x[0] - 0.52).square()) + 0 * x[1], 2)
    ends = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    refined = Line(steps=301, fill=Refine(tolerance=0.05))(peak, *ends)
    dense = Line(steps=301)(peak, *ends)
    known = refined.data["evaluated"]
    assert not known.all() and refined.loss.max() > 0.9
    assert refined.barrier == pytest.approx(refined.loss[known].max(), abs=1e-6)
    assert refined.barrier <= dense.barrier + 1e-12
    assert f"at {known.sum()} points" in refined.summary


@settings(max_examples=15, deadline=None)
@given(edge=st.floats(-0.95, 0.95), slope=st.floats(-1, 1), value=st.sampled_from([math.nan, math.inf]))
def test_where_values_are_not_finite_every_neighbour_is_evaluated(edge: float, slope: float, value: float) -> None:
    hole = tw.Function(
        lambda x: torch.where(x[0] > edge + slope * x[1], torch.full_like(x[0], value), (x - 0.2).square().sum()), 2
    )
    refined, dense, true = both(hole, Plane(steps=41), Refine(start=9))
    holes = ~np.isfinite(dense.loss)
    known = refined.data["evaluated"]
    np.testing.assert_array_equal(refined.loss[holes], dense.loss[holes])
    beside = np.zeros_like(holes)
    for i, j in np.argwhere(holes):
        beside[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2] = True
    assert known[beside].all()
    assert refined.status is (SliceStatus.NONFINITE if holes.any() else SliceStatus.INTERPOLATED)
    assert true <= 0.01


def test_an_island_of_nan_between_the_first_points_is_found_by_chance_alone() -> None:
    """As with a needle: the record claims nothing of it. Where a check falls on it, all of it is evaluated."""
    island = tw.Function(lambda x: torch.where((x - 0.0625).norm() < 0.05, math.nan, 1.0) + x.square().sum(), 2)
    found = [Plane(steps=65, fill=Refine(start=5))(island, island.initial, rng=seed) for seed in range(30)]
    whole = Plane(steps=65)(island, island.initial).nonfinite
    assert whole > 1
    missed = [record for record in found if not record.nonfinite]
    assert missed and all(r.guarantee is Guarantee.ADAPTIVE for r in missed)
    assert all(record.nonfinite == whole for record in found if record.nonfinite)
    assert len(missed) < len(found)


# --- the machinery ------------------------------------------------------------------------------------


class Kept(Evaluator):
    """Keeps the state in memory, and is interrupted after ``left`` checkpoints."""

    def __init__(self, left: float) -> None:
        self.left, self.state = left, None

    def __call__(self, plan: Plan) -> Outcome:
        return Inline()(plan)

    def checkpoint(self, state: Mapping[str, np.ndarray]) -> None:
        self.state = {name: np.array(x) for name, x in state.items()}
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def restore(self) -> dict[str, np.ndarray] | None:
        return self.state


def test_an_interrupted_refinement_repeats_nothing_wherever_it_stopped() -> None:
    objective, method = waves(1), Plane(steps=65, fill=Refine(start=9))
    whole = method(objective, objective.initial)
    for stop in (1, 2, 3, 5, 8, 13):
        kept = Kept(stop)
        with pytest.raises(KeyboardInterrupt):
            method(objective, objective.initial, evaluate=kept)
        kept.left = math.inf
        resumed = method(objective, objective.initial, evaluate=kept)
        for name, values in whole.arrays().items():
            assert resumed.data[name].tobytes() == values.tobytes(), (stop, name)
        assert resumed.interpolation_error == whole.interpolation_error
        assert resumed.cost.forwards == whole.cost.forwards


def test_a_resumed_refinement_is_evaluated_as_it_was_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    risk, kept = tw.zoo.digits(dtype=torch.float64), Kept(1)
    method = Plane(steps=33, fill=Refine(start=5))
    with pytest.raises(KeyboardInterrupt):
        method(risk, risk.initial, evaluate=kept)
    assert kept.state is not None
    road = json.loads(kept.state["road"].tobytes())
    assert road
    told: list[Any] = []
    monkeypatch.setattr(Subspace, "obey", lambda self, measured: told.append(measured))
    kept.left = math.inf
    method(tw.zoo.digits(dtype=torch.float64), risk.initial, evaluate=kept)
    assert told == [road]


def test_a_store_keeps_an_interrupted_refinement_and_refuses_another(tmp_path: Path) -> None:
    risk = tw.zoo.digits(dtype=torch.float64)
    method = Plane(steps=33, fill=Refine(tolerance=1e-3, start=5))
    whole = method(risk, risk.initial)
    with Directory.open(tmp_path / "d", {"command": "plane"}, resume=False) as directory:
        evaluate = Recorded("plane", directory.ledger, directory.sink)
        with pytest.raises(tw.errors.BudgetSpent):
            method(risk, risk.initial, evaluate=evaluate, budget=tw.Budget(gradients=25))
        with pytest.raises(tw.errors.StoreError, match=r"refine=.*0.001.*0.01"):
            Plane(steps=33, fill=Refine(tolerance=1e-2, start=5))(risk, risk.initial, evaluate=evaluate)
        with pytest.raises(tw.errors.StoreError, match="directions="):
            method(risk, risk.initial.theta + 0.01, evaluate=evaluate)
        resumed = method(risk, risk.initial, evaluate=evaluate)
        directory.save_record("plane", resumed)
        stored = directory.load_record("plane")
    assert stored is not None
    for name, values in whole.arrays().items():
        assert stored.data[name].tobytes() == values.tobytes(), name
    assert stored.guarantee is Guarantee.ADAPTIVE and stored.summary == resumed.summary


def test_progress_is_told_and_a_trajectory_plane_is_refined_too() -> None:
    seen: list[tuple[int, int]] = []
    risk = tw.zoo.polynomial()
    run = tw.descent.Descent(steps=20)(risk, risk.initial)
    thetas = torch.from_numpy(run.data["thetas"][:, 0].copy())
    method = tw.slices.TrajectoryPlane(steps=33, fill=Refine(start=5))
    record = method(risk, thetas, evaluate=Inline(lambda done, total: seen.append((done, total))))
    assert seen[-1] == (record.evaluated, 33**2) and seen == sorted(seen)
    assert record.guarantee is Guarantee.ADAPTIVE and record.data["path"].shape[1] == 2


@given(shape=st.lists(st.integers(2, 70), min_size=1, max_size=2), start=st.integers(4, 20))
def test_levels_are_nested_and_end_with_every_point(shape: list[int], start: int) -> None:
    pyramid = Pyramid(tuple(shape), start)
    for below, above in zip(pyramid.levels, pyramid.levels[1:], strict=False):
        assert all(set(a) <= set(b) for a, b in zip(below, above, strict=True))
    for axis, n in enumerate(shape):
        assert len(pyramid.levels[1][axis]) == min(n, start)
        np.testing.assert_array_equal(pyramid.levels[-1][axis], np.arange(n))
    known = np.ones(shape, dtype=bool)
    values = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_array_equal(pyramid.predict(values, known).values, values)
    for level in range(len(pyramid.levels) - 1):
        cells = [len(a) - 1 for a in pyramid.levels[level]]
        for which in np.ndindex(*cells):
            box = tuple(slice(a[i], a[i + 1] + 1) for a, i in zip(pyramid.levels[level], which, strict=True))
            assert pyramid.cellwise(values, level)[which] == values[box].max()
            break
        one = np.zeros(cells, dtype=bool)
        one[(-1,) * len(cells)] = True
        on = pyramid.inside(one, level)
        box = tuple(slice(a[-2], a[-1] + 1) for a in pyramid.levels[level])
        pairs = zip(pyramid.levels[level], pyramid.levels[level + 1], strict=True)
        assert on[box].sum() == on.sum() == np.prod([np.sum(b >= a[-2]) for a, b in pairs])


@pytest.mark.parametrize("wrong", [{"tolerance": 0.0}, {"absolute": -1.0}, {"start": 3}, {"tolerance": math.nan}])
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(tw.errors.InputError):
        Refine(**wrong)
