"""Every benchmark runs: tiny sizes, and no figure is asserted."""

from __future__ import annotations

import importlib

import pytest
from benchmarks.__main__ import NAMES
from benchmarks.harness import Table, interleaved

CHEAP = ("planes", "ensembles", "segments", "gpu", "peers")


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_can_be_loaded(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.{name}").main)


@pytest.mark.parametrize("name", CHEAP)
def test_a_quick_run_gives_whole_tables(name: str) -> None:
    for table in importlib.import_module(f"benchmarks.{name}").main(quick=True):
        assert table.rows and all(len(row) == len(table.columns) for row in table.rows)
        assert table.markdown().count("\n|") >= len(table.rows) + 1


def test_works_are_timed_in_turn() -> None:
    seen: list[str] = []
    times = interleaved({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 2)
    assert seen == ["a", "b", "a", "b", "a", "b"] and [len(t) for t in times.values()] == [2, 2]


def test_a_table_is_readable_as_text() -> None:
    text = Table("T", ["one", "two"], [["1", "22"]], "note").text()
    assert text.splitlines() == ["", "T", "one  two", "1    22 ", "note"]
