"""Ctrl-C, SIGTERM and impatience in real processes: the exit code, the line, the seconds until the process is gone."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COMMANDS = {
    "plane": ("plane", "digits", "--steps", "101", "--backend", "loop"),
    "train": ("train", "digits", "--steps", "100000"),
    "spectrum": ("spectrum", "digits", "--k", "40", "--tol", "1e-12"),
    "connect": ("connect", "digits", "--method", "bezier", "--no-tops"),
    "atlas": ("atlas", "digits"),
}
"""Commands that take much longer than the wait for a signal."""


@dataclass(frozen=True)
class Interrupted:
    """How a process ended after a signal: its exit code, what it said, seconds of the clock until it was gone."""

    code: int
    out: str
    said: str
    seconds: float

    def wrong(self, number: int, arguments: Sequence[str]) -> list[str]:
        """What is not as it should be: the code, one line alone, and in it the very command with --resume."""
        again = shlex.join([*arguments, "--resume"])
        expected = f"thalweg: interrupted; go on with: thalweg {again}\n"
        if (self.code, self.out, self.said) == (128 + number, "", expected):
            return []
        return [f"exit code {self.code}, {self.out!r}, {self.said!r} instead of {expected!r}"]


def start(arguments: Sequence[str]) -> subprocess.Popen[str]:
    """A command as a terminal starts it: one thread, and no signal ignored."""
    return subprocess.Popen(
        [sys.executable, "-m", "thalweg", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def interrupt(
    arguments: Sequence[str], study: Path, number: int = signal.SIGINT, *, wait: float = 0.0, times: int = 1
) -> Interrupted:
    """Begin a study, signal it ``times`` times, ``wait`` seconds after it has begun to write, and watch it end."""
    process = start([*arguments, "--out", str(study)])
    try:
        deadline = time.monotonic() + 120
        while not (study / "ledger.sqlite").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(wait)
        clock = time.perf_counter()
        for again in range(times):
            time.sleep(0.05 if again else 0)
            process.send_signal(number)
        out, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return Interrupted(process.returncode, out, said, time.perf_counter() - clock)


def several(name: str, folder: Path, count: int, rng: random.Random) -> tuple[list[Interrupted], list[str]]:
    """Ctrl-C, SIGTERM and two Ctrl-C in turn, at random moments of one command; how they ended, what was wrong."""
    found, wrong = [], []
    for i in range(count):
        study = folder / f"{name}-{i}"
        number, times = ((signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGINT, 2))[i % 3]
        end = interrupt(COMMANDS[name], study, number, wait=rng.uniform(0, 2), times=times)
        found.append(end)
        wrong += end.wrong(number, [*COMMANDS[name], "--out", str(study)])
        wrong += [f"{p} was left behind" for p in study.rglob("*") if p.name.endswith(".partial") or ".npz." in p.name]
    return found, wrong
