"""Rows of reproductions: shares and correlations with their intervals, judged by both ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from thalweg.reproductions.parts import above_zero, below_zero, rank_row, share_row


@given(st.integers(1, 200), st.data())
def test_a_share_has_wilson_s_interval(many: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, many))
    row = share_row("a", "b", count, many, 0.5, lambda low, high: low <= 0.5 <= high)
    wanted = stats.binomtest(count, many).proportion_ci(0.95, "wilson")
    assert row.ours == count / many and row.interval == pytest.approx(tuple(wanted), abs=1e-9)
    assert row.agrees == (wanted.low <= 0.5 <= wanted.high)
    assert share_row("a", "b", count, many).agrees is None


def test_a_rank_correlation_is_judged_by_its_interval() -> None:
    x = np.arange(40.0)
    up, noise = x + 6 * np.sin(7 * x), np.sin(50 * x**2)
    row = rank_row("a", "b", x, up, above_zero)
    assert row.ours == pytest.approx(stats.spearmanr(x, up).statistic) and row.agrees is True
    half = 2 / 37**0.5
    assert np.arctanh(row.interval) == pytest.approx([np.arctanh(row.ours) - half, np.arctanh(row.ours) + half])
    assert (
        rank_row("a", "b", x, -up, below_zero).agrees is True and rank_row("a", "b", x, -up, above_zero).agrees is False
    )
    assert rank_row("a", "b", x, noise, above_zero).agrees is False
