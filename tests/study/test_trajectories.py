"""``thalweg plane --run``: one run, several, a batch; what is no run is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.study.test_cli import answer, refused
from thalweg.records import Run
from thalweg.store import read_record


@pytest.fixture
def studies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    for name, rule in (("adam", "adam"), ("descent", "gradient_descent")):
        answer(capsys, "train", "polynomial", "--steps", 12, "--rule", rule, "--out", tmp_path / name)
    return tmp_path


def test_runs_of_two_rules_share_a_plane(studies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--run", studies / "adam", "--run", studies / "descent")
    found = answer(capsys, "plane", "polynomial", *given, "--steps", "5x4", "--out", studies / "plane")
    assert found["runs"] == ["adam", "descent"] and found["points"] == 20
    assert found["verdict"] in ("walk", "straighter", "rounder") and len(found["walk_lengths"]) == 2
    assert found["off_plane"] > 0 and (studies / "plane" / "plane.png").is_file()
    record = read_record(studies / "plane" / "records" / "plane.zarr")
    second = record.data["path_loss"][record.data["path_run"] == 1]
    run = read_record(studies / "descent" / "records" / "train.zarr")
    assert isinstance(run, Run)
    np.testing.assert_allclose(second, run.data["loss"][:, 0], rtol=1e-6)
    again = answer(capsys, "plane", "polynomial", *given, "--steps", "5x4", "--out", studies / "plane", "--resume")
    assert again["explained"] == found["explained"]


def test_what_is_no_run_is_refused(studies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = studies / "adam"
    assert "given twice" in refused(capsys, "plane", "polynomial", "--run", run, "--run", run)
    assert "P = " in refused(capsys, "plane", "digits", "--run", run)
    for unused in (("--half-width", 3), ("--norm", "layer"), ("--biases", "scale"), ("--no-orthogonal",)):
        assert unused[0] in refused(capsys, "plane", "polynomial", "--run", run, *unused)
