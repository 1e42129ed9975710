"""Repeats, found half-widths, test rows and comparisons from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.study.test_cli import answer, refused, run
from thalweg.store import read_record

SMALL = ("digits", "--set", "hidden=[8]", "--steps", 7, "--backend", "loop")


def test_repeats_are_answered_by_distance_and_resumed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    command = ("line", *SMALL, "--repeats", 4, "--out", tmp_path / "a")
    found = answer(capsys, *command)
    kept = read_record(found["record"])
    assert found["repeats"]["count"] == 4 and len(kept.repeats) == 4
    np.testing.assert_allclose(found["repeats"]["rise"]["median"], np.median(kept.rings[1], axis=0))
    again = answer(capsys, *command, "--resume")
    assert again["repeats"] == found["repeats"]
    assert (tmp_path / "a" / "line.png").is_file()


@pytest.mark.parametrize(("option", "by"), [("auto:2", "loss"), ("curvature:0.5", "curvature")])
def test_a_half_width_is_found_and_said(capsys: pytest.CaptureFixture[str], option: str, by: str) -> None:
    found = answer(capsys, "plane", *SMALL, "--half-width", option)
    assert found["half_width"]["by"] == by and found["half_width"]["half_width"] > 0
    assert found["half_width"]["ratio"] == float(option.partition(":")[2])


def test_test_rows_of_the_zoo_and_of_factories_are_answered(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = answer(capsys, "line", *SMALL, "--set", "test=297")
    assert found["rows"] == 1500 and found["test"]["rows"] == 297 and found["test"]["loss"]["initial"] > 0
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "def make():\n"
        "    x = torch.randn(30, 4)\n"
        "    y = torch.arange(30) % 3\n"
        "    return nn.Linear(4, 3), nn.CrossEntropyLoss(), (x[:20], y[:20]), (x[20:], y[20:])\n"
    )
    found = answer(capsys, "line", f"{file}:make", "--steps", 3, "--values")
    assert found["test"]["rows"] == 10 and {"test_loss", "test_accuracy"} <= set(found["values"])
    assert answer(capsys, "line", *SMALL)["test"]["rows"] == 297  # commands hold them out
    assert "test" not in answer(capsys, "line", *SMALL, "--set", "test=0")


def test_two_studies_are_compared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 1)):
        answer(capsys, "line", *SMALL, "--repeats", 5, "--seed", seed, "--out", tmp_path / name)
    figure = tmp_path / "c.svg"
    found = answer(capsys, "compare", tmp_path / "one", tmp_path / "two", "--figure", figure)
    assert found["names"] == ["one", "two"] and found["permutations"] == 252 and 0 < found["p"] <= 1
    assert figure.stat().st_size > 0
    same = answer(capsys, "compare", tmp_path / "one", tmp_path / "one")
    assert same["status"] == "ALIKE" and same["p"] == 1.0
    code, out, _ = run(capsys, "compare", tmp_path / "one", tmp_path / "two")
    assert code == 0 and "the spread over 5 and 5 directions" in out


def test_what_cannot_be_drawn_or_compared_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer(capsys, "line", *SMALL, "--out", tmp_path / "single")
    for words, arguments in (
        ("auto:5", ("line", *SMALL, "--half-width", "wide")),
        ("auto:5", ("line", *SMALL, "--half-width", "auto:much")),
        ("at least 1", ("line", *SMALL, "--repeats", 0)),
        ("Refine", ("plane", *SMALL, "--repeats", 2, "--refine", 0.1)),
        ("directions", ("line", *SMALL, "--repeats", 2, "--directions", "eigen")),
        ("--repeats", ("compare", tmp_path / "single", tmp_path / "single")),
        ("holds no record", ("compare", tmp_path / "nothing", tmp_path / "single")),
        ("test=-3", ("line", *SMALL, "--set", "test=-3")),
    ):
        assert words in refused(capsys, *arguments), (words, arguments)


def test_the_answer_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "plane", *SMALL, "--repeats", 2)
    assert json.loads(json.dumps(found))["repeats"]["count"] == 2


def test_an_answer_holds_no_number_that_json_lacks() -> None:
    from thalweg.study.faces import finite

    found = finite({"p": float("nan"), "contrasts": [{"nonfinite": "inf"}, {"value": 1.0}], "nonfinite": 2})
    assert found == {"p": None, "contrasts": [None, {"value": 1.0}], "nonfinite": 4}
