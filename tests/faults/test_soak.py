"""The page of the soak: each case has its own table there, and what was not run stays as it was."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from benchmarks import soak

ROOT = Path(__file__).parents[2]


def result(injected: int, wrong: list[str]) -> soak.Result:
    made = soak.Result("Kills")
    made.add("kill -9", injected, wrong, "a task", "nothing")
    return made


def test_each_case_is_written_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "PAGE", tmp_path / "reliability.md")
    soak.write("kills", result(7, []))
    soak.write("damage", result(1, []))
    soak.write("kills", result(1234, ["a point was lost"]))
    text = soak.PAGE.read_text()
    assert text.startswith(soak.HEAD) and text.count("### ") == 2
    assert "| kill -9 | 1,234 | 1,233 | 1 | a task | nothing |" in text and "| 7 |" not in text
    assert text.index("<!-- kills -->") < text.index("<!-- /kills -->") < text.index("<!-- damage -->")


def test_a_case_that_fails_leaves_the_others_their_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(quick: bool, folder: Path, seed: int) -> soak.Result:
        raise OSError("the machine is gone")

    monkeypatch.setattr(soak, "PAGE", tmp_path / "reliability.md")
    monkeypatch.setattr(soak, "damaged", fails)
    monkeypatch.setattr(soak, "interrupted", lambda quick, folder, seed: result(seed, []))
    monkeypatch.setattr("sys.argv", ["soak", "damage", "interrupts", "--write", "--seed", "5"])
    with pytest.raises(SystemExit) as end:
        soak.main()
    assert end.value.code == 1
    assert "| kill -9 | 5 | 5 | 0 |" in soak.PAGE.read_text()


def test_no_more_faults_are_lost_than_were_injected() -> None:
    assert result(1, ["one", "two"]).rows[0][1:4] == ["1", "0", "1"]


def test_kills_are_two_hundred_and_every_case_is_there() -> None:
    assert sum(many for _, many in soak.KILLED.values()) + soak.RECORDED >= 200
    for place in soak.CASES.values():
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_tests_that_the_page_names_are_there() -> None:
    named = re.findall(r"`(tests/[^`]+)`", soak.HEAD)
    assert len(named) > 15 and [name for name in named if not (ROOT / name).is_file()] == []
