"""Changed bytes of everything that is read: the right answer, or one line; nothing else, and nothing is written.

``THALWEG_FUZZ_SECONDS`` makes it as long as one likes; ``python -m benchmarks.fuzz`` is the same without pytest.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from benchmarks import fuzz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thalweg.errors import DamagedError, StoreError, ThalwegError
from thalweg.store import Directory, Ledger
from thalweg.store.database import Database
from thalweg.store.sink import Sink

FOUND = [
    ("unfinished study, resumed", 1),  # metadata of the working arrays: UnicodeDecodeError, JSONDecodeError
    ("unfinished study, resumed", 2),
    ("unfinished study, resumed", 14),
    ("finished study, resumed", 8),  # SQLite's own message was no UTF-8
    ("values of a ledger", 100),  # a lease without a time
    ("values of a ledger", 102),  # tasks whose plan has lost its settings
    ("values of a ledger", 107),
    ("values of a ledger", 115),  # notes that are no objects
    ("values of a ledger", 128),  # a note nested 10,000 deep
    ("values of a ledger", 137),  # the task 1.5
    ("values of a finished ledger", 129),  # a state that is none kept a resume waiting
    ("directions .json", 50073),  # a probe of other directions than there are
]
"""Cases that once ended in a traceback or not at all; what each was is tested below by itself, too."""


@pytest.fixture(scope="module", autouse=True)
def cleared() -> Iterator[None]:
    yield
    fuzz.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_unchanged_files_are_read(name: str) -> None:
    assert fuzz._expected(name) is not None


@pytest.mark.parametrize(("name", "seed"), FOUND)
def test_what_was_once_found_stays_mended(name: str, seed: int, folder: Path) -> None:
    assert not fuzz.once(name, seed, folder).defects


@settings(max_examples=90, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(sorted(fuzz.TARGETS)), seed=st.integers(0, 2**32 - 1))
def test_changed_bytes_give_the_right_answer_or_one_line(name: str, seed: int, folder: Path) -> None:
    found = fuzz.once(name, seed, folder)
    assert not found.defects and found.right[name] + found.refused[name] == 1


@pytest.mark.skipif("THALWEG_FUZZ_SECONDS" not in os.environ, reason="set THALWEG_FUZZ_SECONDS to fuzz for so long")
def test_changed_bytes_for_as_long_as_asked() -> None:
    found = fuzz.fuzz(float(os.environ["THALWEG_FUZZ_SECONDS"]), seed=int(os.environ.get("THALWEG_FUZZ_SEED", "0")))
    assert not found.defects and found.cases.total() > 0


def test_the_fuzzer_sees_what_it_is_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a reader without checks, one that fails in its own way, and one that never ends."""
    plain = fuzz.TARGETS["record .npz"]

    def wrong(case: Path) -> object:
        return next(p for p in case.iterdir()).read_bytes()

    def fails(case: Path) -> object:
        raise KeyError("x")

    def hangs(case: Path) -> object:
        while True:
            pass

    def writes(case: Path) -> object:
        (case / "new").touch()
        raise StoreError("one line")

    monkeypatch.setattr(fuzz, "HANG_SECONDS", 0.2)
    for read, word in (
        (wrong, "another answer"),
        (fails, "KeyError"),
        (hangs, "no end"),
        (writes, "changed the files"),
    ):
        monkeypatch.setitem(fuzz.TARGETS, read.__name__, fuzz.Target(plain.make, read))
        (defect,) = fuzz.once(read.__name__, 5, folder).defects
        assert word in defect


# --- what it found, by itself ---------------------------------------------------------------------------------


def test_a_view_in_place_of_a_table_is_refused(tmp_path: Path) -> None:
    """A view runs when it is read; one that recurs would never end."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "CREATE VIEW meta AS WITH RECURSIVE n(key) AS (SELECT 1 UNION ALL SELECT key + 1 FROM n) SELECT * FROM n"
        )
    for readonly in (False, True):
        with pytest.raises(StoreError, match="the view 'meta', no table of a study"):
            Database(path, readonly=readonly)
    path.unlink()
    ledger = Ledger(path)
    ledger.database.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TRIGGER t AFTER INSERT ON plans BEGIN DELETE FROM tasks; END")
    with pytest.raises(StoreError, match="the trigger 't'"):
        Ledger(path)


@pytest.mark.parametrize("size", [0, -1, 1.5, "x", None])
def test_a_task_size_that_is_none_is_refused(size: object, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.settle("p", {"points": 3, "task_size": size})
    with pytest.raises(StoreError, match="has task_size="):
        ledger.settle("p", {"points": 3})


def test_tasks_without_their_settings_are_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.settle("p", {"points": 3, "task_size": 1})
    assert ledger.claim("p", 3) == 0
    with ledger.database.exclusive() as db:
        db.execute("UPDATE plans SET name = 'q'")
    with pytest.raises(StoreError, match="its settings are gone"):
        ledger.settle("p", {"points": 3})


@pytest.mark.parametrize("task", [-1, 1.5, 10**12, "x"])
def test_a_task_that_is_none_is_refused(task: object, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.settle("p", {"points": 2, "task_size": 1})
    for number in (0, 1):
        assert ledger.claim("p", 2) == number
    with ledger.database.exclusive() as db:
        db.execute("UPDATE tasks SET task = ?, state = 'pending' WHERE task = 0", (task,))
    with pytest.raises(StoreError, match=r"has the task .* of 2"):
        ledger.claim("p", 2)


NO_LEASES = [("pid", None), ("pid", "x"), ("pid", -1), ("pid", 0), ("pid", 10**15), ("host", None), ("started", None),
             ("leased", None), ("leased", "x"), ("state", "x"), ("state", "")]  # fmt: skip


@pytest.mark.parametrize(("column", "value"), NO_LEASES)
def test_a_lease_that_is_none_is_held_by_nobody(column: str, value: object, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.settle("p", {"points": 1, "task_size": 1})
    assert ledger.claim("p", 1) == 0 and ledger.claim("p", 1) is None  # the control: this process lives
    with ledger.database.exclusive() as db:
        db.execute(f"UPDATE tasks SET {column} = ?", (value,))
    assert ledger.claim("p", 1) == 0


@pytest.mark.parametrize("text", ["", "x", "[]", "null", "3", "[" * 100_000])
def test_a_note_that_is_no_object_is_refused(text: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.put("meta", "k", text)
    with pytest.raises(StoreError, match="is no"):
        ledger.note("k")
    ledger.put("meta", "k", '{"a": 1}')
    assert ledger.note("k") == {"a": 1} and ledger.note("other") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 100_000, b'{"zarr_format": 9}'])
@pytest.mark.parametrize("name", ["zarr.json", "a/zarr.json"])
def test_metadata_of_working_arrays_that_are_damaged_are_refused(content: bytes, name: str, tmp_path: Path) -> None:
    Sink(tmp_path).open("p", {"a": (4,)}, 2)
    (tmp_path / "p.zarr" / name).write_bytes(content)
    with pytest.raises(DamagedError, match=r"p\.zarr.* cannot be read"):
        Sink(tmp_path).open("p", {"a": (4,)}, 2)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(content=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_any_bytes_as_the_request_of_a_study(content: bytes, folder: Path) -> None:
    path = folder / "requested"
    path.mkdir(exist_ok=True)
    (path / "study.json").write_bytes(content)
    with pytest.raises(ThalwegError) as error:
        Directory.check(path, {"command": "plane"}, resume=True)
    assert "\n" not in str(error.value) and [p.name for p in path.iterdir()] == ["study.json"]


def test_cases_are_the_same_for_the_same_seed(folder: Path) -> None:
    one, two = (fuzz.once("record .npz", 3, folder).summary() for _ in range(2))
    assert one == two and np.isfinite(one["cases"])


def test_a_plan_without_a_name_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.settle("p", {"points": 3, "task_size": 1})
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db, db:
        db.execute("UPDATE plans SET name = NULL")
    with pytest.raises(StoreError, match="the name of a plan is damaged"):
        ledger.plans()
