"""Spectrum and critical as commands: what they answer, keep and refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

import thalweg as tw
from tests.study.test_cli import answer, refused
from thalweg.store import read_record


def test_a_spectrum_comes_with_trace_and_density(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "study"
    found = answer(capsys, "spectrum", "polynomial", "--k", 2, "--probes", 3, "--steps", 10, "--out", out)
    trace, density = (read_record(out / "records" / f"{name}.zarr") for name in ("trace", "density"))
    assert found["trace"] == trace.value and found["trace_error"] == trace.error
    assert found["density"]["lower"] == density.data["lower"].tolist() and found["density"]["probes"] == 3
    assert (out / "density.png").stat().st_size > 10_000
    assert answer(capsys, "spectrum", "polynomial", "--k", 2, "--probes", 0)["trace"] is None
    assert "probes=1" in refused(capsys, "spectrum", "polynomial", "--probes", 1)


def test_a_spectrum_with_finite_scale_curvature(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out, small = tmp_path / "study", ("spectrum", "polynomial", "--k", 2, "--probes", 0)
    found = answer(capsys, *small, "--operator", "fisher", "--scale", 0.5, "--out", out)
    record = read_record(out / "records" / "finite_scale.zarr")
    assert found["finite_scale"]["curvatures"] == record.data["curvatures"].tolist() and record.h == 0.5
    assert (out / "finite_scale.png").stat().st_size > 10_000
    assert "finite_scale" not in answer(capsys, *small)
    assert "h=-1" in refused(capsys, *small, "--scale", -1)


def test_a_critical_point_is_judged(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    saddle = answer(capsys, "critical", "scalar_factorisation", "--out", tmp_path / "study")
    assert saddle["kind"] == "strict saddle" and saddle["guarantee"] == "exact" and saddle["critical"]
    assert saddle["index"] == saddle["index_low"] == saddle["index_high"] == 1
    assert saddle["smallest_eigenvalue"] == pytest.approx(-2) and saddle["gradient_norm"] == 0
    assert (tmp_path / "study" / "critical.png").exists()
    assert answer(capsys, "critical", "scalar_chain")["order"] == 3
    bracket = answer(capsys, "critical", "polynomial", "--dense-below", 5, "--products", 16)
    assert bracket["index"] is None and bracket["index_low"] < bracket["index_high"]
    assert bracket["kind"] == "not critical" and bracket["guarantee"] == "certified"
    assert "tolerance=-1" in refused(capsys, "critical", "polynomial", "--tolerance", -1)


def test_sharpness_is_a_table_beside_the_kind(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "critical", "polynomial", "--sharpness", "--threads", 1)
    named = {line["name"]: line for line in found["sharpness"]}
    assert len(named) == 11 and named["relative flatness"]["invariant"] and not named["trace"]["invariant"]
    assert named["keskar"]["bound"] == "lower" and "layer 0 × 10" in found["rescaling"]


def test_a_search_from_a_point_and_a_census_along_a_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = answer(capsys, "critical", "scalar_factorisation", "--search", "newton_mr", "--out", tmp_path / "one")
    assert found["kind"] == "strict saddle" and len(found["checkpoints"]) == 1
    again = answer(capsys, "critical", "scalar_factorisation", "--checkpoint", found["checkpoints"][0])
    assert again["critical"] and again["index"] == 1
    run = ("train", "linear_autoencoder", "--set", "size=4", "--set", "hidden=1", "--rule", "gradient_descent")
    answer(capsys, *run, "--lr", 0.05, "--steps", 200, "--out", tmp_path / "run")
    ask = ("critical", "linear_autoencoder", "--set", "size=4", "--set", "hidden=1", "--run", tmp_path / "run")
    census = answer(capsys, *ask, "--search", "newton_mr", "--starts", 4, "--steps", 40, "--out", tmp_path / "census")
    assert len(census["points"]["loss"]) == len(census["checkpoints"]) == 4 and census["search"] == "newton_mr"
    assert sum(census["kinds"].values()) == 4 and (tmp_path / "census" / "critical.png").exists()
    assert answer(capsys, *ask, "--starts", 3)["status"] == "NONE"  # points of a descent are not critical
    assert "add --run" in refused(capsys, "critical", "scalar_factorisation", "--starts", 3)
    assert "is unknown" in refused(capsys, "critical", "scalar_factorisation", "--search", "simplex")
    assert "leave one out" in refused(capsys, *ask, "--checkpoint", census["checkpoints"][0])
    assert "--sharpness" in refused(capsys, *ask, "--sharpness")
    assert "--sides is of the one" in refused(capsys, *ask, "--sides")


def test_the_theory_is_laid_over_a_census_of_a_squared_loss(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer(capsys, "train", "polynomial", "--steps", 20, "--batch", 0, "--out", tmp_path / "run")
    found = answer(capsys, "critical", "polynomial", "--run", tmp_path / "run", "--starts", 2)
    objective = tw.zoo.polynomial()
    residuals, energy = tw.core.baseline.squared(objective)
    gaps = objective.outputs(objective.initial) - objective.table.targets
    assert residuals == gaps.numel() and energy * float(objective.losses(objective.initial.theta[None])[0]) == (
        pytest.approx(float(gaps.double().square().sum()) / (2 * residuals))
    )
    assert found["curves"] == (["wigner", "relu"] if objective.space.size < residuals else [])
    assert tw.core.baseline.squared(tw.zoo.digits()) is None


def test_descents_part_at_a_saddle(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """From (0, 0) of (vw − 1)² to a minimum on either branch; a point that is no saddle has no sides."""
    found = answer(capsys, "critical", "scalar_factorisation", "--sides", "--out", tmp_path)
    assert found["kind"] == "strict saddle" and found["sides"]["kinds"] == {"flat": 2}
    ends = read_record(tmp_path / "records" / "sides.zarr").data["thetas"]
    assert ends.prod(1) == pytest.approx([1, 1]) and ends[0, 0] * ends[1, 0] < 0
    assert (tmp_path / "sides.png").exists()
    assert "no saddle but" in refused(capsys, "critical", "polynomial", "--sides")


def test_the_atlas_shows_a_census_on_demand_and_refuses_one_without_training(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    small = ("--steps", 5, "--train-steps", 5)
    found = answer(capsys, "atlas", "scalar_factorisation", *small, "--census", 3, "--out", tmp_path / "atlas")
    assert "census" in found["sections"] and "census" in found["records"] and "outliers" not in found["sections"]
    assert "Index against loss" in (tmp_path / "atlas" / "index.html").read_text(encoding="utf-8")
    assert "--census -1" in refused(capsys, "atlas", "scalar_factorisation", *small, "--census", -1, "--out", tmp_path)
