"""Connect: one table over methods, reasons for those that do not apply, and an interruption that loses no method."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.paths.test_string import Stopping
from thalweg.errors import InputError
from thalweg.paths import METHODS, Connect, connect
from thalweg.plot import DARK, LIGHT, interactive, static
from thalweg.records import Connection, PathStatus, pack, unpack
from thalweg.zoo import digits, polynomial, scalar_factorisation

CHEAP = ("straight", "string")


def nets() -> tuple[tw.EmpiricalRisk, torch.Tensor, torch.Tensor]:
    return polynomial(), polynomial(seed=0).initial.theta, polynomial(seed=5).initial.theta


def test_the_default_level_is_the_worse_end_and_five_per_cent() -> None:
    objective, a, b = nets()
    found = connect(objective, a, b, method="straight")
    worse = max(found.ends)
    assert found.level == pytest.approx(worse * 1.05 + 1e-9) and found.rows[0].level == found.level
    assert found.rows[0].method == "straight" and found.rows[0].status.name in ("CONNECTED", "INCONCLUSIVE")
    row = found.rows[0]
    assert row.beads == 2 and row.length == pytest.approx(1) and row.evaluations > 0 and row.lower_bound is None


def test_separated_points_are_never_connected_by_any_method() -> None:
    found = connect(scalar_factorisation(), torch.ones(2), -torch.ones(2), method="all", level=0.5, budget=300)
    assert found.rows and all(row.status is not PathStatus.CONNECTED for row in found.rows)
    assert all(row.status is PathStatus.SEPARATED and row.lower_bound == pytest.approx(1) for row in found.rows)
    assert all(row.maximum.lower >= 1 - 1e-4 for row in found.rows)  # what a refined search evaluates near the pole
    assert set(found.skipped) | {row.method for row in found.rows} == set(METHODS)
    assert all(reason and "\n" not in reason for reason in found.skipped.values())


def test_a_method_that_does_not_apply_is_skipped_with_its_reason_or_refused_when_alone() -> None:
    function, ends = scalar_factorisation(), (torch.ones(2), torch.tensor([2.0, 0.5]))
    found = connect(function, *ends, method=("straight", "weight_matching"))
    assert [row.method for row in found.rows] == ["straight"] and "weight_matching" in found.skipped
    with pytest.raises(tw.errors.ThalwegError):
        connect(function, *ends, method="weight_matching")
    with pytest.raises(InputError, match="'teleport' is unknown"):
        connect(function, *ends, method="teleport")


def test_budgets_are_counted_for_each_method() -> None:
    objective, a, b = nets()
    found = connect(
        objective, a, b, method=CHEAP, level=1e-3 + max(connect(objective, a, b, "straight").ends), budget=40
    )
    by = {row.method: row for row in found.rows}
    assert 0 < by["straight"].evaluations < 60  # what reports the path is counted and never refused
    assert found.cost.units >= sum(row.evaluations for row in found.rows)


def test_a_certificate_bounds_every_point() -> None:
    objective, other = digits(hidden=(8,)), digits(seed=1, hidden=(8,)).initial.theta
    found = connect(objective, objective.initial.theta, other, method="straight", certify=True)
    (row,) = found.rows
    assert row.guarantee.value in ("certified", "exact")
    t = torch.linspace(0, 1, 501, dtype=torch.float64)[:, None]
    a, b = objective.initial.theta.double(), other.double()
    dense = float(objective.to(torch.float64).losses(a + t * (b - a)).max())
    assert row.maximum.lower <= dense * (1 + 1e-6) and dense <= row.maximum.upper + row.maximum.slack


def test_an_interruption_loses_no_finished_method() -> None:
    objective, a, b = nets()
    method = Connect(CHEAP, level=0.9 * max(connect(objective, a, b, "straight").ends) + 1)
    whole = method(objective, a, b)
    stopped = Stopping(1)
    with pytest.raises(KeyboardInterrupt):
        method(objective, a, b, evaluate=stopped)
    again = method(objective, a, b, evaluate=Stopping(None, stopped.kept))
    assert [row.method for row in again.rows] == list(CHEAP)
    for name, x in whole.data.items():
        assert np.array_equal(x, again.data[name], equal_nan=True), name


def test_a_connection_is_read_back_and_drawn_in_both_themes() -> None:
    objective, a, b = nets()
    record = connect(objective, a, b, method=CHEAP)
    again = unpack(*pack(record))
    assert isinstance(again, Connection) and again.rows == record.rows and again.skipped == record.skipped
    assert record.baselines["affine"] < record.baselines["constant"]
    for theme in (LIGHT, DARK):
        assert static.render(record, "png", theme, dpi=40).startswith(b"\x89PNG")
    views = interactive.views(record)
    assert [view["name"] for view in views] == ["Profiles", "Length against level"]
    names = [trace["name"] for trace in views[0]["data"]]
    assert {"straight", "string"} <= set(names) and any(name.startswith("level") for name in names)
    lines = {line.get_label() for line in static.draw(record).axes[0].lines}
    assert {"straight", "string"} <= lines
    spots = {trace["name"]: trace for trace in views[1]["data"] if trace["mode"] == "markers+text"}
    for row in record.rows:
        assert spots[row.method]["x"] == [row.length]
        assert spots[row.method]["y"] == [pytest.approx(row.maximum.lower, rel=1e-7)]


def test_the_growth_of_a_string_is_drawn() -> None:
    from tests.paths.test_string import FAST, at, ring

    path = tw.paths.StringSearch(level=0.01, rule=FAST)(tw.Function(ring, 2), at(0.0), at(2.5))
    profile, growth = interactive.views(path)
    assert profile["name"] == "Profile" and growth["name"] == "Growth"
    depths = [trace["name"] for trace in growth["data"] if trace["mode"] == "lines"][:-1]
    assert depths[0] == "depth 0: 0 beads" and len(depths) == path.data["bead_depth"].max() + 1
    straight = growth["data"][0]
    assert max(straight["y"]) == pytest.approx(np.nanmax(path.data["segment_losses"][0]))
    for theme in (LIGHT, DARK):
        assert static.render(path, "png", theme, dpi=40).startswith(b"\x89PNG")
