"""The octopus' counts and laws, at sizes that run in seconds."""

import numpy as np
import pytest

from thalweg.errors import InputError
from thalweg.records import ReproductionStatus
from thalweg.reproductions import build
from thalweg.reproductions.passages import median, slope


def test_medians_and_the_ratio_are_found_again() -> None:
    record = build("du_2017", d=4, L=1.5, starts=300, reference=20_000)(rng=1)
    rows = {row.claim: row for row in record.rows}
    assert set(rows) == {"gd_median", "ratio", "loop_differs", "pgd_median"}
    assert record.status is ReproductionStatus.AGREES, record.rows
    assert rows["loop_differs"].ours == 0
    low, high = rows["gd_median"].interval
    assert low < rows["gd_median"].ours < high and high / low < 1.3
    assert record.data["steps"].shape == record.data["kicked"].shape == (300, 4)
    # Exponential against linear: the last saddle takes more than all before it, and no longer than another.
    last = [np.diff(record.data[name])[-1] / record.data[name][-2] for name in ("gd", "pgd")]
    assert last[0] > 2 and last[1] < 0.6


def test_an_independent_count_is_compared_where_there_is_one() -> None:
    record = build("du_2017", starts=100)()
    rows = {row.claim: row for row in record.rows}
    assert rows["pgd_median"].published == 112 and rows["pgd_median"].agrees and rows["pgd_law"].agrees


def test_settings_are_refused_with_their_values() -> None:
    for wrong, said in (({"d": 1}, "d=1"), ({"L": 0.5}, r"L=0\.5"), ({"starts": 5}, "starts=5")):
        with pytest.raises(InputError, match=said):
            build("du_2017", **wrong)


def test_medians_of_censored_times_and_slopes() -> None:
    times = np.arange(1.0, 12.0)
    assert median(times)[0] == 6 and median(times)[1][0] < 6 < median(times)[1][1]
    assert np.isnan(median(times, times < 4)[0]) and median(times, times < 4)[1][1] == np.inf
    x = np.linspace(0, 1, 1000)
    found, error = slope(x, 3 * x + np.random.default_rng(0).normal(size=1000))
    assert error == pytest.approx(12**0.5 / 1000**0.5, rel=0.1) and abs(found - 3) < 4 * error
