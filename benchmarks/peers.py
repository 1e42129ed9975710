"""The same plane by other packages, each in an environment of its own that this script makes.

Every package runs in a process of its own (``peer_worker.py``) and is timed in turn with the others. One that cannot
be installed or crashes is a row with its reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import torch
from torch import Tensor

import thalweg as tw
from benchmarks import problems
from benchmarks.harness import Table, interleaved, median, ratio, threads
from benchmarks.peer_worker import PACKAGES

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".peers"
"""Kept between runs; not part of the project."""

WORKER = Path(__file__).with_name("peer_worker.py")

LIMIT = 600
"""Seconds that an installation, or one plane, may take."""

COLUMNS = ["package", "version", "ms per point", "ours is faster by", "largest relative error", ""]


def python_of(package: str) -> Path:
    """The interpreter of a package's environment, made when it is not there; torch as here if the package allows it.

    Raises
    ------
    RuntimeError
        With the last line of what the installer said.
    """
    folder = FOLDER / package
    python, done = folder / "bin" / "python", folder / "installed"
    if done.exists():
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "numpy", package]
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    for asked in (next(line for line in pins if line.startswith("torch==")), "torch"):
        found = subprocess.run([*install, asked], capture_output=True, text=True, timeout=LIMIT)
        if not found.returncode:
            done.touch()
            return python
    raise RuntimeError((found.stderr.strip().splitlines() or ["the installer failed"])[-1])


class Peer:
    """A package that does its work whenever called.

    Raises
    ------
    RuntimeError
        With the last line of its errors, if it ends or takes longer than ``LIMIT``.
    """

    def __init__(self, package: str, file: Path, *options: object, worker: str = WORKER.name) -> None:
        command = [str(python_of(package)), str(WORKER.with_name(worker)), package, str(file), *map(str, options)]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- held as long as the process
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, cwd=file.parent
        )
        try:
            about = self._answer()
        except RuntimeError:
            self.close()
            raise
        self.version, self.torch = about["version"], about["torch"]
        self.found = torch.load(f"{file}.{package}", weights_only=True)

    def __call__(self) -> float:
        """Seconds of one more."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._answer()["seconds"]

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def _answer(self) -> dict:
        assert self.process.stdout is not None
        late = threading.Event()
        timer = threading.Timer(LIMIT, lambda: (late.set(), self.process.kill()))
        timer.start()
        try:
            for line in self.process.stdout:
                if line.startswith("RESULT "):
                    return json.loads(line.removeprefix("RESULT "))
        finally:
            timer.cancel()
        self.errors.seek(0)
        last = (self.errors.read().strip().splitlines() or ["it ended without a word"])[-1]
        raise RuntimeError(f"no answer within {LIMIT} s" if late.is_set() else last.replace(str(ROOT), "…"))

    def error(self, exact: tw.EmpiricalRisk, coefficients: Tensor) -> str:
        """Largest relative difference from the float64 loop at its own points; a dash where those are not known."""
        if self.found["directions"] is None:
            return "–"
        space = exact.restrict(exact.initial.theta, self.found["directions"].double())
        reference = space.evaluate(coefficients)["loss"]
        return f"{float(((self.found['values'].flatten() - reference) / reference).abs().max()):.0e}"


def main(quick: bool = False) -> list[Table]:
    """784-64-64-10, 2,000 rows, 21×21."""
    if quick:
        print("peers: left out of a quick run, for they are installed from the package index")
        return []
    widths, steps, repeats = (784, 64, 64, 10), 21, 7
    problem = problems.perceptron(*widths, rows=2000)
    risk, coefficients = problems.risk(problem), problems.grid(steps)
    theta = risk.initial.theta
    directions = problems.subspace(risk).directions.dense()
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / "problem.pt"
    state = {name: p.detach() for name, p in problem[0].state_dict().items()}
    held = {"widths": list(widths), "state": state, "inputs": problem[2], "targets": problem[3]}
    torch.save({**held, "directions": directions}, file)

    def ours() -> Tensor:
        """From the module on, so that the choice of a backend and what is computed once are within the time."""
        return problems.risk(problem).restrict(theta, directions).evaluate(coefficients)["loss"]

    peers, failed = {}, []
    for package in PACKAGES:
        try:
            peers[package] = Peer(package, file, steps)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            failed.append([package, "", "", "", "", str(error).splitlines()[0][:120]])
    with threads(2):
        times = interleaved({"thalweg": ours, **peers}, repeats)
        exact = risk.to(torch.float64).with_backend("loop")
        reference = exact.restrict(theta.double(), directions.double()).evaluate(coefficients)["loss"]
        gap = float(((ours() - reference) / reference).abs().max())
        cost = {name: f"{1000 * median(found) / steps**2:.3f}" for name, found in times.items()}
        rows = [["thalweg", tw.__version__, cost["thalweg"], "1", f"{gap:.0e}", ""]]
        for package, peer in peers.items():
            said = "" if peer.torch == torch.__version__ else f"torch {peer.torch}"
            faster = ratio(times[package], times["thalweg"])
            rows.append([package, peer.version, cost[package], faster, peer.error(exact, coefficients), said])
    for peer in peers.values():
        peer.close()
    note = (
        f"A plane around the same network on the same rows, 2 threads, medians of {repeats} interleaved calls and, in "
        "brackets, least times. What is timed is all of what a user calls, without drawing; ours begins with the "
        "module, so that it includes the choice of a backend. Every package has the rows in memory as one batch and "
        "draws along the same two directions; landscaper rescales them, and loss-landscapes draws its own, so that "
        "its points are not known. The error is against the float64 loop at each package's own points; landscaper "
        "adds noise to the largest value."
    )
    return [Table("Other packages, 784-64-64-10, 2,000 rows, 21×21", COLUMNS, [*rows, *failed], note)]
