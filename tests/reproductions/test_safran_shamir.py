"""The rows that do not need many descents, a slice of those that do, and a run that is interrupted."""

import math

import numpy as np
import pytest

from thalweg.core.evaluate import Evaluator, Inline
from thalweg.core.metered import Budget
from thalweg.errors import BudgetSpent, InputError
from thalweg.records import ReproductionStatus
from thalweg.reproductions import build
from thalweg.reproductions.safran_shamir import RATES, RUNS, spread
from thalweg.theory.spurious.safran_shamir_ends import Ends


class Kept(Evaluator):
    """Keeps every state, and stops after some steps of a descent."""

    def __init__(self, until: int | None = None) -> None:
        self.state, self.until, self.steps = None, until, 0

    def __call__(self, plan):
        return Inline()(plan)

    def checkpoint(self, state) -> None:
        self.state = {name: np.array(x) for name, x in state.items()}

    def restore(self):
        return self.state

    def progress(self, done: int, total: int) -> None:
        self.steps += 1
        if self.until is not None and self.steps == self.until:
            raise KeyboardInterrupt


def test_the_rows_of_six_and_of_five_units() -> None:
    six, five = (build("safran_shamir", k=k, seeds=0)() for k in (6, 5))
    rows = {row.claim: row for row in six.rows}
    assert list(rows) == ["value", "smallest_eigenvalue", "radius"]
    assert rows["value"].ours == pytest.approx(0.0250805810, abs=1e-9)
    assert rows["smallest_eigenvalue"].ours == pytest.approx(0.0047003547, abs=1e-9)
    assert 0 < rows["radius"].ours < 1e-10 and rows["radius"].agrees
    assert six.status is ReproductionStatus.AGREES and six.cost.backwards == 0
    below = {row.claim: row for row in five.rows}
    assert below["smallest_eigenvalue"].ours == pytest.approx(-0.0077015, abs=1e-6)
    assert math.isnan(below["radius"].ours) and below["radius"].agrees is None
    assert five.status is ReproductionStatus.UNCOMPARED


def test_the_picture_shows_three_critical_points_and_the_walls_between() -> None:
    record = build("safran_shamir", k=7, seeds=0)()
    marks, line, plane = (record.data[name] for name in ("plane.marks", "line", "plane"))
    value = record.rows[0].ours
    half = len(line) // 2
    assert line[[0, half, -1]] == pytest.approx([value, 0, value], abs=1e-12)
    assert line[:half].max() > 2 * value and line[half:].max() > 2 * value
    assert marks[1] == pytest.approx([0, 0], abs=1e-12) and marks[0, 1] == pytest.approx(-marks[2, 1])
    assert plane.shape == (81, 81) and plane.min() < 1e-2 < plane.max()
    assert {panel.column for panel in record.panels} == {0, 1}


def test_descents_are_counted_and_one_that_was_interrupted_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # Bits depend on the backend, and which one is taken on the clock.
    monkeypatch.setattr("thalweg.core.backends.choice._Trial._seconds", lambda *_: 1e-4)
    method = build("safran_shamir", k=(10, 9), seeds=6, lr=0.4, steps=1200)
    whole = method(rng=0)
    rows = {row.claim: row for row in whole.rows}
    assert rows["bad_rate@10"].published == RATES[10] and 0 < rows["bad_rate@10"].ours < 1
    assert rows["bad_rate@9"].ours in [i / 6 for i in range(7)] and str(RUNS) in rows["bad_rate@9"].source
    assert whole.panels[-1].arrays[1] == "bad_rate.ours" and whole.data["bad_rate.x"].tolist() == [9, 10]
    assert whole.data["10.bad"].shape == (6,) and whole.data["ended"].shape == (6,)
    bad, left = (whole.data[f"10.{name}"] > 0 for name in ("bad", "undecided"))
    assert (whole.data["10.minima"][bad] > 0.01).all() and (whole.data["10.losses"][~bad & ~left] <= 1e-7).all()
    keeper = Kept(until=300)
    with pytest.raises(KeyboardInterrupt):
        method(rng=0, evaluate=keeper)
    keeper.until = None
    again = method(rng=0, evaluate=keeper)
    for name, array in whole.data.items():
        if name.endswith((".minima", ".radii", ".curvatures")):
            # Newton's last steps and an eigensolver: two runs in one process already differ in their last bits.
            # A radius is made of rounding alone: it is held against the size of a point, which is above 1.
            atol = 1e-13 if name.endswith(".radii") else 0
            np.testing.assert_allclose(again.data[name], array, rtol=1e-10, atol=atol, err_msg=name)
        else:
            np.testing.assert_array_equal(again.data[name], array, err_msg=name)
    assert again.cost.backwards == whole.cost.backwards


@pytest.mark.slow
def test_a_tenth_of_the_published_runs_is_decided_and_agrees() -> None:
    rows = {row.claim: row for row in build("safran_shamir", k=9, seeds=100)().rows}
    assert rows["bad_rate"].agrees and rows["undecided"].ours == 0


def test_another_seed_draws_other_starts_and_wider_networks_have_rows_of_their_own() -> None:
    method = build("safran_shamir", k=6, more=1, seeds=3, steps=300)
    one = method(rng=0)
    rows = {row.claim: row for row in one.rows}
    assert list(rows) == ["bad_rate", "undecided"] and rows["bad_rate"].published is None
    assert [panel.column for panel in one.panels] == [0]
    other = method(rng=1)
    assert not np.array_equal(one.data["6.losses"], other.data["6.losses"])


def test_few_steps_leave_ends_undecided_and_the_interval_says_so() -> None:
    record = build("safran_shamir", k=6, seeds=4, steps=3)()
    rows = {row.claim: row for row in record.rows}
    assert rows["undecided"].ours == 1 and rows["bad_rate"].ours == 0 and rows["bad_rate"].interval[1] == 1


def test_a_rate_agrees_within_three_standard_errors_of_the_difference() -> None:
    def ends(count: int) -> Ends:
        bad = np.arange(1000) < count
        nothing = np.full(1000, np.nan)
        return Ends(nothing, bad, np.zeros(1000, dtype=bool), nothing, nothing, nothing)

    assert spread(ends(126), 0.126) == pytest.approx(math.sqrt(2 * 0.126 * 0.874 / 1000))
    assert abs(ends(170).share - 0.126) < 3 * spread(ends(170), 0.126)
    assert abs(ends(180).share - 0.126) > 3 * spread(ends(180), 0.126)


def test_budgets_and_what_is_refused() -> None:
    with pytest.raises((BudgetSpent, InputError), match=r"k=3"):
        build("safran_shamir", k=3)
    for given in (
        {"seeds": -1},
        {"lr": 0.0},
        {"k": (6, 6)},
        {"k": 51},
        {"k": ()},
        {"k": 6.5},
        {"steps": 0},
        {"more": -1},
    ):
        with pytest.raises(InputError):
            build("safran_shamir", **given)
    record = build("safran_shamir", k=6, seeds=4)(budget=Budget(gradients=100))
    assert record.cost.backwards <= 100 and {r.claim: r.ours for r in record.rows}["undecided"] == 1
