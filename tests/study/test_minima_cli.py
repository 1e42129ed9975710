"""The commands about several minima: one object each, figures in both themes, and refusals in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.test_cli import answer, refused, run
from thalweg.plot import DARK, LIGHT, interactive, static
from thalweg.store import read_record

SMALL = ("digits", "--set", "hidden=[4]", "--set", "test=1400")


def drawn(record: Path, panels: int) -> None:
    found = read_record(record)
    for theme in (LIGHT, DARK):
        assert len(static.draw(found, theme).axes) == panels
    assert interactive.views(found)


def test_a_graph_of_initial_networks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = answer(capsys, "graph", *SMALL, "--method", "straight", "--count", 3, "--out", tmp_path / "g")
    assert [m["name"] for m in found["minima"]] == ["seed 0", "seed 1", "seed 2"]
    assert sum(edge["in_tree"] for edge in found["edges"]) == 2 and len(found["edges"]) == 3
    for edge in found["edges"]:
        assert edge["level"] >= max(m["loss"] for m in found["minima"] if m["name"] in edge["minima"])
    lowest = min(found["minima"], key=lambda m: m["loss"])
    assert found["merges"][0]["minimum"] == lowest["name"] and found["merges"][0]["death"] is None
    assert (tmp_path / "g" / "graph.png").is_file()
    drawn(Path(found["record"]), 2)
    _, text, _ = run(capsys, "graph", *SMALL, "--method", "straight", "--count", 2)
    assert "seed 0 – seed 1" in text
    assert "joins two or more" in refused(capsys, "graph", *SMALL, "--count", 1)
    assert "teleport is unknown" in refused(capsys, "graph", *SMALL, "--method", "teleport")


def test_instability_forks_where_it_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ("--steps", 12, "--fork", 0, "--fork", 6, "--pairs", 2)
    found = answer(capsys, "instability", *SMALL, *options, "--out", tmp_path / "i")
    assert [row["fork"] for row in found["rows"]] == [0, 6] and all(row["error"] >= 0 for row in found["rows"])
    assert found["field"] == "error" and found["evaluated_on"] == "test"
    drawn(Path(found["record"]), 2)
    assert "forks=" in refused(capsys, "instability", *SMALL, "--steps", 5, "--fork", 9)


def test_ensembles_and_the_best_point_of_a_kept_path(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer(capsys, "connect", *SMALL, "--method", "straight", "--no-tops", "--out", tmp_path / "c")
    options = ("--runs", 2, "--steps", 12, "--cycles", 2, "--cycle", 4, "--path", tmp_path / "c")
    found = answer(capsys, "ensemble", *SMALL, *options, "--out", tmp_path / "e")
    assert [(row["method"], row["runs"], row["members"]) for row in found["rows"]] == [
        ("independent", 1, 1),
        ("cyclic", 1, 2),
        ("independent", 2, 2),
        ("cyclic", 2, 4),
    ]
    work = {row["runs"]: row["gradients"] for row in found["rows"] if row["method"] == "independent"}
    assert all(row["gradients"] == work[row["runs"]] for row in found["rows"])  # one budget
    assert found["search"]["chosen_on"] + found["search"]["judged_on"] == 1400 and 0 <= found["search"]["t"] <= 1
    drawn(Path(found["record"]), 1)
    drawn(tmp_path / "e" / "records" / "search.zarr", 1)
    assert (tmp_path / "e" / "search.png").is_file()
    assert "at least 1 run" in refused(capsys, "ensemble", *SMALL, "--runs", 0)
