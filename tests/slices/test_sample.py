"""Surfaces from some of the rows: error against rows, control variates, and how often the intervals hold."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

import thalweg as tw
from tests.conftest import DictConvNet, conv_data
from thalweg.core.recorded import Recorded
from thalweg.core.rng import Stream
from thalweg.core.statistics import Batch
from thalweg.records import Guarantee, Profile, SliceStatus, Surface
from thalweg.slices import Line, Plane, Sample
from thalweg.slices.regression import Regression, spread
from thalweg.store import Directory

SEEDS = 20


@cache
def trained() -> tuple[tw.EmpiricalRisk, torch.Tensor]:
    risk = tw.zoo.digits(dtype=torch.float64)
    run = tw.descent.Descent(tw.descent.Adam(lr=1e-2), steps=150, batch=128)(risk, risk.initial)
    return risk, torch.from_numpy(run.data["thetas"][-1, 0].copy())


@cache
def exact(seed: int) -> np.ndarray:
    risk, theta = trained()
    return Plane(steps=9, half_width=0.5)(risk, theta, rng=seed).loss


@cache
def measured(rows: int, anchors: int) -> dict[str, float]:
    """Median relative error and coverage over planes of many seeds, and what the records say of them."""
    risk, theta = trained()
    gaps, held, said, tails = [], [], [], []
    for seed in range(SEEDS):
        record = Plane(steps=9, half_width=0.5, fill=Sample(rows=rows, anchors=anchors))(risk, theta, rng=seed)
        truth, width = exact(seed), record.data["upper"] - record.data["lower"]
        estimated = width > 1e-6 * truth  # anchors and the centre are known
        assert estimated.sum() == 81 - anchors - 1 or anchors > 0
        gaps.append((np.abs(record.loss - truth) / truth)[estimated])
        held.append(((record.data["lower"] <= truth) & (truth <= record.data["upper"]))[estimated].mean())
        s = record.sampling
        assert s is not None
        said.append(s.covered / s.checked)
        tails.append(s.tail)
    found = {
        "error": float(np.median(np.concatenate(gaps))),
        "covered": float(np.mean(held)),
        "said": float(np.mean(said)),
        "tail": float(np.mean(tails)),
    }
    print(f"{rows} rows, {anchors} anchors:", {key: round(value, 3) for key, value in found.items()})
    return found


# --- the error against rows and anchors, the coverage against its name ----------------------------------


def test_more_rows_and_control_variates_shrink_the_error() -> None:
    """Measured: 0.19, 0.10, 0.06 without anchors and less than half of that with four."""
    plain, helped = ([measured(n, k)["error"] for n in (64, 256, 512)] for k in (0, 4))
    for errors in (plain, helped):
        assert errors[0] > 1.5 * errors[1] and errors[1] > 1.4 * errors[2]
        # as the square root of the rows, and of the rows that are left out
        expected = np.sqrt((1 / 64 - 1 / 1797) / (1 / 512 - 1 / 1797))
        assert expected / 1.6 < errors[0] / errors[2] < expected * 1.6
    ratios = [p / h for p, h in zip(plain, helped, strict=True)]
    assert ratios[0] > 1.5 and ratios[1] > 1.8 and ratios[2] > 1.8, ratios
    assert helped[1] < plain[2]  # 256 rows with anchors do better than 512 without


@pytest.mark.parametrize(
    ("rows", "anchors", "low", "high"),
    [(64, 0, 0.75, 0.92), (256, 0, 0.82, 0.96), (512, 0, 0.88, 0.99), (64, 4, 0.88, 0.99), (512, 4, 0.88, 0.99)],
)
def test_coverage_over_many_seeds_and_what_records_say_of_it(rows: int, anchors: int, low: float, high: float) -> None:
    """Called 95 %: without anchors rows' tails take from it, and the records say so without bias."""
    found = measured(rows, anchors)
    assert low <= found["covered"] <= high
    assert abs(found["said"] - found["covered"]) < 0.06
    assert 0.1 < found["tail"] < 0.5  # 1 % of the rows hold ten times their share and more


def test_the_record_says_how_often_its_interval_held() -> None:
    risk, theta = trained()
    record = Plane(steps=9, half_width=0.5, fill=Sample(rows=256, checks=20))(risk, theta)
    s = record.sampling
    assert isinstance(record, Surface) and s is not None
    assert record.guarantee is Guarantee.SAMPLED and record.status is SliceStatus.ESTIMATED
    assert (s.rows, s.of, s.anchors, s.checked, s.level) == (256, 1797, 4, 20, 0.95)
    inside = (record.data["lower"] <= exact(0)) & (exact(0) <= record.data["upper"])
    assert s.covered <= inside.sum() and abs(s.covered / s.checked - inside.mean()) < 0.35
    assert f"covered {s.covered} of 20 points" in record.summary and f"{s.tail:.0%} of the loss" in record.summary
    assert "called 95%" in record.summary and "256 of 1,797 rows" in record.summary
    # 4 anchors and 20 checks on all rows, 81 points on a seventh of them, the mark
    assert record.cost.forwards == pytest.approx(4 + 20 + 81 * 256 / 1797 + 1, abs=1e-6)
    assert record.cost.forwards < 81 / 2
    assert record.metrics == () and "accuracy" not in record.data


def test_a_line_and_its_barrier_are_estimates() -> None:
    risk, theta = trained()
    record = Line(steps=15, fill=Sample(rows=200))(risk, theta, risk.initial)
    assert isinstance(record, Profile) and "rises about" in record.summary
    assert (record.data["lower"] <= record.loss).all() and (record.loss <= record.data["upper"]).all()


def test_a_tail_that_the_sample_misses_shows_in_the_coverage() -> None:
    """All of the loss on one row in two thousand: the interval is called 95 % and seen to hold almost nowhere."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(2000, 3).double(), torch.zeros(2000, 1, dtype=torch.float64)
    targets[1234] = 1e3
    risk = tw.EmpiricalRisk(nn.Linear(3, 1).double(), nn.MSELoss(), (inputs, targets))
    for anchors in (0, 2):
        held, tails = [], []
        for seed in range(10):
            record = Plane(steps=9, fill=Sample(rows=64, anchors=anchors))(risk, risk.initial, rng=seed)
            assert record.sampling is not None
            held.append(record.sampling.covered / record.sampling.checked)
            tails.append(record.sampling.tail)
            assert record.guarantee is Guarantee.SAMPLED
        # Anchors know the row, and correct for it as far as its loss moves with theirs: not far enough.
        assert np.mean(held) < {0: 0.1, 2: 0.6}[anchors], (anchors, held)
        assert min(tails) > 0.99  # known from all rows, whether or not the sample holds the one
    light = tw.EmpiricalRisk(nn.Linear(3, 1).double(), nn.MSELoss(), (inputs, torch.zeros_like(targets)))
    record = Plane(steps=9, fill=Sample(rows=64, anchors=2))(light, light.initial)
    assert record.sampling is not None and record.sampling.covered >= 14 and record.sampling.tail < 0.2


# --- F, exactly ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weights_and_regulariser_enter_as_they_are(reduction: str) -> None:
    """Σ ℓ_i / Z + R with the Z of all rows: computed here row by row, and F itself where it is known."""
    torch.manual_seed(0)
    data = (torch.randn(300, 4), torch.randint(0, 3, (300,)))
    loss = nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 3.0]), reduction=reduction)
    penalty = lambda named: 0.3 * sum(p.square().sum() for p in named.values())  # noqa: E731
    risk = tw.EmpiricalRisk(nn.Linear(4, 3), loss, data, regulariser=penalty).to(torch.float64)
    method = Plane(steps=5, fill=Sample(rows=50, anchors=3, checks=21))
    record, dense = method(risk, risk.initial), Plane(steps=5)(risk, risk.initial)
    s = record.sampling
    assert s is not None and s.checked == 21
    width = record.data["upper"] - record.data["lower"]
    known = width < 1e-9
    assert known.sum() == 3 + 1
    np.testing.assert_allclose(record.loss[known], dense.loss[known], rtol=1e-12)
    assert record.loss[2, 2] == dense.loss[2, 2] == record.center_loss

    index = Stream(0, ("plane", "sample", "rows")).numpy().permutation(300)[:50]
    subspace = risk.restrict(
        risk.initial, tw.slices.RandomDirections(risk.space, risk.initial.theta, 2, Stream(0, ("plane",)))
    )
    z = float(torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)[data[1]].sum()) if reduction == "mean" else 1.0
    places = spread((5, 5), 3, Stream(0, ("plane", "sample", "anchors")))
    mesh = torch.from_numpy(record.data["coordinates"].reshape(-1, 2).copy())
    rows = np.stack([risk.per_sample(theta).numpy() for theta in subspace.points(mesh)])
    covered = 0
    for i, theta in enumerate(subspace.points(mesh)):
        design = np.column_stack([np.ones(50), rows[places][:, index].T])
        beta = np.linalg.lstsq(design, rows[i, index], rcond=None)[0]
        mean = np.concatenate([[1.0], rows[places].mean(1)]) @ beta
        value = 300 * mean / z + float(penalty(risk.space.unravel(theta)))
        if i != 12:  # the centre
            np.testing.assert_allclose(record.loss.reshape(-1)[i], value, rtol=1e-9)
        away = np.abs(value - dense.loss.reshape(-1)[i])
        covered += i != 12 and i not in places and bool(away <= width.reshape(-1)[i] / 2)
    assert s.covered == covered  # with 21 checks, 3 anchors and the centre, every point of the grid was checked


@settings(max_examples=40, deadline=None)
@given(n=st.integers(8, 40), k=st.integers(0, 4), seed=st.integers(0, 10**6), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_the_interval_is_the_jackknifes(n: int, k: int, seed: int, scale: float) -> None:
    """Against leaving out each row and regressing anew."""
    rng = np.random.default_rng(seed)
    count = 5 * n
    columns, y = scale * rng.exponential(size=(k, count)), rng.exponential(size=count)
    y = y + columns.sum(0) / scale
    some, means = columns[:, :n], columns.mean(1)

    def estimate(keep: np.ndarray) -> float:
        design = np.column_stack([np.ones(keep.sum()), some[:, keep].T / scale])
        beta = np.linalg.lstsq(design, y[:n][keep], rcond=None)[0]
        return float(np.concatenate([[1.0], means / scale]) @ beta)

    found, half = Regression(some, means, count, 0.9)(y[:n])
    whole = estimate(np.ones(n, dtype=bool))
    left = np.array([estimate(np.arange(n) != i) for i in range(n)])
    variance = (1 - n / count) * (n - 1) / n * np.square(left - whole).sum()
    np.testing.assert_allclose(found, whole, rtol=1e-8)
    np.testing.assert_allclose(half, stats.t.ppf(0.95, n - k - 1) * np.sqrt(variance), rtol=1e-6)


def test_anchors_that_are_alike_count_once() -> None:
    rng = np.random.default_rng(0)
    column, y = rng.standard_normal(100), rng.standard_normal(100)
    one, twice = (Regression(np.stack([column[:20]] * m), np.full(m, column.mean()), 100, 0.95) for m in (1, 2))
    np.testing.assert_allclose(one(y[:20])[0], twice(y[:20])[0], rtol=1e-9)


@given(shape=st.lists(st.integers(2, 15), min_size=1, max_size=2), k=st.integers(0, 9), seed=st.integers(0, 99))
def test_anchors_are_spread(shape: list[int], k: int, seed: int) -> None:
    places = spread(tuple(shape), k, Stream(seed))
    assert len(places) <= k and (np.diff(places) > 0).all()
    assert not len(places) or 0 <= places[0] <= places[-1] < np.prod(shape)
    if k <= 4 and min(shape) >= 5:
        assert len(places) == k
    if k == 1:
        middle = np.array(np.unravel_index(places[0], shape))
        assert (np.abs(middle - (np.array(shape) - 1) / 2) <= 0.5).all()


# --- the machinery ----------------------------------------------------------------------------------------


def test_a_sample_is_kept_and_resumed_in_a_store(tmp_path: Path) -> None:
    risk, theta = trained()
    method = Plane(steps=7, half_width=0.5, fill=Sample(rows=100, anchors=2, checks=5))
    whole = method(risk, theta)
    with Directory.open(tmp_path / "d", {"command": "plane"}, resume=False) as directory:
        evaluate = Recorded("plane", directory.ledger, directory.sink, task_size=10)
        with pytest.raises(tw.errors.BudgetSpent):
            method(risk, theta, evaluate=evaluate, budget=tw.Budget(gradients=2))
        done = len(directory.ledger.checksums("plane"))
        assert 0 < done < 6
        with pytest.raises(tw.errors.StoreError, match="anchors="):
            Plane(steps=7, half_width=0.5, fill=Sample(rows=100, anchors=3, checks=5))(risk, theta, evaluate=evaluate)
        with pytest.raises(tw.errors.StoreError, match="sample="):
            Plane(steps=7, half_width=0.5, fill=Sample(rows=90, anchors=2, checks=5))(risk, theta, evaluate=evaluate)
        resumed = method(risk, theta, evaluate=evaluate)
        directory.save_record("plane", resumed)
        stored = directory.load_record("plane")
    assert isinstance(stored, Surface) and stored.sampling == whole.sampling
    for name, values in whole.arrays().items():
        assert stored.data[name].tobytes() == values.tobytes(), name


def test_another_seed_takes_other_rows_anchors_and_checks_and_the_same_seed_the_same() -> None:
    risk, theta = trained()
    directions = tw.slices.RandomDirections(risk.space, theta, 2, Stream(0))
    method = Plane(steps=5, directions=directions, fill=Sample(rows=64))
    first, again, other = (method(risk, theta, rng=seed) for seed in (1, 1, 2))
    assert first.loss.tobytes() == again.loss.tobytes() and first.sampling == again.sampling
    assert (first.loss != other.loss).sum() >= 24


def test_anchors_that_are_not_finite_are_left_out() -> None:
    """ℓ = −log of what becomes negative: some anchors say nothing, and the record counts those that do."""
    torch.manual_seed(0)
    model, data = nn.Linear(2, 1).double(), (torch.rand(200, 2).double(), torch.rand(200, 1).double())
    risk = tw.EmpiricalRisk(model, lambda z, y: -torch.log(z + 0.5), data)
    theta = torch.tensor([0.5, 0.5, 1.0], dtype=torch.float64)
    method = Plane(steps=9, half_width=3.0, norm="whole", biases="scale", fill=Sample(rows=50, anchors=6))
    record = method(risk, theta)
    assert record.sampling is not None and 0 < record.sampling.anchors < 6
    assert record.status is SliceStatus.NONFINITE and 0 < record.nonfinite < 81


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rows": 5}, "at least 7"),
        ({"level": 1.0}, "between 0 and 1"),
        ({"checks": 0}, "checks=0"),
        ({"anchors": -1}, "anchors=-1"),
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(tw.errors.InputError, match=said):
        Sample(**wrong)


def test_what_has_no_rows_or_too_few_is_refused() -> None:
    bowl = tw.Function(lambda x: x.square().sum(), 2)
    with pytest.raises(tw.errors.InputError, match="Function has no rows"):
        Plane(steps=5, fill=Sample())(bowl, bowl.initial)
    small = tw.zoo.polynomial()
    with pytest.raises(tw.errors.InputError, match="sample fewer"):
        Plane(steps=5, fill=Sample(rows=100))(small, small.initial)


def test_rows_that_depend_on_one_another_are_refused_and_frozen_ones_are_not() -> None:
    torch.manual_seed(0)
    risk = tw.EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data())
    method = Line(steps=3, fill=Sample(rows=20, anchors=1))
    with pytest.raises(tw.errors.InputError, match="batch statistics"):
        method(risk.with_statistics(Batch()), risk.initial)
    with pytest.warns(tw.errors.StatisticsWarning, match="recalibrate"):  # a fresh module's statistics are no one's
        assert np.isfinite(method(risk, risk.initial).loss).all()
