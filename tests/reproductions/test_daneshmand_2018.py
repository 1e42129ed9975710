"""Noise along negative curvature against noise in every direction, at sizes that run in seconds."""

import pytest

from thalweg.errors import InputError
from thalweg.records import ReproductionStatus
from thalweg.reproductions import build
from thalweg.reproductions.daneshmand_2018 import Daneshmand2018


@pytest.mark.slow
def test_the_times_are_those_of_the_law() -> None:
    record = build("daneshmand_2018", dimensions=(4, 12, 36), lr=0.2, starts=200, draws=30)(rng=1)
    rows = {row.claim: row for row in record.rows}
    assert set(rows) == {"slope_sphere", "steps_sphere", "slope_row", "steps_row", "lemma", "energy"}
    assert record.status is ReproductionStatus.AGREES, record.rows
    assert rows["lemma"].ours >= 1 and len(record.data["lemma"]) > 20
    assert rows["slope_sphere"].interval[0] > 0  # it grows with d: the interval excludes what the other noise does


def test_a_law_of_another_noise_is_not_found() -> None:
    """The control: sphere noise is not as fast as a row's, and the law says by how much."""
    method = Daneshmand2018(lr=0.2, starts=200)
    time, error = method.passed("sphere", 36, rng=2)
    assert abs(time - method.law("sphere", 36)) <= error < abs(time - method.law("row", 36))


def test_settings_are_refused_with_their_values() -> None:
    for wrong, said in (
        ({"dimensions": (4, 12)}, "dimensions"),
        ({"lr": 1.5}, r"lr=1\.5"),
        ({"starts": 5}, "starts=5"),
    ):
        with pytest.raises(InputError, match=said):
            build("daneshmand_2018", **wrong)
