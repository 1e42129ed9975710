"""The ledger: tasks go to one process each, leases of the dead are taken over, errors are one line."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import pytest

from thalweg.errors import StoreError
from thalweg.records import Cost
from thalweg.store import Ledger, database
from thalweg.store.lease import EXPIRY_SECONDS, Owner


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def test_the_first_settings_win_and_a_difference_is_quoted(ledger: Ledger) -> None:
    first = {"task_size": 3, "points": 10, "backend": "loop", "level": float("nan")}
    assert ledger.settle("p", first)["task_size"] == 3
    assert ledger.settle("p", {**first, "task_size": 5})["task_size"] == 3
    with pytest.raises(StoreError, match="p was begun with backend=loop and is now asked with backend=vmap"):
        ledger.settle("p", {**first, "backend": "vmap"})
    with pytest.raises(StoreError, match="rows=None and is now asked with rows=7"):
        ledger.settle("p", {**first, "rows": 7})
    assert ledger.settle("q", {"task_size": 9})["task_size"] == 9 and ledger.plans() == ["p", "q"]


def test_a_task_given_back_can_be_claimed_again_and_a_done_one_cannot(ledger: Ledger) -> None:
    assert [ledger.claim("p", 2), ledger.claim("p", 2)] == [0, 1]
    ledger.finish("p", 0, "a", Cost())
    ledger.release("p", 0)
    ledger.release("p", 1)
    assert [ledger.claim("p", 2), ledger.claim("p", 2)] == [1, None]
    assert dict(ledger.attempts("p")) == {0: 1, 1: 2}


def test_a_task_is_done_once(ledger: Ledger) -> None:
    with pytest.raises(StoreError, match="task 0 of p was not claimed"):
        ledger.finish("p", 0, "a", Cost())
    ledger.claim("p", 1)
    ledger.finish("p", 0, "a", Cost(forwards=1))
    ledger.finish("p", 0, "a", Cost(forwards=1))
    with pytest.raises(StoreError, match="results a and b: the objective is not deterministic"):
        ledger.finish("p", 0, "b", Cost())
    assert ledger.cost("p").forwards == 1 and dict(ledger.checksums("p")) == {0: "a"}


def test_notes_are_kept_and_replaced(ledger: Ledger) -> None:
    assert ledger.get("meta", "objective") is None
    ledger.put("meta", "objective", "a")
    ledger.put("meta", "objective", "b")
    assert Ledger(ledger.database.path).get("meta", "objective") == "b"


# --- processes --------------------------------------------------------------------------------------------


def claims(path: str, barrier: Any, queue: Queue[list[int]]) -> None:
    barrier.wait(timeout=60)
    ledger = Ledger(Path(path))
    mine = []
    while (task := ledger.claim("p", 60)) is not None:
        mine.append(task)
        time.sleep(0.002)
        ledger.finish("p", task, "x", Cost())
    queue.put(mine)


def test_two_processes_claim_different_tasks(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"  # neither finds it there: they also make it together
    context = multiprocessing.get_context("spawn")
    queue: Queue[list[int]] = context.Queue()
    barrier = context.Barrier(2)
    workers = [context.Process(target=claims, args=(str(path), barrier, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [queue.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(found[0] + found[1]) == list(range(60)) and all(found)
    assert set(Ledger(path).attempts("p").values()) == {1}


def test_the_lease_of_a_killed_process_is_taken_over_and_a_living_ones_is_not(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    code = (
        "import sys, time; from pathlib import Path; from thalweg.store import Ledger\n"
        "print(Ledger(Path(sys.argv[1])).claim('p', 3), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "0\n"
        ledger = Ledger(path)
        assert ledger.claim("p", 3) == 1  # it lives, so its task is left to it
        other.kill()
        other.wait()
    assert [ledger.claim("p", 3) for _ in range(3)] == [0, 2, None]
    assert dict(ledger.attempts("p")) == {0: 2, 1: 1, 2: 1}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="start times are read from /proc")
def test_a_number_that_was_given_to_another_process_is_no_lease() -> None:
    mine, now = Owner.this(), time.time()
    assert mine.pid == os.getpid() and not mine.gone(0.0)  # alive, however old the lease
    assert dataclasses.replace(mine, started="another boot:1").gone(now)
    assert not dataclasses.replace(mine, started="").gone(now)  # taken where the system did not say
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        started = Path(f"/proc/{ended.pid}/stat").read_text().rpartition(")")[2].split()[19]
        owner = Owner(mine.host, ended.pid, f"{mine.started.partition(':')[0]}:{started}")
        deadline = time.monotonic() + 30
        while not owner.gone(now) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert ended.returncode is None and owner.gone(now)  # a zombie, not yet waited for
    assert owner.gone(now)


def test_a_lease_of_another_host_expires(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    assert ledger.claim("p", 1) == 0
    monkeypatch.undo()
    assert ledger.claim("p", 1) is None
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + EXPIRY_SECONDS + 1)
    assert ledger.claim("p", 1) == 0


def test_threads_share_a_ledger_and_a_forked_child_has_its_own(ledger: Ledger) -> None:
    found: list[int | None] = []
    threads = [threading.Thread(target=lambda: found.append(ledger.claim("p", 8))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(x for x in found if x is not None) == list(range(8))
    before = ledger.database._db
    ledger.database._pid = -1  # as it is in a child
    assert ledger.attempts("p")[0] == 1 and ledger.database._db is not before
    assert before.execute("SELECT 1").fetchone() == (1,)  # the parent's is not closed under it


# --- journals and errors ----------------------------------------------------------------------------------


def test_the_ledger_says_which_journal_it_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Ledger(tmp_path / "a").journal == "wal"
    connect = sqlite3.connect
    # SQLite's locks by file know no shared memory: the same refusal as on a file system without it.
    monkeypatch.setattr(sqlite3, "connect", lambda path, **k: connect(f"{path}&vfs=unix-dotfile", **k))
    fallen = Ledger(tmp_path / "b")
    assert fallen.journal == "delete" and [fallen.claim("p", 2), fallen.claim("p", 2)] == [0, 1]
    monkeypatch.undo()
    monkeypatch.setattr(database, "on_network", lambda path: True)
    moved = Ledger(tmp_path / "a")  # begun on a disk, moved to a network
    assert moved.journal == "delete" and moved.claim("p", 1) == 0


def test_network_file_systems_are_told_by_the_closest_mount(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(
        "/dev/sdb /home/scratch xfs rw 0 0\nserver:/home /home nfs4 rw 0 0\n/dev/vda / ext4 rw 0 0\n"
        "//server/x /mnt/two\\040words cifs rw 0 0\n"
    )
    expected = {"/x": False, "/home/me/d": True, "/home/scratch/d": False, "/homely/d": False, "/mnt/two words": True}
    assert {path: database.on_network(Path(path), table) for path in expected} == expected
    assert not database.on_network(Path("/x"), tmp_path / "none")


def test_a_file_that_is_no_ledger_or_a_damaged_one_is_one_line(tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "text").write_bytes(b"not a database at all, really" * 99)
    with pytest.raises(StoreError, match=r"text: .*damaged; begin the study in another directory"):
        Ledger(tmp_path / "text")
    ledger.claim("p", 900)
    ledger.database.fold()
    ledger.close()
    path = tmp_path / "ledger.sqlite"
    body = path.read_bytes()
    path.write_bytes(body[:4096] + b"\x55" * (len(body) - 4096))
    with pytest.raises(StoreError, match=r"ledger\.sqlite: .*damaged") as caught:
        Ledger(path).claim("p", 900)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_line_and_leaves_the_ledger_whole(ledger: Ledger) -> None:
    with ledger.database.guarded() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(StoreError, match=r"disk is full: free disk space, then the same command with --resume"):
        ledger.claim("p", 50_000)
    assert dict(ledger.attempts("p")) == {}
    with ledger.database.guarded() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    assert ledger.claim("p", 5) == 0


def test_a_ledger_for_reading_refuses_to_write(ledger: Ledger, tmp_path: Path) -> None:
    ledger.claim("p", 1)
    with pytest.raises(StoreError, match="readonly database: make the directory writable"):
        Ledger(tmp_path / "ledger.sqlite", readonly=True).claim("p", 2)
    with pytest.raises(StoreError, match="unable to open"):
        Ledger(tmp_path / "none" / "ledger.sqlite")


def test_a_long_writer_is_waited_for_and_then_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    ledger, other = Ledger(tmp_path / "l"), Ledger(tmp_path / "l")
    with other.database.exclusive():
        clock = time.monotonic()
        with pytest.raises(StoreError, match="locked: another process is writing"):
            ledger.claim("p", 1)
        assert time.monotonic() - clock >= 0.15
    assert ledger.claim("p", 1) == 0
