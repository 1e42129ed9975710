"""The command ``trajectory``: one object of what changes along a run, its edge, plateaus, funnel and plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from tests.study.test_cli import answer, refused
from thalweg.trajectories import record


def test_a_run_is_followed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    train = ("train", "wide_tanh", "--rule", "gradient_descent", "--lr", 0.05, "--batch", 0, "--steps", 40)
    answer(capsys, *train, "--out", tmp_path / "run")
    follow = ("trajectory", "wide_tanh", "--run", tmp_path / "run", "--points", 4, "--steps", 5, "--kernel-rows", 4)
    found = answer(capsys, *follow, "--out", tmp_path / "study")
    assert found["steps"][0] == 0 and found["steps"][-1] == 40 and len(found["sharpness"]) == 4
    assert found["loss"][-1] < found["loss"][0] and found["from_end"][-1] == 0 and found["from_start"][0] == 0
    assert len(found["rank"][0]) == len(found["tensors"]) and len(found["kernel_change"]) == 4
    assert found["edge"]["threshold"] == pytest.approx(40.0) and found["edge"]["full_batch"]
    assert isinstance(found["plateaus"], list) and found["plateau"]["rate"] == pytest.approx(1 / 40)
    assert found["funnel"][0]["descents"] == 1 and len(found["plane"]["explained"]) == 2
    names = {"trajectory.png", "edge.png", "plateaus.png", "funnel.png", "plane.png"}
    assert {p.name for p in (tmp_path / "study").glob("*.png")} == names
    again = answer(capsys, *follow, "--out", tmp_path / "study", "--resume")
    assert again["sharpness"] == found["sharpness"] and again["cost"] == found["cost"]


def test_what_is_left_out_and_what_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer(capsys, "train", "polynomial", "--steps", 10, "--batch", 0, "--out", tmp_path / "run")
    quick = ("trajectory", "polynomial", "--run", tmp_path / "run", "--points", 3, "--kernel-rows", 0, "--steps", 0)
    found = answer(capsys, *quick, "--no-plateaus", "--no-sharpness")
    assert "edge" not in found and "plane" not in found and "plateaus" not in found and "kernel_change" not in found
    assert answer(capsys, *quick, "--no-plateaus", "--lr", 0.1, "--momentum", 0.9)["edge"][
        "threshold"
    ] == pytest.approx(38)
    assert "--run DIR" in refused(capsys, "trajectory", "polynomial")
    assert "without --lr" in refused(capsys, *quick, "--momentum", 0.9)
    assert "points=1" in refused(capsys, *quick, "--points", 1)
    assert "which=3" in refused(capsys, *quick, "--which", 3)


STUDENT = """
import torch
from thalweg.theory.deep_linear.decomposition import LinearStudent


def make():
    student = LinearStudent.drawn(40, 6, 4, 3, 0.3, seed=0)
    return student.objective(0.3 * torch.randn(student.size, dtype=torch.float64))
"""


def test_the_error_of_a_student_is_split(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The terms add up to the test error at every point; control: without a teacher the limit alone is known."""
    (tmp_path / "student.py").write_text(STUDENT)
    subject, run = f"{tmp_path / 'student.py'}:make", tmp_path / "run"
    answer(
        capsys, "train", subject, "--rule", "gradient_descent", "--lr", 0.03, "--batch", 0, "--steps", 60, "--out", run
    )
    quick = ("--run", run, "--kernel-rows", 0, "--steps", 0, "--no-plateaus", "--no-sharpness", "--points", 3)
    found = answer(capsys, "trajectory", subject, *quick, "--long", 6000, "--out", tmp_path / "study")["errors"]
    assert found["status"] == "COMPLETE" and abs(found["infinite_time"]) < 1e-9
    parts = np.array(found["non_convergence"]) + np.array(found["generalisation"]) + found["infinite_time"]
    np.testing.assert_allclose(parts + found["representation"], found["test"], rtol=1e-12)
    assert found["test"][-1] > found["representation"] > 0 and (tmp_path / "study" / "errors.png").exists()
    answer(capsys, "train", "wide_tanh", "--rule", "adam", "--batch", 0, "--steps", 4, "--out", tmp_path / "adam")
    plain = ("trajectory", "wide_tanh", "--run", tmp_path / "adam", *quick[2:], "--long", 5)
    assert "names no gradient descent" in refused(capsys, *plain, "--least", 0)
    assert "F* is not known" in refused(capsys, *plain)
    stopped = answer(capsys, *plain, "--least", 0, "--lr", 0.05)["errors"]
    assert stopped["status"] == "UNCONVERGED" and stopped["representation"] is None and stopped["continued"] == 5


def test_funnels_of_several_widths_lie_side_by_side(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for width in (2, 6):
        narrow = ("train", "polynomial", "--set", f"widths=[1,{width},1]", "--count", 2, "--batch", 0, "--steps", 12)
        answer(capsys, *narrow, "--out", tmp_path / f"w{width}")
    quick = ("--run", tmp_path / "w2", "--kernel-rows", 0, "--steps", 0, "--no-plateaus", "--no-sharpness")
    follow = ("trajectory", "polynomial", "--set", "widths=[1,2,1]", *quick, "--points", 2)
    found = answer(capsys, *follow, "--beside", tmp_path / "w6", "--out", tmp_path / "study")["funnel"]
    assert [(row["run"], row["descents"]) for row in found] == [("w2", 2), ("w6", 2)]
    assert found[0]["reach"] != found[1]["reach"] and (tmp_path / "study" / "funnel.png").exists()
    assert "there already" in refused(capsys, *follow, "--beside", tmp_path / "w2")
    assert "holds no run" in refused(capsys, *follow, "--beside", tmp_path)
    with record(nn.Linear(2, 1), tmp_path / "recorded"):
        pass
    assert "give one of the same network by --run" in refused(capsys, *follow, "--beside", tmp_path / "recorded")
    assert "w6" in refused(capsys, *follow, "--run", tmp_path / "w6")  # another width has no place on its surface


WELLS = """
import torch
from thalweg import Function


def make():
    return Function(lambda x: (x[0] ** 2 - 1) ** 2 + 0.4 * x[0] + x[1] ** 2, 2)
"""


def test_cells_of_a_plane_are_descended_from(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Noise that is strong leaves bad starts; control: noise of length zero leaves none."""
    (tmp_path / "wells.py").write_text(WELLS)
    plane = (
        "plane",
        f"{tmp_path / 'wells.py'}:make",
        "--steps",
        7,
        "--half-width",
        1.6,
        "--descend",
        100,
        "--lr",
        0.05,
    )
    strong = answer(capsys, *plane, "--noise", 8, "--out", tmp_path / "study")["descents"]
    none = answer(capsys, *plane, "--noise", 0)["descents"]
    assert none["escape"] == 0 and strong["escape"] > 0.2 and none["bad"] == strong["bad"]
    assert 0 < strong["bad"] < strong["cells"] == 49 and strong["avoidance"] == 1 - strong["bad"] / 49
    assert {p.name for p in (tmp_path / "study").glob("*.png")} == {"plane.png", "descents.png"}
    assert "without --descend" in refused(capsys, *plane[:6], "--lr", 0.1)
    assert "give one of them" in refused(capsys, *plane, "--noise", 1, "--batch", 4)
