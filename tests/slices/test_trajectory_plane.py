"""The plane of trajectories: least squares, several runs, what lies off it, and what noise would explain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg.core.rng import Stream
from thalweg.core.space import ParameterSpace
from thalweg.errors import InputError
from thalweg.records import Run, Surface
from thalweg.records.walk import verdict
from thalweg.slices import TrajectoryPlane, principal
from thalweg.slices.pca import components
from thalweg.slices.walk_null import expected_shares, simulated_shares, spread, walk_null, walk_shares


@pytest.fixture(scope="module")
def risk() -> tw.EmpiricalRisk:
    return tw.zoo.digits(dtype=torch.float64)


@pytest.fixture(scope="module")
def run(risk: tw.EmpiricalRisk) -> Run:
    return tw.descent.Descent(steps=40, batch=256)(risk, risk.initial)


def walk(points: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(points, size, generator=Stream(seed, ("test",)).torch()).cumsum(0)


@pytest.mark.parametrize("about", ["mean", "end"])
def test_the_plane_projects_the_path_by_least_squares(risk: tw.EmpiricalRisk, run: Run, about: str) -> None:
    thetas = torch.from_numpy(run.data["thetas"][:, 0].copy())
    record = TrajectoryPlane(steps=5, about=about)(risk, thetas)
    origin = thetas.mean(0) if about == "mean" else thetas[-1]
    _, values, rows = torch.linalg.svd(thetas - origin, full_matrices=False)
    rows = rows[:2]
    placed = (thetas - thetas[-1]) @ rows.T
    np.testing.assert_allclose(np.abs(record.data["path"]), placed.abs(), atol=1e-10)
    np.testing.assert_allclose(
        record.data["path_distance"], (thetas - thetas[-1] - placed @ rows).norm(dim=1), atol=1e-10
    )
    np.testing.assert_allclose(record.directions.explained, (values**2 / values.square().sum())[:2], rtol=1e-10)
    np.testing.assert_allclose(record.data["path_loss"], run.data["loss"][:, 0], rtol=1e-12)
    beneath = risk.losses(thetas[-1] + placed @ rows)
    np.testing.assert_allclose(record.data["path_projected"], beneath, rtol=1e-10)
    assert np.abs(record.data["path_projected"] - record.data["path_loss"]).max() > 1e-4  # the two are not the same
    low, high = record.data["path"].min(0), record.data["path"].max(0)
    for axis, lo, hi in zip(record.axes, low, high, strict=True):
        assert axis[0] <= lo and axis[-1] >= hi
    assert record.marks[0].distance == 0 and record.marks[0].loss == record.center_loss


def test_about_the_end_leaves_less_of_the_path_off_the_plane(risk: tw.EmpiricalRisk, run: Run) -> None:
    off = {
        about: (TrajectoryPlane(steps=2, about=about)(risk, run).data["path_distance"] ** 2).sum()
        for about in ("mean", "end")
    }
    assert off["end"] < off["mean"]


def test_components_hold_without_forming_differences_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    points = walk(7, 50).double()
    space = ParameterSpace.of_vector(50)
    whole, shares = components(space, points)
    monkeypatch.setattr("thalweg.slices.pca.COLUMNS", 8)
    parts, again = components(space, points)
    torch.testing.assert_close(parts.dense(), whole.dense(), rtol=0, atol=1e-12)
    torch.testing.assert_close(shares, again, rtol=0, atol=1e-14)
    assert float(shares.sum()) == pytest.approx(1) and float(shares[-1]) < 1e-12  # T points span T − 1 directions


def test_a_simulated_walk_explains_what_the_theory_says() -> None:
    """60.8 % and 15.2 % about the mean, 81.1 % and 9.0 % about the end (Antognini & Sohl-Dickstein 2018)."""
    points, space = walk(300, 20_000), ParameterSpace.of_vector(20_000, torch.float32)
    for about, limits in (("mean", (0.608, 0.152)), ("end", (0.8106, 0.0901))):
        explained = principal(space, points, points[-1] if about == "end" else None).explained
        np.testing.assert_allclose(explained, limits, atol=0.01)
        np.testing.assert_allclose(explained, walk_shares(300, about)[:2], atol=0.01)


@given(points=st.integers(2, 60), about=st.sampled_from(["mean", "end"]))
@settings(max_examples=30, deadline=None)
def test_the_closed_forms_are_the_eigenvalues_of_the_covariance(points: int, about: str) -> None:
    i = np.arange(points)
    covariance = np.minimum(i[:, None], i[None, :]).astype(float)
    reference = np.full(points, 1 / points) if about == "mean" else (i == points - 1).astype(float)
    centred = np.eye(points) - reference[None, :]
    values = np.linalg.eigvalsh(centred @ covariance @ centred.T)[::-1][:-1]
    np.testing.assert_allclose(walk_shares(points, about), values / values.sum(), atol=1e-12)
    equal = expected_shares([torch.full((points - 1,), 3.0)], torch.zeros(1, 4), about)
    np.testing.assert_allclose(equal, values / values.sum(), atol=1e-12)


def test_the_closed_form_tends_to_six_over_pi_squared() -> None:
    k = np.arange(1, 5)
    np.testing.assert_allclose(walk_shares(100_000)[:4], 6 / (np.pi * k) ** 2, rtol=1e-4)
    np.testing.assert_allclose(walk_shares(100_000, "end")[:4], 8 / (np.pi * (2 * k - 1)) ** 2, rtol=1e-4)


def test_expected_shares_are_those_of_simulated_walks_from_several_starts() -> None:
    rng, size = Stream(1), 600
    squares = [torch.linspace(4, 0.1, 12), torch.full((7,), 0.5)]
    starts = torch.randn(2, size, generator=rng.torch(), dtype=torch.float64) / size**0.5 * 6
    drawn = simulated_shares(squares, starts, "mean", rng, draws=60)
    expected = expected_shares(squares, starts)
    np.testing.assert_allclose(drawn.mean(0)[:3], expected[:3], atol=0.01)
    forgetful = expected_shares(squares, torch.zeros(2, size))  # the control: walks that begin at one point
    assert abs(forgetful[0] - expected[0]) > 0.05


def test_the_spread_is_that_of_simulated_walks() -> None:
    drawn = simulated_shares([torch.ones(29)], torch.zeros(1, 400), "mean", Stream(0), draws=150)
    np.testing.assert_allclose(drawn.std(0)[:3], spread(walk_shares(30), 400)[:3], rtol=0.25)


@pytest.mark.parametrize("size", [12, 3000])
def test_a_walk_is_not_told_from_a_walk_and_a_straight_path_is(size: int) -> None:
    called = []
    for seed in range(8):
        points = walk(40, size, seed).double()
        line = points + torch.arange(40.0).unsqueeze(1) * 15 / size**0.5 * torch.ones(size)
        circle = torch.linspace(0, 6.28, 40, dtype=torch.float64)
        ring = torch.zeros(40, size, dtype=torch.float64)
        ring[:, 0], ring[:, 1] = circle.cos(), circle.sin()
        found = []
        for path in (points, line, ring):
            _, shares = components(ParameterSpace.of_vector(size), path)
            null = walk_null([path], Stream(seed))
            found.append(verdict({"explained": shares.numpy()[: len(null["walk"])], **null}))
        called.append(found)
    assert [c[0] for c in called].count("walk") >= 7  # three standard deviations, two shares, eight walks
    assert {c[2] for c in called} == {"rounder"}
    assert {c[1] for c in called} == {"straighter"}


def test_few_dimensions_are_simulated_because_the_formulas_are_of_many() -> None:
    null = walk_null([walk(30, 2)], Stream(0))
    assert null["walk"][:2].sum() == pytest.approx(1) and null["walk"][0] > 0.7
    assert walk_shares(30)[:2].sum() < 0.78


def test_a_path_of_unequal_steps_is_compared_with_a_walk_of_such_steps() -> None:
    """Noise whose steps shrink explains more than one of equal steps, and is still noise."""
    lengths = torch.logspace(0, -2, 60).unsqueeze(1)
    noise = torch.randn(60, 4000, generator=torch.Generator().manual_seed(3)) * lengths
    path = noise.cumsum(0)
    _, shares = components(ParameterSpace.of_vector(4000, torch.float32), path)
    null = walk_null([path], Stream(0))
    assert abs(float(shares[0]) - null["walk"][0]) > 5 * null["walk_spread"][0]
    assert abs(float(shares[0]) - null["walk_lengths"][0]) < 4 * null["walk_spread"][0]
    assert verdict({"explained": shares.numpy()[: len(null["walk"])], **null}) == "walk"


def test_every_plane_says_what_a_random_walk_explains(risk: tw.EmpiricalRisk, run: Run) -> None:
    record = TrajectoryPlane(steps=3)(risk, run)
    one, two = walk_shares(run.data["steps"].size)[:2]
    assert f"a random walk of {run.data['steps'].size} points gives {one:.0%}".replace("%", " %") in record.summary
    assert f"+ {two:.0%}".replace("%", " %") in record.summary
    assert "straighter than a random walk" in record.summary and record.runs == ("training",)
    assert not tw.slices.Plane(steps=3)(risk, risk.initial).walked


def test_several_runs_share_one_plane(risk: tw.EmpiricalRisk, run: Run) -> None:
    other = tw.descent.Descent(tw.descent.GradientDescent(lr=0.1), steps=30)(risk, risk.initial)
    record = TrajectoryPlane(steps=(4, 3))(risk, {"adam": run, "descent": other})
    assert record.runs == ("adam", "descent") and record.loss.shape == (4, 3)
    (_, first), (_, second) = record.tracks
    assert len(first) == run.data["steps"].size and len(second) == other.data["steps"].size
    np.testing.assert_allclose(record.data["path_loss"][second], other.data["loss"][:, 0], rtol=1e-12)
    np.testing.assert_array_equal(record.data["path_step"][second], other.data["steps"])
    assert [m.name for m in record.marks] == ["adam end", "start", "descent end"]  # the start is the same
    points = np.concatenate([run.data["thetas"][:, 0], other.data["thetas"][:, 0]])
    values = np.linalg.svd(points - points.mean(0), compute_uv=False) ** 2
    np.testing.assert_allclose(record.directions.explained, values[:2] / values.sum(), rtol=1e-10)
    plain = TrajectoryPlane(steps=(4, 3))(risk, [run.data["thetas"][:, 0], other.data["thetas"][:, 0]])
    assert plain.runs == ("run 1", "run 2")
    np.testing.assert_array_equal(plain.loss, record.loss)


def test_each_network_of_a_batch_is_a_path(risk: tw.EmpiricalRisk) -> None:
    starts = [tw.Point(tw.zoo.digits(seed=s, dtype=torch.float64).initial.theta, None, f"seed {s}") for s in range(3)]
    batch = tw.descent.Descent(steps=10, batch=256)(risk, *starts)
    record = TrajectoryPlane(steps=3)(risk, batch)
    assert record.runs == ("seed 0", "seed 1", "seed 2")
    for b, (_, rows) in enumerate(record.tracks):
        np.testing.assert_allclose(record.data["path_loss"][rows], batch.data["loss"][:, b], rtol=1e-12)
    named = TrajectoryPlane(steps=3)(risk, {"a": batch})
    assert named.runs == ("a seed 0", "a seed 1", "a seed 2")
    assert "from the same starts give" in record.summary


def test_the_answer_is_repeated_from_its_seed(risk: tw.EmpiricalRisk, run: Run) -> None:
    one, two = (TrajectoryPlane(steps=3)(risk, run, rng=5) for _ in range(2))
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, two.data[name], err_msg=name)


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ([], "no trajectory"),
        (torch.zeros(1, 2), "at least 2 points"),
        (torch.zeros(5, 3), "last axis must be P = 2"),
        (torch.full((5, 2), torch.nan), "NaN or infinite"),
        (torch.arange(5.0).unsqueeze(1).expand(5, 2), "spans 1 directions"),
    ],
)
def test_what_is_no_trajectory_is_refused(paths: object, said: str) -> None:
    bowl = tw.Function(lambda x: x.square().sum(), 2)
    with pytest.raises(InputError, match=said):
        TrajectoryPlane(steps=3)(bowl, paths)


def test_options_are_refused_with_their_value() -> None:
    with pytest.raises(InputError, match="about='median'"):
        TrajectoryPlane(about="median")
    with pytest.raises(InputError, match="margin=-1"):
        TrajectoryPlane(margin=-1)


def test_the_record_survives_the_store(tmp_path: Path, risk: tw.EmpiricalRisk, run: Run) -> None:
    from thalweg.records import pack, unpack

    record = TrajectoryPlane(steps=3)(risk, {"a": run, "b": run.data["thetas"][::2, 0]})
    back = unpack(*pack(record))
    assert isinstance(back, Surface) and back.runs == ("a", "b") and back.walked == record.walked
