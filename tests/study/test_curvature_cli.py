"""Spectrum and critical as commands: what they answer, keep and refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    assert len(named) == 9 and named["relative flatness"]["invariant"] and not named["trace"]["invariant"]
    assert named["keskar"]["bound"] == "lower" and "layer 0 × 10" in found["rescaling"]
