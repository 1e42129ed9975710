"""Mixtures equal plain averages of parameters; corners, ends and marks are exact to the last bit."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.conftest import DictConvNet, conv_data
from tests.study.test_cli import answer, refused
from thalweg.core.recorded import Recorded
from thalweg.errors import BudgetSpent, InputError
from thalweg.plot import DARK, LIGHT, Theme, interactive, static
from thalweg.plot.simplexes import faces
from thalweg.records import SimplexSurface, SliceStatus, pack, unpack
from thalweg.slices import Line, Plane, Simplex
from thalweg.slices.simplex import lattice
from thalweg.store import Directory


def points(count: int, **given: object) -> tuple[tw.EmpiricalRisk, list[tw.Point]]:
    risks = [tw.zoo.digits(seed=s, **given) for s in range(count)]
    return risks[0], [tw.Point(r.initial.theta, None, f"seed {s}") for s, r in enumerate(risks)]


@given(divisions=st.integers(1, 9), count=st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_the_lattice_is_every_way_to_share_out(divisions: int, count: int) -> None:
    found = lattice(divisions, count)
    assert len(found) == math.comb(divisions + count - 1, count - 1) == len({tuple(row) for row in found.tolist()})
    assert (found >= 0).all() and (found.sum(axis=1) == divisions).all()
    assert found[0].tolist() == [divisions, *[0] * (count - 1)]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_mixtures_are_averages_of_parameters(count: int) -> None:
    risk, given = points(count, dtype=torch.float64)
    record = Simplex(steps=4)(risk, *given)
    thetas = torch.stack([p.theta for p in given])
    expected = risk.evaluate(torch.from_numpy(record.weights.copy()) @ thetas)
    np.testing.assert_allclose(record.loss, expected["loss"], rtol=1e-11)
    np.testing.assert_allclose(record.data["accuracy"], expected["accuracy"], atol=1e-12)
    assert record.loss.size == math.comb(3 + count - 1, count - 1) and record.status is SliceStatus.COMPLETE
    assert record.cost.forwards == record.loss.size + count


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_corners_are_exact_to_the_last_bit(dtype: torch.dtype) -> None:
    risk, given = points(3, dtype=dtype)
    record = Simplex(steps=5)(risk, *given)
    for i, (point, mark) in enumerate(zip(given, record.marks, strict=True)):
        alone = float(risk.losses(point.theta[None])[0])
        assert mark.loss == alone and record.loss[record.weights[:, i] == 1].tolist() == [alone]
        assert mark.coordinates == tuple(float(i == j) for j in range(3)) and mark.name == point.name
    # the control: adding the difference back is not the point itself
    back = given[0].theta + (given[1].theta - given[0].theta)
    assert not torch.equal(back, given[1].theta)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ends_of_a_line_and_points_of_a_plane_are_exact_where_the_grid_holds_them(dtype: torch.dtype) -> None:
    risk, given = points(3, dtype=dtype)
    alone = [float(risk.losses(p.theta[None])[0]) for p in given]
    line = Line(steps=5)(risk, *given[:2])
    assert [line.loss[0], line.loss[-1]] == alone[:2] == [m.loss for m in line.marks]
    wide = Line(steps=7, margin=0.25)(risk, *given[:2])
    assert wide.loss[[1, 5]].tolist() == alone[:2]
    plane = Plane(steps=7, margin=0.25)(risk, *given)
    assert [plane.loss[1, 1], plane.loss[5, 1], plane.loss[1, 5]] == alone == [m.loss for m in plane.marks]
    between = Plane(steps=(7, 3), margin=0.25)(risk, *given[:2])
    assert [between.loss[1, 1], between.loss[5, 1]] == alone[:2]
    without = Plane(steps=6, margin=0.25)(risk, *given)  # the grid misses them: the marks say what F is there
    assert [m.loss for m in without.marks] == alone


def test_a_convex_function_has_no_barrier_and_a_saddle_has_one() -> None:
    corners = [torch.tensor(c, dtype=torch.float64) for c in ([1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0])]
    bowl = tw.Function(lambda x: x.square().sum(), 3)
    record = Simplex(steps=7)(bowl, *corners)
    assert (
        record.barrier == 0
        and record.lowest[0] == pytest.approx(1 / 3)
        and record.lowest[1] == (pytest.approx(1 / 3),) * 3
    )
    hill = tw.Function(lambda x: -x.square().sum(), 3)
    assert Simplex(steps=7)(hill, *corners).barrier == pytest.approx(2 / 3)
    assert "0.6667 above the mixture of their losses" in Simplex(steps=7)(hill, *corners).summary


def test_what_is_not_finite_is_kept() -> None:
    pole = tw.Function(lambda x: 1 / (x[0] - 0.5), 2)
    record = Simplex(steps=3)(pole, *(torch.tensor(c, dtype=torch.float64) for c in ([0.0, 0], [1.0, 0], [0.0, 1.0])))
    assert record.status is SliceStatus.NONFINITE and record.nonfinite == 2
    assert static.render(record, "png", dpi=40).startswith(b"\x89PNG")


def test_statistics_are_recalibrated_at_mixtures() -> None:
    torch.manual_seed(0)
    risk = tw.EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data())
    moved = [risk.point(risk.initial.theta + 0.1 * torch.randn_like(risk.initial.theta), f"m{i}") for i in range(2)]
    record = Simplex(steps=3)(risk, risk.initial, *moved)
    assert record.provenance.statistics == "recalibrate" and np.isfinite(record.loss).all()


def test_an_interrupted_simplex_goes_on_bit_for_bit(tmp_path: Path) -> None:
    risk, given = points(3)
    whole = Simplex(steps=9)(risk, *given)
    with Directory.open(tmp_path / "d", {"command": "simplex"}, resume=False) as directory:
        evaluate = Recorded("simplex", directory.ledger, directory.sink, task_size=6)
        with pytest.raises(BudgetSpent):
            Simplex(steps=9)(risk, *given, evaluate=evaluate, budget=tw.Budget(gradients=9))
        resumed = Simplex(steps=9)(risk, *given, evaluate=evaluate)
        directory.save_record("simplex", resumed)
        stored = directory.load_record("simplex")
    assert isinstance(stored, SimplexSurface)
    np.testing.assert_allclose(stored.loss, whole.loss, rtol=1e-6)
    assert stored.summary == resumed.summary and unpack(*pack(stored)).summary == stored.summary


def test_what_is_no_simplex_is_refused() -> None:
    bowl = tw.Function(lambda x: x.square().sum(), 3)
    a, b = torch.zeros(3), torch.ones(3)
    with pytest.raises(InputError, match="1 points: give at least two"):
        Simplex()(bowl, a)
    with pytest.raises(InputError, match="are the same"):
        Simplex()(bowl, a, a.clone())
    with pytest.raises(InputError, match="fewer than 2 directions"):
        Simplex()(bowl, a, b, 2 * b)
    with pytest.raises(InputError, match="mixtures: use fewer steps"):
        Simplex(steps=3000)(bowl, a, b, torch.tensor([1.0, 0, 0]))
    with pytest.raises(InputError, match="steps=1"):
        Simplex(steps=1)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_both_kinds_of_figure(count: int, theme: Theme) -> None:
    corners = torch.eye(6, dtype=torch.float64)[:count]
    record = Simplex(steps=5)(tw.Function(lambda x: (x[0] - 2 * x[1] + 3 * x[-1]).sin() + 2, 6), *corners)
    assert static.render(record, "png", theme, dpi=40).startswith(b"\x89PNG")
    found = interactive.views(record, theme)
    assert len(found) == {2: 1, 3: 1, 4: 4, 5: 6}[count]
    for view in found:
        go.Figure({"data": view["data"], "layout": view["layout"]})


def test_every_value_stands_where_its_mixture_is() -> None:
    """F = weight of the third point: level along the base, rising to the top corner."""
    record = Simplex(steps=5)(tw.Function(lambda x: x[2], 3), *torch.eye(3, dtype=torch.float64))
    (face,) = faces(record)
    np.testing.assert_allclose(face.places[:, 1], math.sqrt(0.75) * record.loss[face.rows], atol=1e-12)
    assert len(face.triangles) == 16
    areas = [
        abs(np.linalg.det(np.stack([b - a, c - a]))) / 2
        for a, b, c in (face.places[triangle] for triangle in face.triangles)
    ]
    np.testing.assert_allclose(areas, math.sqrt(0.75) / 2 / 16)  # they tile the triangle
    four = Simplex(steps=4)(tw.Function(lambda x: x[2], 4), *torch.eye(4, dtype=torch.float64))
    assert [face.corners for face in faces(four)] == [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(capsys, "train", "polynomial", "--steps", 5, "--count", 3, "--out", tmp_path / "run")
    files = [x for b in range(3) for x in ("--checkpoint", tmp_path / "run" / f"final-{b}.safetensors")]
    found = answer(capsys, "simplex", "polynomial", *files, "--steps", 4, "--out", tmp_path / "s")
    assert found["points"] == 10 and list(found["corners"]) == ["final-0", "final-1", "final-2"]
    assert found["lowest"]["loss"] <= min(found["corners"].values()) and found["barrier"] >= 0
    assert (tmp_path / "s" / "simplex.png").is_file()
    initial = answer(capsys, "simplex", "polynomial", "--steps", 3)
    assert list(initial["corners"]) == ["seed 0", "seed 1", "seed 2"]
    assert "--count 1" in refused(capsys, "simplex", "polynomial", "--count", 1)


def test_a_simplex_shows_the_test_rows_beside() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).double()
    x, y = torch.randn(40, 4).double(), torch.randint(0, 3, (40,))
    test = torch.randn(11, 4).double(), torch.randint(0, 3, (11,))
    accuracy = {"accuracy": tw.accuracy}
    risk = tw.EmpiricalRisk(model, torch.nn.CrossEntropyLoss(), (x, y), metrics=accuracy, test=test)
    points = [risk.initial.theta + torch.randn(risk.space.size).double() for _ in range(3)]
    record = Simplex(steps=4)(risk, *points)
    mixtures = torch.from_numpy(record.weights.copy()) @ torch.stack(points)
    held = risk.test.evaluate(mixtures)
    np.testing.assert_allclose(record.data["test_loss"], held["loss"], rtol=1e-10)
    np.testing.assert_allclose(record.data["test_accuracy"], held["accuracy"])
    assert record.test_rows == 11 and abs(record.data["test_loss"] - record.loss).max() > 1e-3
