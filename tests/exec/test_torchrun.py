"""Real processes under torchrun: the record of one process, whoever is killed; one line where a rank fails."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed import HashStore

from thalweg.cli import main
from thalweg.exec.distributed import Team
from thalweg.exec.leader import Leader
from thalweg.store import read_record

SUBJECT = """
import os, signal, time
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 3)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls > 60 and os.environ.get("RANK") == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            if os.environ.get("FATE") == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if os.environ.get("FATE") == "raises":
                raise ValueError("out of luck")
        time.sleep(float(os.environ.get("PAUSE", "0")))
        return self.lin(x)

def make():
    print("hello from a factory")
    x = torch.linspace(-1, 1, 30, dtype=torch.float64).reshape(10, 3)
    return Net().double(), nn.CrossEntropyLoss(), (x, torch.arange(10) % 3)
"""
PLANE = ["plane", "net.py:make", "--steps", "21", "--backend", "loop", "--threads", "1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net.py").write_text(SUBJECT)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("thalweg_subject_net", None)


def torchrun(ranks: int, *arguments: str, restarts: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    launch += [f"--max-restarts={restarts}", "-m", "thalweg", *arguments]
    known = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(launch, capture_output=True, text=True, env=known, timeout=300)


def alone(*arguments: str) -> None:
    with pytest.raises(SystemExit) as end:
        main([*PLANE, *arguments])
    assert not end.value.code


def said(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("thalweg:")]


def test_three_ranks_without_a_directory_answer_once_with_the_bits_of_one(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = torchrun(3, *PLANE, "--values", "--json")
    assert ran.returncode == 0, ran.stderr
    assert not said(ran.stderr) and ran.stderr.count("hello from a factory") == 1
    alone("--values", "--json")
    found, expected = json.loads(ran.stdout), json.loads(capfd.readouterr().out)
    assert found["values"] == expected["values"]
    assert {**found["cost"], "seconds": 0} == {**expected["cost"], "seconds": 0}


def test_a_killed_rank_costs_the_tasks_in_flight(folder: Path) -> None:
    ran = torchrun(2, *PLANE, "--out", "shared", restarts=1, FATE="killed", PAUSE="0.005")
    assert ran.returncode == 0, ran.stderr
    database = sqlite3.connect(folder / "shared" / "ledger.sqlite")
    tasks, attempts = database.execute("SELECT COUNT(*), SUM(attempts) FROM tasks").fetchone()
    database.close()
    assert 2 <= tasks < attempts <= tasks + 2, "one task of each rank was in flight"
    alone("--out", "alone")
    shared, one = (read_record(name + "/records/plane.zarr").arrays() for name in ("shared", "alone"))
    assert {n: a.tobytes() for n, a in shared.items()} == {n: a.tobytes() for n, a in one.items()}


def test_a_rank_that_fails_ends_all_with_one_line(folder: Path) -> None:
    ran = torchrun(2, *PLANE, "--out", "shared", FATE="raises", PAUSE="0.005")
    assert ran.returncode != 0
    assert said(ran.stderr) == ["thalweg: rank 1: ValueError: out of luck (one process alone shows where)"]


def test_only_a_study_that_these_ranks_had_begun_is_gone_on_with() -> None:
    store = HashStore()
    first = Leader(Team(0, 1, store, store, store))
    assert not first.had_begun(Path("a"))
    first.begin(Path("a"))
    assert not first.had_begun(Path("a"))  # the same life: --resume is to be said
    again = Leader(Team(0, 1, store, store, store, restarts=1))
    assert again.had_begun(Path("a")) and not again.had_begun(Path("b"))
