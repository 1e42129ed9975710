"""Kaplan–Meier against its definition and a worked table, Wilson against its equation, exponents against power laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.errors import InputError
from thalweg.records.survival import Survival, exponents, wilson

Z = 1.959963984540054


@given(st.integers(1, 500), st.data())
def test_wilson_solves_its_equation_and_stays_inside(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    low, high = wilson(successes, trials)
    share = successes / trials
    assert 0 <= low <= share <= high <= 1 and low < high
    for p in (low, high):  # the ends are where the score test is just at the level (Wilson 1927)
        if 0 < p < 1:
            assert (share - p) ** 2 == pytest.approx(Z**2 * p * (1 - p) / trials, rel=1e-9)


def test_wilson_covers_at_its_level() -> None:
    n, p = 40, 0.1
    draws = np.random.default_rng(0).binomial(n, p, size=4000)
    covered = np.mean([low <= p <= high for low, high in (wilson(int(k), n) for k in draws)])
    assert 0.93 < covered < 0.985  # of discrete counts the level is only approached
    assert wilson(0, n)[1] > 0.05  # the normal interval would say that 0 of 40 proves a share of 0


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_kaplan_meier_is_the_product_of_its_definition(drawn: list[tuple[int, bool]]) -> None:
    times, seen = np.array([t for t, _ in drawn]), np.array([s for _, s in drawn])
    found = Survival.of(times, seen)
    share, expected = 1.0, []
    for t in sorted(set(times[seen].tolist())):
        risk = int((times >= t).sum())
        share *= 1 - int((seen & (times == t)).sum()) / risk
        expected.append(share)
    np.testing.assert_allclose(found.share, expected, atol=1e-12)
    if seen.all():  # without censoring it is the empirical distribution
        np.testing.assert_allclose(found.share, [(times > t).mean() for t in found.times], atol=1e-12)
    x, y = found.steps()
    assert len(x) == len(y) and (np.diff(y) <= 0).all() and y[0] == 1.0 and x[-1] >= times.max()


def test_a_worked_table_with_censoring() -> None:
    # Kaplan & Meier 1958, §2: deaths at 0.8, 3.1, 5.4, 9.2, losses at 1.0, 2.7, 7.0, 12.1
    times = np.array([0.8, 3.1, 5.4, 9.2, 1.0, 2.7, 7.0, 12.1])
    seen = np.array([True] * 4 + [False] * 4)
    found = Survival.of(times, seen)
    np.testing.assert_allclose(found.share, [7 / 8, 7 / 10, 21 / 40, 21 / 80])
    assert found.median == 9.2 and found.quantile(0.25) == 3.1 and found.quantile(0.9) is None


def test_dropping_the_censored_would_be_wrong() -> None:
    rng = np.random.default_rng(1)
    times = rng.exponential(100.0, size=4000)
    seen = times < 40.0
    watched = np.minimum(times, 40.0)
    found = Survival.of(watched, seen)
    assert found.median is None  # only a third was seen: no median is claimed
    q = found.quantile(0.25)
    assert q == pytest.approx(-100 * np.log(0.75), rel=0.08)
    assert np.quantile(watched[seen], 0.25) < 0.5 * q  # what dropping them would report


def test_the_medians_interval_covers() -> None:
    rng, hits, median = np.random.default_rng(2), 0, np.log(2)
    for _ in range(400):
        times, ends = rng.exponential(size=60), rng.exponential(2.0, size=60)
        low, high = Survival.of(np.minimum(times, ends), times <= ends).interval()
        hits += low is not None and low <= median and (high is None or median <= high)
    assert wilson(hits, 400, 0.999)[1] >= 0.95 and hits >= 360
    same = Survival.of(np.full(9, 7.0), np.ones(9, dtype=bool))
    assert same.median == 7 and same.interval() == (7, 7)
    none = Survival.of(np.full(9, 7.0), np.zeros(9, dtype=bool))
    assert none.median is None and none.interval() == (None, None)


def test_exponents_of_power_laws_and_what_has_none() -> None:
    rng = np.random.default_rng(3)
    over = {"dimension": [10.0, 10, 100, 100], "1/gap": [5.0, 20, 5, 20]}
    times = [
        np.round(30 * d**0.25 * g**1.5 * rng.lognormal(sigma=0.3, size=200))
        for d, g in zip(over["dimension"], over["1/gap"], strict=True)
    ]
    every = [np.ones(200, dtype=bool)] * 4
    first, second = exponents("rule", over, times, every, np.random.default_rng(0), draws=200)
    assert (first.over, second.over) == ("dimension", "1/gap") and first.values == (10.0, 100.0)
    assert first.low < 0.25 < first.high and second.low < 1.5 < second.high
    assert first.high - first.low < 0.15 and not first.low < 0.5 < first.high  # it can tell other powers apart
    never = [np.zeros(200, dtype=bool), *every[1:]]
    assert all(e.value is None for e in exponents("rule", over, times, never, rng))
    tied = {"dimension": [10.0, 100], "1/gap": [5.0, 20]}  # which of the two it was cannot be said
    assert all(e.value is None for e in exponents("rule", tied, times[:2], every[:2], rng))
    assert exponents("rule", {"dimension": [10.0, 10]}, times[:2], every[:2], rng) == ()


def test_refusals() -> None:
    with pytest.raises(InputError, match="5 successes of 3 trials"):
        wilson(5, 3)
    with pytest.raises(InputError, match=r"level=1.0"):
        wilson(1, 3, 1.0)
    with pytest.raises(InputError, match="give as many numbers as outcomes"):
        Survival.of(np.array([1.0, np.nan]), np.array([True, True]))
    with pytest.raises(InputError, match="a power law needs 2 positive values"):
        exponents("r", {"x": [0.0, 1.0]}, [np.ones(3)] * 2, [np.ones(3, bool)] * 2, np.random.default_rng(0))
