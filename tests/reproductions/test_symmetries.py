"""Orders and signs of units: counted, visited, and told from what changes F."""

from __future__ import annotations

import math

import pytest

from thalweg.errors import InputError
from thalweg.reproductions import build


def test_copies_are_counted_visited_and_scaled() -> None:
    record = build("symmetries", hidden=(2, 2), widths=(3, 6), starts=4, steps=20)()
    rows = {row.claim: row for row in record.rows}
    assert rows["copies"].ours == 64 and rows["change"].ours < 1e-12 and record.data["teacher"] < 1e-25
    assert rows["orders"].ours == pytest.approx(math.log10(720)) and rows["exponential"].agrees
    assert rows["convolution_copies"].ours == 96 and rows["attention_copies"].ours == 768
    for name in ("convolution", "attention"):
        assert rows[f"{name}_change"].ours < 1e-12 and rows[f"{name}_control"].ours > 1e-3
        low, high = rows[f"{name}_funnel"].interval or (0.0, 0.0)
        assert 0.9 < low <= rows[f"{name}_funnel"].ours <= high
    assert rows["free_scales"].ours == 6 and rows["scale_change"].agrees and rows["scale_control"].ours > 1e-3


def test_too_many_copies_are_refused() -> None:
    with pytest.raises(InputError, match="copies"):
        build("symmetries", hidden=(7, 7))
