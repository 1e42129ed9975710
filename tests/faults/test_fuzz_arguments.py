"""Command lines of any kind: an answer, or one line, and nothing left behind by a refusal."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from benchmarks.faults import arguments
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import thalweg.study
from thalweg.errors import InputError

LINE = ("line", "polynomial", "--steps", "3")


def test_every_command_is_among_them_and_its_small_piece_of_work_is_known() -> None:
    assert set(arguments.SMALL) == set(arguments.options())


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(given_=arguments.lines())
def test_any_command_line_is_answered_or_refused_in_one_line(given_: list[str], folder_of_all: Path) -> None:
    assert not arguments.carry_out(given_, folder_of_all).wrong


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    words=st.lists(st.text(max_size=5) | st.sampled_from(["plane", "--json", "--", "--max-bytes", "-1"]), max_size=4)
)
def test_any_words_are_answered_or_refused_in_one_line(words: list[str], folder_of_all: Path) -> None:
    words = [word.replace("\0", "") for word in words]  # which no operating system lets through
    assert not arguments.carry_out(words, folder_of_all).wrong


@pytest.mark.parametrize("place", arguments.PLACES)
def test_a_study_is_begun_in_a_new_place_or_not_at_all(place: str, folder_of_all: Path) -> None:
    end = arguments.carry_out([*LINE, "--out", place], folder_of_all)
    assert not end.wrong
    assert end.code == (0 if place in ("new/deeper", "study/", "study") else 2), end.text
    assert end.code == 0 or place in end.text


@pytest.mark.parametrize("threads", ["0", "-1", "1000000", "1" + "0" * 30])
@pytest.mark.parametrize("line", [LINE, ("reproduce", "nothing")])
def test_a_number_of_threads_that_is_none(line: tuple[str, ...], threads: str, folder_of_all: Path) -> None:
    end = arguments.carry_out([*line, "--threads", threads], folder_of_all)
    assert not end.wrong and end.code == 2 and f"--threads {threads}" in end.text


@pytest.mark.parametrize("more", [("--lr", "1e3"), ("--lr", "1e308")])
def test_an_atlas_of_a_training_that_spans_no_plane(more: tuple[str, str], folder_of_all: Path) -> None:
    end = arguments.carry_out(["atlas", *arguments.SMALL["atlas"], *more], folder_of_all)
    assert not end.wrong and end.code == 0, end.text
    assert ("From step 0" in end.text) == (more[1] != "1e308")  # which went nowhere


@pytest.mark.parametrize(
    ("planted", "word"),
    [
        ("raises", "KeyError"),
        ("hangs", "no end"),
        ("leaves", "'study'] left"),
        ("leaves it beside", "'beside'] left"),
        ("overwrites", "another"),
        ("not a number", "no JSON object"),
    ],
)
def test_the_fuzzer_sees_what_it_is_for(
    planted: str, word: str, folder_of_all: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: commands with the faults that it looks for."""

    def perform(request: Any, values: bool) -> tuple[dict[str, Any], str]:
        if planted == "raises":
            raise KeyError("x")
        if planted == "hangs":
            time.sleep(60)
        if planted.startswith("leaves"):
            Path("study" if planted == "leaves" else "../beside").mkdir()
            raise InputError("no")
        if planted == "overwrites":
            Path("file").write_text("")
        print(json.dumps({"x": float("nan")}))
        return {"x": 0.0}, ""

    monkeypatch.setattr(thalweg.study, "perform", perform)
    if planted == "hangs":
        monkeypatch.setattr(arguments, "HANG_SECONDS", 0.5)
    assert word in arguments.carry_out([*LINE, "--json"], folder_of_all).wrong


@pytest.fixture(scope="module")
def folder_of_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arguments") / "case"
