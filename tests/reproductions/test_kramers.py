"""Escape times beside the quadrature, with another well as the control."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction, ReproductionStatus
from thalweg.reproductions import build
from thalweg.reproductions.passages import slope, slope_error

WELLS: dict[str, Any] = {"barriers": (0.5, 0.8, 1.1), "tops": (0.0, 0.7, 1.4), "widths": (0.7, 1.0, 1.4)}


def _rows(record: Reproduction) -> dict[str, Finding]:
    return {row.claim: row for row in record.rows}


@pytest.fixture(scope="module")
def escapes() -> Reproduction:
    return build("kramers", **WELLS, fixed=0.6, walkers=120, step=0.1)(rng=1)


def test_escape_times_are_those_of_the_quadrature(escapes: Reproduction) -> None:
    rows = _rows(escapes)
    wells = [row for name, row in rows.items() if not name.startswith(("exponent", "exact"))]
    assert len(wells) == 9 and sum(bool(row.agrees) for row in wells) >= 8  # each interval misses 3 in 1,000 times
    assert rows["exact_top"].agrees and rows["exact_width"].published == pytest.approx(-1, abs=1e-6)
    assert -0.7 < rows["exact_top"].published < -0.2  # type: ignore[operator]


def test_the_quadrature_of_another_well_is_not_met(escapes: Reproduction) -> None:
    """The control: times across one barrier against the exact mean of one 2.2 times as high."""
    times, off = escapes.data["barrier.times"][0], math.exp(escapes.data["barrier.exact"][2])
    assert abs(times.mean() - off) > 3 * times.std(ddof=1) / math.sqrt(len(times))


def test_an_inverse_proportion_is_not_found_where_wells_keep_their_shape(escapes: Reproduction) -> None:
    assert escapes.status is ReproductionStatus.DIFFERS and not _rows(escapes)["exponent_top"].agrees


def test_the_error_of_a_slope_is_that_of_values_drawn_again() -> None:
    x, errors, generator = np.array([0.0, 1.0, 3.0, 7.0]), np.array([0.5, 0.1, 0.2, 0.4]), np.random.default_rng(0)
    drawn = [slope(x, 2 * x + errors * generator.normal(size=4))[0] for _ in range(8000)]
    assert np.std(drawn) == pytest.approx(slope_error(x, errors), rel=0.04)
    assert np.std(drawn) != pytest.approx(slope_error(x, np.full(4, errors.mean())), rel=0.04)


def test_settings_are_refused_with_their_values() -> None:
    with pytest.raises(InputError, match="tops"):
        build("kramers", tops=(0.0, 1.0, 2.0))
