"""Ctrl-C and SIGTERM wherever they strike: one line with the very command, a study that goes on with the same bits."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.faults import damage, forked, kills
from benchmarks.faults.forked import Moment

from thalweg import study
from thalweg.cli import interrupts, main

COMMANDS = {
    "plane": damage.PLANE,
    "train": damage.TRAIN,
    "spectrum": ("spectrum", "polynomial", "--k", "2", "--probes", "0", "--backend", "loop"),
    "connect": ("connect", "polynomial", "--method", "straight", "--no-tops", "--backend", "loop"),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_says_how_to_go_on(tmp_path: Path, name: str, number: signal.Signals) -> None:
    arguments = [*COMMANDS[name], "--threads", "1"]
    given = [*arguments, "--out", str(tmp_path / "study")]
    whole = forked.run(kills.command([*arguments, "--out", str(tmp_path / "whole")]), count=True)
    for share in (2, 4, 8):  # how many tasks there are is measured, and with it the number of lines
        end = forked.run(kills.command(given), Moment(line=whole.lines // share, signal=number))
        if end.code:
            break
        shutil.rmtree(tmp_path / "study")
    assert end.code == 128 + number, end.text
    assert end.text == f"thalweg: interrupted; go on with: thalweg {shlex.join([*given, '--resume'])}\n"
    assert not [p for p in tmp_path.rglob("*") if p.name.endswith(".partial")]
    assert forked.run(kills.command([*given, "--resume"])).code == 0
    assert kills.differences(tmp_path / "whole", tmp_path / "study") == []


def test_a_command_that_keeps_nothing_says_so() -> None:
    def work() -> None:
        study.perform = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)  # type: ignore[assignment]
        main([*damage.PLANE])

    end = forked.run(work)
    assert end.code == 130 and end.text.startswith("thalweg: interrupted, and nothing was kept: with --out DIR")


def test_a_second_interrupt_strikes_nothing_and_a_late_one_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def patient(clean: float) -> Callable[[], int]:
        def work() -> int:
            with interrupts.Interrupts() as caught:
                try:
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(10)
                except KeyboardInterrupt:
                    time.sleep(clean)
                    os.kill(os.getpid(), signal.SIGINT)
                    print("closed")
            os.kill(os.getpid(), signal.SIGINT)  # while the interpreter ends
            return caught.code or 0

        return work

    monkeypatch.setattr(interrupts, "GRACE_SECONDS", 60.0)
    end = forked.run(patient(0.0))
    assert (end.code, end.text) == (130, "closed\n")
    monkeypatch.setattr(interrupts, "GRACE_SECONDS", 0.1)
    end = forked.run(patient(0.3))
    assert end.code == 130 and "closed" not in end.text and "ended at once" in end.text


def test_signals_that_were_ignored_stay_ignored_and_others_are_put_back() -> None:
    def work() -> int:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        before = signal.getsignal(signal.SIGTERM)
        with interrupts.Interrupts() as caught:
            os.kill(os.getpid(), signal.SIGINT)
            assert signal.getsignal(signal.SIGTERM) != before
        return 0 if caught.code is None and signal.getsignal(signal.SIGTERM) == before else 1

    end = forked.run(work)
    assert end.code == 0, end.text
