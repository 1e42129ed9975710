"""Saddle-free Newton: every row agrees with its law, and a law that is wrong would not."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.errors import InputError
from thalweg.plot import draw
from thalweg.records import ReproductionStatus
from thalweg.reproductions import build
from thalweg.reproductions.saddle_free import SaddleFreeNewton


def test_every_law_is_found_again() -> None:
    record = SaddleFreeNewton(gaps=(0.4, 0.2), dimension=6, starts=30)()
    rows = {row.claim: row for row in record.rows}
    assert record.status is ReproductionStatus.AGREES and all(row.agrees for row in rows.values())
    assert rows["doubling_0.4"].ours == rows["doubling_0.4"].published < 13
    assert rows["power_gradient_descent"].ours > 0.8 > 0.2 > abs(rows["power_saddle_free"].ours)
    low, high = rows["power_gradient_descent"].interval
    assert low > 0 and high - low < 0.5  # narrow enough to tell one law from the other
    assert rows["gradient_seed_escapes"].interval[1] < 0.15
    assert np.isfinite(record.data["gradient_descent.ours"]).all() and len(draw(record).axes) == 2


def test_refusals() -> None:
    with pytest.raises(InputError, match="give at least two different ones between 0 and 1"):
        build("saddle_free", gaps=(0.1,))
    with pytest.raises(InputError, match=r"radius between 0 and 0\.1"):
        build("saddle_free", radius=0.5)
