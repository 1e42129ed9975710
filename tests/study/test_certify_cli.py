"""``thalweg critical --certify``: what it answers, keeps and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.test_cli import answer, refused
from thalweg.records import Certificate
from thalweg.store import read_record


def test_a_certificate_comes_beside_the_kind(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "study"
    found = answer(capsys, "critical", "scalar_factorisation", "--certify", "--out", out)
    kept = read_record(out / "records" / "certificate.zarr")
    assert isinstance(kept, Certificate) and found["kind"] == "strict saddle"
    said = found["certificate"]
    assert said["status"] == "ESCAPES" and said["guarantee"] == "exact" and said["failure"] == 0
    assert said["step"] == kept.step and said["decrease"] == kept.decrease > 0
    assert said["smallest"][0] <= -2 + 1e-9 and said["smallest"][1] >= -2 - 1e-9
    assert (out / "certificate.png").stat().st_size > 5_000
    chain = answer(capsys, "critical", "scalar_chain", "--certify", "--curvature", 0.5)["certificate"]
    assert chain["status"] == "SECOND_ORDER_STATIONARY" and chain["curvature"] == 0.5 and chain["step"] is None
    assert "certificate" not in answer(capsys, "critical", "scalar_chain")


def test_what_does_not_go_together_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "add it" in refused(capsys, "critical", "scalar_chain", "--failure", 0.1)
    assert "failure=2" in refused(capsys, "critical", "scalar_chain", "--certify", "--failure", 2)
