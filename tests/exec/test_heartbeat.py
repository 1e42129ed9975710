"""A process that works renews its leases; another host takes over those that nobody renews."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import torch

from thalweg.core import heartbeat
from thalweg.core.evaluate import Plan
from thalweg.core.heartbeat import beating
from thalweg.core.recorded import Recorded
from thalweg.errors import StoreError
from thalweg.store import Directory
from thalweg.store.lease import EXPIRY_SECONDS, Owner


def lease(directory: Directory) -> float:
    with directory.ledger.database.guarded() as db:
        (leased,) = db.execute("SELECT leased FROM tasks WHERE state = 'leased'").fetchone()
    return float(leased)


@pytest.mark.parametrize("beats", [True, False])
def test_a_long_task_is_taken_over_only_where_nobody_gives_a_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beats: bool
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02 if beats else 1e6)
    renewed = threading.Event()
    clock, later = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: clock() + later[0])
    elsewhere = Owner("another host", 1, "then")
    seen: list[bool] = []

    with Directory.open(tmp_path / "d", {"command": "stub"}, resume=False) as directory:
        renew = directory.ledger.renew

        def noted(plan: str) -> None:
            renew(plan)
            if later[0]:
                renewed.set()

        monkeypatch.setattr(directory.ledger, "renew", noted)

        def fn(points: torch.Tensor) -> dict[str, torch.Tensor]:
            later[0] += EXPIRY_SECONDS + 1  # a task that takes long
            renewed.clear()
            assert renewed.wait(10 if beats else 0.1) is beats
            seen.append(elsewhere.gone(lease(directory)))
            return {"loss": points[:, 0]}

        plan = Plan(fn, torch.zeros(1, 1, dtype=torch.float64), ("loss",))
        Recorded("p", directory.ledger, directory.sink, task_size=1)(plan)
    assert seen == [not beats]


def test_only_the_leases_of_this_process_are_renewed(tmp_path: Path) -> None:
    with Directory.open(tmp_path / "d", {"command": "stub"}, resume=False) as directory:
        assert directory.ledger.claim("p", 2) == 0
        with directory.ledger.database.exclusive() as db:
            db.execute("UPDATE tasks SET leased = 1.0, host = 'another' WHERE task = 0")
        directory.ledger.renew("p")
        assert lease(directory) == 1.0


def test_a_store_that_refuses_a_beat_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.001)
    beats = threading.Semaphore(0)

    def refused() -> None:
        beats.release()
        raise StoreError("the disk is full")

    with beating(refused):
        assert beats.acquire(timeout=10) and beats.acquire(timeout=10)  # and it goes on
