"""``thalweg align``: the keys of its answer, the checkpoint that it writes, its figure and its refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.study.test_cli import answer, refused
from thalweg.paths import align, symmetries
from thalweg.paths.align.find import moved
from thalweg.plot import DARK, draw
from thalweg.store import read_record

SUBJECT = ("digits", "--set", "hidden=[8]", "--set", "test=0", "--dtype", "float64")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    objective = tw.zoo.digits(hidden=(8,), dtype=torch.float64)
    found = symmetries(objective)
    a = tw.Point(objective.initial.theta + 0.1, None, "a")
    b = moved(found, objective, a, found.random(np.random.default_rng(0)))
    return tuple(tw.save_point(objective, p, tmp_path / f"{n}.safetensors") for p, n in ((a, "a"), (b, "b")))  # type: ignore[return-value]


def pair(files: tuple[Path, Path]) -> tuple[object, ...]:
    return ("--checkpoint", files[0], "--checkpoint", files[1])


def test_the_answer_the_checkpoint_and_the_figure(
    capsys: pytest.CaptureFixture[str], files: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "study"
    found = answer(capsys, "align", *SUBJECT, *pair(files), "--out", out)
    keys = ("method", "output_change", "distance_before", "distance_after", "barrier_before", "barrier_after")
    assert set(keys) <= set(found)
    assert found["distance_before"] > 0 == found["distance_after"]
    assert found["output_change"] <= 1e-12 and found["status"] == "ALIGNED"
    assert [(g["name"], g["size"]) for g in found["groups"]] == [("0", 8)]
    objective = tw.zoo.digits(hidden=(8,), dtype=torch.float64)
    a, aligned = tw.load_points(objective, files[0], found["checkpoint"])
    assert torch.equal(a.theta, aligned.theta)
    record = read_record(out / "records" / "align.zarr")
    for theme in (tw.plot.LIGHT, DARK):
        figure = draw(record, theme)
        top, lower = figure.axes
        before, after = top.lines
        assert before.get_label() == "before" and after.get_label() == "aligned"
        np.testing.assert_array_equal(after.get_ydata(), record.data["after_loss"])
        assert lower.get_ylabel() == "accuracy" and "8 units moved" in top.get_title(loc="left")
    assert (out / "align.png").stat().st_size > 1000
    assert answer(capsys, "align", *SUBJECT, *pair(files), "--out", out, "--resume")["seconds"] >= 0


def test_methods_and_options(capsys: pytest.CaptureFixture[str], files: tuple[Path, Path]) -> None:
    found = answer(capsys, "align", *SUBJECT, *pair(files), "--method", "activations", "--values")
    assert found["method"] == "activation matching" and found["distance_after"] == 0
    objective = tw.zoo.digits(hidden=(8,), dtype=torch.float64)
    made = align(objective, *tw.load_points(objective, *files), "activations")
    assert found["values"]["permutation.0"] == made.permutation("0").tolist()
    scaled = answer(capsys, "align", *SUBJECT, *pair(files), "--scales", "--restarts", 1, "--values")
    assert np.allclose(scaled["values"]["scale.0"], 1.0)
    assert answer(capsys, "align", *SUBJECT)["barrier_before"] is not None  # two initial networks


def test_refusals(capsys: pytest.CaptureFixture[str], files: tuple[Path, Path]) -> None:
    assert "align brings the second" in refused(capsys, "align", *SUBJECT, "--checkpoint", files[0])
    assert "--method best is unknown" in refused(capsys, "align", *SUBJECT, "--method", "best")
    assert "--signs is for --method weights" in refused(capsys, "align", *SUBJECT, "--method", "activations", "--signs")
    assert "skip='9' is no group: there are 0" in refused(capsys, "align", *SUBJECT, "--skip", "9")
    assert "has no network" in refused(capsys, "align", "scalar_chain")
