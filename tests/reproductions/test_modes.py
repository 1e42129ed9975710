"""Mode connectivity of two papers on a small scale: rows, their rules, and what is not compared."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.errors import InputError
from thalweg.records import ReproductionStatus
from thalweg.reproductions import build


def test_saddles_lie_far_below_straight_segments() -> None:
    record = build("draxler_2018", minima=2, hidden=(24,), most=1, steps=60, gradients=1500.0)()
    rows = {row.claim: row for row in record.rows}
    assert rows["minima_loss"].agrees is None and rows["saddle_loss"].published == 0.0324
    assert rows["saddle_loss"].ours >= rows["minima_loss"].ours
    low, walls = record.data["minima"].mean(), record.data["straight.points"].mean()
    share = (rows["saddle_loss"].ours - low) / (walls - low)
    assert rows["barrier_share"].ours == pytest.approx(share) and rows["barrier_share"].agrees == (share <= 0.1)
    # A negative control: without work the path is the straight segment, and the claim does not hold.
    idle = build("draxler_2018", minima=2, hidden=(24,), most=1, steps=60, gradients=3.0)()
    assert idle.status is ReproductionStatus.DIFFERS
    with pytest.raises(InputError, match="minima=1"):
        build("draxler_2018", minima=1)


def test_curves_stay_at_the_level_of_their_ends() -> None:
    record = build("garipov_2018", steps=90, fit=900)()
    rows = {row.claim: row for row in record.rows}
    assert list(rows) == ["bezier_level", "polychain_level", "straight_level", "cyclic_gain", "search_gain"]
    assert rows["straight_level"].ours > 2 and rows["bezier_level"].ours < 1.1
    assert rows["cyclic_gain"].agrees is None and rows["cyclic_gain"].interval is not None
    assert np.isfinite(record.data["bezier.test_loss"]).all() and "other data" in record.notes[0]
    with pytest.raises(InputError, match="test=0"):
        build("garipov_2018", test=0)
