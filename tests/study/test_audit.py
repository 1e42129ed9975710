"""The audit command: the promised keys, stored and shown again, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from thalweg.cli import main
from thalweg.records import Audit
from thalweg.store import read_record


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    assert ended.value.code == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_every_claim_is_answered_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(["audit", "deep_linear", "--out", str(tmp_path / "a")], capsys)
    claims = found["claims"]
    assert isinstance(claims, list) and claims
    for claim in claims:
        assert {"id", "verdict", "hypotheses", "conclusion"} <= set(claim)
        assert all({"name", "value", "threshold", "slack", "ok"} <= set(check) for check in claim["hypotheses"])
    record = read_record(Path(str(found["record"])))
    assert isinstance(record, Audit) and [v.claim for v in record.verdicts] == [c["id"] for c in claims]
    again = run(["audit", "deep_linear", "--out", str(tmp_path / "a"), "--resume"], capsys)
    assert again["claims"] == claims


def test_claims_are_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    found = run(["audit", "scalar_factorisation", "--claims", "yun_2018"], capsys)
    claims = found["claims"]
    assert isinstance(claims, list)
    assert [c["verdict"] for c in claims] == ["hypothesis_unmet"] * len(claims)


def test_an_unknown_claim_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["audit", "deep_linear", "--claims", "nobody_1900"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1 and "claim 'nobody_1900' is unknown" in said
