"""Real processes: killed at any moment they lose the task in flight, and several share one plan."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.store import worker
from thalweg.core.evaluate import Inline
from thalweg.store import Directory, Ledger

TASKS = worker.POINTS // worker.TASK


def start(directory: Path, result: Path) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, "-m", "tests.store.worker", str(directory), str(result)], cwd=root)


def done(directory: Path) -> dict[int, tuple[str, int]]:
    """Checksum and attempts of the tasks that are done, as a process that writes nothing sees them."""
    try:
        db = sqlite3.connect(f"file:{directory / 'ledger.sqlite'}?mode=ro", uri=True)
        try:
            rows = db.execute("SELECT task, checksum, attempts FROM tasks WHERE state = 'done'").fetchall()
            return {task: (checksum, attempts) for task, checksum, attempts in rows}
        finally:
            db.close()
    except sqlite3.Error:  # not made yet
        return {}


def same(result: Path) -> bool:
    expected = Inline()(worker.plan()).values
    with np.load(result) as found:
        return {n: found[n].tobytes() for n in found.files} == {n: x.tobytes() for n, x in expected.items()}


def test_killed_twice_and_resumed_gives_the_same_bits_and_repeats_no_finished_task(tmp_path: Path) -> None:
    directory, result = tmp_path / "d", tmp_path / "result.npz"
    finished: dict[int, tuple[str, int]] = {}
    for goal in (2, 5):
        process = start(directory, result)
        deadline = time.monotonic() + 120
        while len(done(directory)) < goal and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        before, finished = finished, done(directory)
        assert before.items() <= finished.items()
        assert goal <= len(finished) < TASKS, "the kill came too early or too late to test anything"
    assert start(directory, result).wait(timeout=120) == 0
    after = done(directory)
    assert set(after) == set(range(TASKS)) and finished.items() <= after.items()  # none of them was begun again
    attempts = [tries for _, tries in after.values()]
    assert attempts.count(1) >= TASKS - 2 and sum(attempts) <= TASKS + 2  # one task in flight at each kill, at most
    with Directory.open(directory, {"command": "stub"}, resume=True) as opened:
        assert dict(opened.ledger.attempts("p")) == {task: tries for task, (_, tries) in after.items()}
    assert same(result)


def test_two_processes_share_a_plan(tmp_path: Path) -> None:
    results = [tmp_path / "a.npz", tmp_path / "b.npz"]
    processes = [start(tmp_path / "d", result) for result in results]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert all(same(result) for result in results)
    attempts = Ledger(tmp_path / "d" / "ledger.sqlite").attempts("p")
    assert dict(attempts) == dict.fromkeys(range(TASKS), 1)
