"""``thalweg plane --curvature``: kept, resumed, drawn; what it does not go with is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.test_cli import answer, refused


def test_a_map_of_curvature_is_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("plane", "polynomial", "--steps", "4x3", "--curvature", "--out", tmp_path / "map")
    found = answer(capsys, *asked)
    curvature = found["curvature"]
    assert curvature["smallest"][0] < curvature["smallest"][1] <= curvature["largest"][1]
    assert curvature["unconverged"] == 0 and curvature["products"] == found["cost"]["products"] > 12
    assert 0 < curvature["ratio_median"] <= curvature["ratio_max"]
    assert (tmp_path / "map" / "plane.png").is_file()
    assert answer(capsys, *asked, "--resume")["curvature"] == curvature
    assert "curvature" not in answer(capsys, "plane", "polynomial", "--steps", 3)


def test_what_it_does_not_go_with_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "leave --refine and --rows out" in refused(capsys, "plane", "polynomial", "--curvature", "--refine", 0.1)
