"""Steps of a perturbed descent against ln d, at sizes that run in seconds."""

import numpy as np
import pytest

from thalweg.errors import InputError
from thalweg.records import ReproductionStatus
from thalweg.reproductions import build
from thalweg.reproductions.jin_2017 import Jin2017

SMALL = {"dimensions": (10, 40, 160), "gammas": (0.1, 0.2, 0.4), "gamma": 0.4, "starts": 200}


def test_slope_and_stuck_band_are_those_of_the_law() -> None:
    record = build("jin_2017", **SMALL)(rng=1)
    rows = {row.claim: row for row in record.rows}
    assert set(rows) == {"slope", "median_160", "exponent", "stuck", "unkicked"}
    assert record.status is ReproductionStatus.AGREES, record.rows
    assert rows["slope"].published == pytest.approx(1 / (2 * np.log(1.1)))
    assert rows["unkicked"].ours == 0 and rows["unkicked"].interval[1] < 0.02
    assert rows["stuck"].ours > 0  # the band is seen
    np.testing.assert_allclose(record.data["steps.ours"], record.data["steps.law"], atol=3)


def test_a_law_of_another_rate_is_not_found() -> None:
    """The control: the same passages against the law of half the step."""
    right, wrong = Jin2017(**SMALL), Jin2017(**SMALL, lr=0.125)
    steps = {d: wrong.passages(d, 0.4, rng=d) for d in right.dimensions}
    assert wrong.judged(steps)[0].agrees and not any(row.agrees for row in right.judged(steps))


def test_settings_are_refused_with_their_values() -> None:
    for wrong, said in (
        ({"dimensions": (5, 5, 6)}, "dimensions"),
        ({"radius": 2.0}, r"radius=2\.0"),
        ({"lr": 1}, "lr=1"),
    ):
        with pytest.raises(InputError, match=said):
            build("jin_2017", **wrong)
