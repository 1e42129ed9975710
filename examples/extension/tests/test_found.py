"""What the entry points of this package add is found by name."""

import json
from pathlib import Path

import pytest
import torch
from thalweg_example.curve import Through
from thalweg_example.rule import SignDescent

import thalweg
from thalweg.cli import main


def test_the_rule_is_found_by_name() -> None:
    assert thalweg.descent.named("sign", lr=0.2) == SignDescent(0.2)
    with pytest.raises(thalweg.errors.InputError, match="it takes lr"):
        thalweg.descent.named("sign", rate=0.2)


def test_a_curve_that_was_saved_is_read_back(tmp_path: Path) -> None:
    knots = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, -1.0]])
    Through(knots).save(tmp_path / "curve.safetensors")
    again = thalweg.paths.load(tmp_path / "curve.safetensors")
    assert isinstance(again, Through) and torch.equal(again.knots, knots)


def test_the_audit_shows_the_claim(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["audit", "thalweg_example.objective:Ring", "--claims", "euler_1755", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert not end.value.code and [c["id"] for c in found["claims"]] == ["euler_1755.homogeneous"]
    assert found["claims"][0]["verdict"] == "hypothesis_unmet"
