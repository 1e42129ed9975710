"""Two features by their mode equations, and z*: narrow slices of the reproduction."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.errors import InputError
from thalweg.reproductions import build


def test_modes_starvation_and_the_control() -> None:
    record = build("gradient_starvation", shares=(0.0, 1.0), rare=0.5, time=30.0, lr=0.1, start=0.05, steps=600)()
    rows = {row.claim: row for row in record.rows}
    assert rows["modes"].agrees and rows["modes"].ours < 0.05
    assert rows["dense"].ours > 10 * rows["modes"].ours  # units that see both features follow other equations
    assert rows["pace"].ours == pytest.approx(0.5, rel=0.01) and rows["sigmoid"].ours == 1
    assert rows["left_1"].ours < 0.5 < rows["left_0"].ours == 1
    assert np.ptp(record.data["u2.0"]) > 1


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="whole numbers"):
        build("gradient_starvation", rare=0.215)
    with pytest.raises(InputError, match="lr=0"):
        build("gradient_starvation", lr=0)
