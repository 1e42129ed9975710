"""Kill -9 a dozen times; the soak does it hundreds of times. A store that lies is found out."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest
import torch
from benchmarks.faults import forked, kills, recordings

from thalweg.store import Ledger
from thalweg.trajectories import read

PLANE = ("plane", "polynomial", "--steps", "15", "--backend", "stacked", "--threads", "1")


def test_a_killed_plane_is_readable_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    tally = kills.studies(PLANE, 6, random.Random(1), tmp_path)
    assert tally.wrong == [] and tally.kills == 6 and tally.repeated <= 6


def test_a_killed_recording_is_read_to_its_last_point(tmp_path: Path) -> None:
    tally = recordings.recordings(6, random.Random(1), tmp_path)
    assert tally.wrong == [] and tally.kills == 6


def test_a_ledger_that_says_done_too_early_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def claimed(ledger: Ledger, plan: str, tasks: int, real=Ledger.claim) -> int | None:  # type: ignore[no-untyped-def]
        task = real(ledger, plan, tasks)
        if task is not None:
            with ledger.database.exclusive() as db:
                db.execute("UPDATE tasks SET state = 'done', checksum = 'x' WHERE plan = ? AND task = ?", (plan, task))
        return task

    monkeypatch.setattr(Ledger, "claim", claimed)
    monkeypatch.setattr(Ledger, "finish", lambda *_: None)
    assert any(
        "differs from the ledger's checksum" in line
        for line in kills.studies(PLANE, 1, random.Random(0), tmp_path).wrong
    )


def test_two_processes_share_a_study_on_purpose(tmp_path: Path) -> None:
    arguments = [*PLANE, "--out", str(tmp_path / "shared"), "--resume"]

    def both() -> int:
        twin = os.fork()
        try:
            kills.command(arguments)()
        except SystemExit as end:
            code = int(end.code or 0)
        sys.stdout.flush()
        if twin == 0:
            os._exit(code)
        return 10 * os.waitstatus_to_exitcode(os.waitpid(twin, 0)[1]) + code

    end = forked.run(both)
    assert end.code == 0, end.text
    assert forked.run(kills.command([*PLANE, "--out", str(tmp_path / "whole")])).code == 0
    assert kills.differences(tmp_path / "whole", tmp_path / "shared") == []


def test_a_record_of_other_bits_is_found_out(tmp_path: Path) -> None:
    for name, half_width in (("a", "1"), ("b", "1.0000000001")):
        end = forked.run(kills.command([*PLANE, "--half-width", half_width, "--out", str(tmp_path / name)]))
        assert end.code == 0, end.text
    assert any("loss/c.0.0 differs" in line for line in kills.differences(tmp_path / "a", tmp_path / "b"))
    assert kills.differences(tmp_path / "a", tmp_path / "a") == []


def test_a_recording_that_lost_points_is_found_out(tmp_path: Path) -> None:
    assert forked.run(lambda: recordings.train(tmp_path / "run")).code == 0
    assert recordings.recorded(tmp_path / "run") == recordings.STEPS + 1 == len(read(tmp_path / "run"))
    model = recordings.network()
    with torch.no_grad():
        model.weight.mul_(1.001)
    from thalweg.trajectories import record

    with record(model, tmp_path / "other", every=1):
        recordings.step(model)
    assert recordings.recorded(tmp_path / "other") == -1
