"""Processes that no launcher watches: whoever is left when one is killed says so in one line, and ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.distributed import HashStore

from thalweg.core.evaluate import Plan
from thalweg.core.recorded import Recorded
from thalweg.errors import StoreError
from thalweg.exec import distributed, ranks
from thalweg.exec.distributed import Team, join
from thalweg.exec.leader import Leader, Leading
from thalweg.exec.memory import MemoryLedger, MemorySink


class Gone(HashStore):
    """The store of a rank 0 that was killed."""

    def add(self, key: str, value: int) -> int:
        raise RuntimeError("recvValue failed on SocketImpl: Failed to recv, got 0 bytes")


@pytest.fixture
def bereft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "_silent", None)
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    store = Gone()
    monkeypatch.setattr(distributed, "_connected", lambda here: Team(here.rank, here.size, store, store, store))


@pytest.mark.usefixtures("bereft")
def test_a_rank_whose_rank_0_is_gone_says_so() -> None:
    with pytest.raises(StoreError, match=r"^rank 0 is gone: start all ranks again"), join():
        raise RuntimeError("recvValue failed")
    assert ranks.speaks()


@pytest.mark.usefixtures("bereft")
def test_an_interrupt_stays_one() -> None:
    with pytest.raises(KeyboardInterrupt), join():
        raise KeyboardInterrupt
    assert not ranks.speaks()


@pytest.mark.usefixtures("bereft")
def test_where_a_launcher_serves_the_store_it_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    with pytest.raises(RuntimeError, match="recvValue failed"), join():
        raise RuntimeError("recvValue failed")
    assert not ranks.speaks()


@pytest.mark.parametrize("taken", [True, False])
def test_a_task_that_never_comes_back_is_waited_for_as_long_as_was_said(
    monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    monkeypatch.setenv("THALWEG_PATIENCE", "0.2")
    store, ledger = HashStore(), MemoryLedger()
    leader = Leader(Team(0, 2, store, store, store))
    base = Recorded("p", ledger, MemorySink(), task_size=1)
    recorded = replace(base, watch=leader.watching(None), share=leader.share(dict))
    plan = Plan(lambda points: {"loss": points[:, 0]}, torch.zeros(3, 1, dtype=torch.float64), ("loss",))
    try:
        if taken:
            ledger.claim("p", 3)  # by a rank that is killed
            with pytest.raises(StoreError, match=r"no task has come back for 0.2 s: .* THALWEG_PATIENCE"):
                Leading(leader, recorded)(plan)
        else:
            assert Leading(leader, recorded)(plan).values["loss"].shape == (3,)
    finally:
        leader.close()
