"""Lines from start to end: a narrow slice of the reproduction."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.errors import InputError
from thalweg.reproductions import build
from thalweg.trajectories.lines import LinesToEnd


def test_rows_are_those_of_the_lines_kept() -> None:
    settings = {"hidden": (8,), "rates": (0.1, 0.3), "adam": (0.01, 0.2), "points": 9, "steps": 60, "seeds": 4}
    record = build("goodfellow_2015", **settings)()
    rows = {row.claim: row for row in record.rows}
    for name in ("sgd_0.3", "adam_0.2", "adam_0.01_batchnorm"):
        lines = record.data[f"{name}.lines"]
        assert lines.shape == (4, 9) and np.ptp(lines[:, 0]) > 0
        assert rows[name].ours == pytest.approx(LinesToEnd(lines).monotone.sum() / LinesToEnd(lines).trained.sum())
    assert record.data["adam_0.2.far"].min() > record.data["adam_0.01.far"].max() > 0
    assert max(record.data["adam_0.2.bump"]) > 0 and -1 <= rows["distance"].ours <= 1
    assert rows["batchnorm"].agrees == (rows["batchnorm"].interval[0] > 0)  # type: ignore[index]


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="seeds=3"):
        build("goodfellow_2015", seeds=3)
    with pytest.raises(InputError, match="two positive rates"):
        build("goodfellow_2015", rates=(0.1, 0.1))
