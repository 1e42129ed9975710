"""Study directories: foreign ones are left alone, a resume repeats its request, what is written is whole."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.faults import forked

from tests.records.test_records import profile
from tests.store.conftest import REQUEST, contents
from thalweg.errors import DamagedError, InputError, StoreError
from thalweg.store import Directory, header
from thalweg.store import directory as module
from thalweg.store import record as record_module


class Killed(BaseException):
    """Where a process is killed. (What its ``finally`` would do is done, unlike in a real kill.)"""


def test_a_foreign_directory_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    before = contents(tmp_path)
    for resume in (False, True):
        with pytest.raises(StoreError, match=r"holds thesis\.tex and no study"):
            Directory.open(tmp_path, REQUEST, resume=resume)
    with pytest.raises(StoreError, match="is a file"):
        Directory.open(tmp_path / "thesis.tex", REQUEST, resume=False)
    with pytest.raises(StoreError, match="cannot be written to"):
        Directory.open(tmp_path / "thesis.tex" / "below", REQUEST, resume=False)
    assert contents(tmp_path) == before and len(list(tmp_path.iterdir())) == 1


def test_an_empty_directory_and_one_left_at_the_first_step_are_taken(tmp_path: Path) -> None:
    Directory.open(tmp_path, REQUEST, resume=True).close()
    (tmp_path / "study.json").rename(tmp_path / f"{header.PARTIAL}-12")
    assert not Directory.check(tmp_path, REQUEST, resume=False)
    Directory.open(tmp_path, REQUEST, resume=False).close()
    assert Directory.check(tmp_path, REQUEST, resume=True)


def test_a_directory_that_cannot_be_written_is_refused(
    directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    for path, resume in ((tmp_path / "a" / "b", False), (directory.path, True)):
        with pytest.raises(StoreError, match="cannot be written to"):
            Directory.open(path, REQUEST, resume=resume)
    assert [p.name for p in tmp_path.iterdir()] == ["study"]
    directory.finish()
    assert Directory.check(directory.path, REQUEST, resume=True)  # a finished study only needs to be read
    monkeypatch.undo()
    if Path("/proc/self").exists():  # where not even root can make a folder
        with pytest.raises(StoreError, match="/proc"):
            Directory.open("/proc/thalweg", REQUEST, resume=False)


def test_the_first_of_two_requests_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(path: Path) -> None:  # both have looked, and the other one is faster
        assert header.write_header(path, {**REQUEST, "steps": 99})

    monkeypatch.setattr(module, "_writable", looked)
    with pytest.raises(StoreError, match="unfinished study"):
        Directory.open(tmp_path / "d", REQUEST, resume=False)
    assert header.read_header(tmp_path / "d")["steps"] == 99


def test_resume_repeats_the_request(directory: Directory) -> None:
    with pytest.raises(StoreError, match="unfinished study: add --resume"):
        Directory.open(directory.path, REQUEST, resume=False)
    with pytest.raises(StoreError, match="steps=21, now steps=22"):
        Directory.open(directory.path, {**REQUEST, "steps": 22}, resume=True)
    with pytest.raises(StoreError, match="seed=None, now seed=3"):
        Directory.open(directory.path, {**REQUEST, "seed": 3}, resume=True)
    Directory.open(directory.path, REQUEST, resume=True).close()


def test_a_request_survives_json(tmp_path: Path) -> None:
    request = {"shape": (3, 4), "level": float("inf"), "name": "θ"}
    Directory.open(tmp_path / "d", request, resume=False).close()
    assert Directory.check(tmp_path / "d", request, resume=True)


def test_other_schemas_and_broken_headers_are_refused(directory: Directory) -> None:
    path = directory.path / "study.json"
    content = json.loads(path.read_text())
    for schema in (header.SCHEMA - 1, header.SCHEMA + 1):
        path.write_text(json.dumps({**content, "schema": schema}))
        with pytest.raises(StoreError, match=f"schema {schema}, this version reads {header.SCHEMA}"):
            Directory.open(directory.path, REQUEST, resume=True)
    for text in ("{", "[]", '{"schema": 2}', '{"schema": 2, "request": 3}'):
        path.write_text(text)
        with pytest.raises(StoreError, match="cannot be read"):
            Directory.open(directory.path, REQUEST, resume=True)


def test_a_finished_study_is_read_and_not_touched(directory: Directory) -> None:
    directory.save_record("r", profile(np.zeros(3)))
    directory.add_file("r.png", b"1")
    directory.sink.save_state("r", {"count": np.array(1)})
    (directory.path / "work" / ".partial" / "12").mkdir(parents=True)
    (directory.path / "work" / ".partial" / "12" / "half.png").write_text("of a process that was killed")
    (directory.path / f"{header.PARTIAL}-12").write_text("of one that was killed at its first step")
    directory.finish()
    directory.close()
    before = contents(directory.path)
    names = {p.name for p in directory.path.iterdir()}
    assert names == {"study.json", "ledger.sqlite", "records", "r.png"}  # no work, no journal beside the ledger
    with pytest.raises(StoreError, match="a finished study"):
        Directory.open(directory.path, REQUEST, resume=False)
    with Directory.open(directory.path, REQUEST, resume=True) as again:
        assert again.finished and again.load_record("r") is not None and again.list_files() == ["r.png"]
        again.finish()
        with pytest.raises(StoreError, match="changes no more"):
            again.save_record("s", profile(np.zeros(3)))
        with pytest.raises(StoreError, match="changes no more"):
            again.add_file("r.png", b"2")
        assert contents(directory.path) == before


def test_a_study_whose_ledger_was_never_made_is_unfinished(directory: Directory) -> None:
    assert Directory.check(directory.path, REQUEST, resume=True)
    assert not (directory.path / "ledger.sqlite").exists()
    (directory.path / "ledger.sqlite").touch()  # killed before the first table
    assert Directory.check(directory.path, REQUEST, resume=True)
    assert not directory.finished


# --- records ----------------------------------------------------------------------------------------------


def test_a_finished_record_is_immutable(directory: Directory) -> None:
    assert directory.load_record("r") is None and not directory.has_record("r")
    directory.save_record("r", profile(np.zeros(3)))
    with pytest.raises(StoreError, match="finished"):
        directory.save_record("r", profile(np.ones(3)))
    assert directory.list_records() == ["r"] and directory.load_record("other") is None
    assert directory.load_record("r").data["loss"][0] == 0  # type: ignore[union-attr]


def test_a_record_that_the_study_did_not_write_is_left_alone(directory: Directory) -> None:
    directory.save_record("mine", profile(np.zeros(3)))
    directory.record_path("mine").rename(directory.record_path("r"))
    before = contents(directory.record_path("r"))
    assert directory.load_record("r") is None
    with pytest.raises(StoreError, match="not written by this study"):
        directory.save_record("r", profile(np.ones(3)))
    assert contents(directory.record_path("r")) == before


@pytest.mark.parametrize("renamed", [False, True])
def test_a_process_killed_while_it_commits_a_record(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, renamed: bool
) -> None:
    def kill(partial: Path, path: Path) -> None:
        if renamed:
            partial.rename(path)
        raise Killed

    monkeypatch.setattr(module, "commit", kill)
    with pytest.raises(Killed):
        directory.save_record("r", profile(np.zeros(3)))
    monkeypatch.undo()
    directory.close()
    with Directory.open(directory.path, REQUEST, resume=True) as again:
        assert again.list_records() == []
        assert again.has_record("r") == renamed  # found whole, or not there at all
        if not renamed:
            again.save_record("r", profile(np.ones(3)))
        assert again.list_records() == ["r"]
        assert again.load_record("r").data["loss"][0] == (0 if renamed else 1)  # type: ignore[union-attr]


def test_a_record_that_was_entered_and_damaged_is_refused(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.save_record("r", profile(np.zeros(3)))
    with sqlite3.connect(directory.path / "ledger.sqlite") as db:
        db.execute("UPDATE records SET state = 'entered'")
    db.close()
    (directory.record_path("r") / "loss" / "c.0").write_bytes(b"")
    with pytest.raises(DamagedError, match="'loss'"):
        directory.load_record("r")
    assert directory.list_records() == []


@pytest.mark.parametrize(
    "name", ["../x", "", ".hidden", "/etc", "a//b", "a/../b", "a/", "a\n", "x.zarr", "-x", "a" * 201]
)
def test_names_that_lead_elsewhere_are_refused(directory: Directory, name: str) -> None:
    with pytest.raises(InputError, match="no name within a study"):
        directory.record_path(name)
    with pytest.raises(InputError, match="no name within a study"):
        directory.add_file(name, b"")
    with pytest.raises(InputError, match="no name within a study"):
        directory.sink.save_state(name, {})


# --- files and work ---------------------------------------------------------------------------------------


def test_files_are_whole_or_absent(directory: Directory) -> None:
    def half(path: Path) -> None:
        path.write_text("half")
        raise Killed

    with pytest.raises(Killed):
        directory.add_file("page.html", half)
    assert not list(directory.path.rglob("*page.html")) and directory.list_files() == []
    directory.add_file("figures/page.html", lambda path: path.write_text("1"))
    directory.add_file("figures/page.html", b"2")
    assert (directory.path / "figures" / "page.html").read_text() == "2"
    assert directory.list_files() == ["figures/page.html"]


def test_an_interrupt_within_a_clean_up_leaves_nothing_half_made(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object, **__: object) -> None:
        raise Killed

    def half(path: Path) -> None:
        path.write_text("half")
        monkeypatch.setattr(Path, "unlink", kill)
        raise Killed

    with pytest.raises(Killed):
        directory.add_file("page.html", half)
    monkeypatch.undo()
    assert list(directory.path.rglob("*page.html"))
    directory.close()
    assert {p.name for p in directory.path.rglob("*")} == {"study.json", "ledger.sqlite", "work"}


def test_an_interrupt_while_a_record_is_written_leaves_no_thread_that_goes_on_writing(tmp_path: Path) -> None:
    def work() -> int:
        write, signals = record_module.create, iter([signal.SIGINT])

        def slow(*arguments: Any) -> Any:  # the interrupt comes while zarr is still to write
            for number in signals:
                os.kill(os.getpid(), number)
            time.sleep(0.2)
            return write(*arguments)

        record_module.create = slow  # type: ignore[assignment]
        with Directory.open(tmp_path / "study", REQUEST, resume=False) as opened:
            try:
                opened.save_record("line", profile(np.arange(6.0)))
            except KeyboardInterrupt:
                left = sorted(p.name for p in opened.path.rglob("*"))
                time.sleep(0.5)
                return int(left != sorted(p.name for p in opened.path.rglob("*")) or ".partial" in left)
        return 2

    end = forked.run(work)
    assert end.code == 0, end.text


@pytest.mark.parametrize("renamed", [False, True])
def test_a_process_killed_while_it_replaces_a_file(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, renamed: bool
) -> None:
    def kill(partial: Path, path: Path) -> None:
        if renamed:
            partial.replace(path)
        raise Killed

    directory.add_file("page.html", b"1")
    monkeypatch.setattr(module, "commit", kill)
    with pytest.raises(Killed):
        directory.add_file("page.html", b"2")
    monkeypatch.undo()
    assert (directory.path / "page.html").read_bytes() == (b"2" if renamed else b"1")
    directory.add_file("page.html", b"3")  # either is known for the study's own
    assert (directory.path / "page.html").read_bytes() == b"3"


def test_only_what_the_study_wrote_is_replaced(directory: Directory) -> None:
    path = directory.path / "plane.png"
    path.write_text("the user's own")
    with pytest.raises(StoreError, match="not written by this study"):
        directory.add_file("plane.png", b"ours")
    assert path.read_text() == "the user's own"
    path.unlink()
    directory.add_file("plane.png", b"ours")
    path.write_text("the user's own again")
    with pytest.raises(StoreError, match="changed since"):
        directory.add_file("plane.png", b"ours")
    assert path.read_text() == "the user's own again"
    for name in ("study.json", "ledger.sqlite", "ledger.sqlite-wal", "records/x", "work/y"):
        with pytest.raises(InputError, match="the store itself"):
            directory.add_file(name, b"")


def test_work_is_dropped_when_its_record_is_kept_and_not_before(directory: Directory) -> None:
    for plan in ("r", "r/string", "rest"):
        directory.ledger.settle(plan, {"task_size": 1})
        directory.sink.open(plan, {"loss": (2,)}, 1)
        directory.sink.save_state(plan, {"x": np.zeros(1)})
    with pytest.raises(StoreError, match="no record 'r'"):
        directory.drop_work("r")
    assert (directory.path / "work" / "r.zarr").is_dir()
    directory.save_record("r", profile(np.zeros(3)))
    directory.drop_work("r")
    assert sorted(p.name for p in (directory.path / "work").iterdir()) == ["rest.state.npz", "rest.zarr"]
    directory.drop_work("r")


def test_what_an_interrupt_left_half_made_goes_at_closing(directory: Directory) -> None:
    mine = directory.path / "work" / ".partial" / f"{os.getpid()}"
    other = directory.path / "work" / ".partial" / "1"  # of another process that lives
    for folder in (mine, other):
        folder.mkdir(parents=True)
        (folder / "half.png").write_text("half")
    directory.close()
    assert not mine.exists() and (other / "half.png").exists()
