"""``python -m benchmarks.soak [NAME …] [--quick] [--write]``: faults injected, survived and lost, case by case.

``--write`` puts the tables into docs/reliability.md; those of cases that were not run stay as they were. A case is a
function of (quick, folder) that returns tables; :data:`CASES` lists them. What went wrong is printed, and the exit
code is then 1.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults import damage, forked, interrupts, kills, recordings
from benchmarks.harness import Table, machine

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
HEAD = """# Reliability

Faults are injected into studies in progress; every table below is written by `make soak`. A fault counts as survived
if nothing is wrong afterwards: the study can be read, no more is computed again than what was in flight, and the
record that comes out in the end has the bits of an uninterrupted one.
"""
COLUMNS = ("fault", "injected", "survived", "lost", "what the user sees")


@dataclass
class Result:
    """Rows of one table, and everything that went wrong."""

    title: str
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""
    wrong: list[str] = field(default_factory=list)

    def add(self, fault: str, injected: int, survived: int, lost: str, seen: str) -> None:
        """One row."""
        self.rows.append([fault, f"{injected}", f"{survived}", lost, seen])

    def table(self) -> Table:
        """For the page."""
        return Table(self.title, COLUMNS, self.rows, self.note)


Case = Callable[[bool, Path], Result]

KILLED = {
    "plane": (("plane", "polynomial", "--steps", "21", "--backend", "stacked"), 50),
    "line": (("line", "polynomial", "--steps", "61", "--repeats", "3", "--backend", "stacked"), 35),
    "train": (("train", "polynomial", "--steps", "150", "--count", "2", "--backend", "loop"), 30),
    "spectrum": (("spectrum", "polynomial", "--k", "3", "--backend", "loop"), 25),
    "connect": (("connect", "polynomial", "--method", "straight,string", "--no-tops", "--backend", "loop"), 10),
}
"""Commands that are killed, and how often in a full run; with the recordings that makes 210."""

RECORDED = 60


def killed(quick: bool, folder: Path) -> Result:
    """Kill -9 of commands and of recordings."""
    result, places = Result("kill -9 at random moments"), dict[str, int]()
    forked.load()
    with ProcessPoolExecutor(2 if quick else 4, multiprocessing.get_context("fork")) as pool:
        found = {
            name: pool.submit(
                kills.studies, [*arguments, "--threads", "1"], 6 if quick else many, random.Random(name), folder / name
            )
            for name, (arguments, many) in KILLED.items()
            if not quick or name in ("plane", "train")
        }
        trained = pool.submit(recordings.recordings, 4 if quick else RECORDED, random.Random(0), folder / "recordings")
    for name, future in found.items():
        tally = future.result()
        lost = f"{tally.repeated} tasks begun again" if name in ("plane", "line") else "steps since the last state"
        _tallied(result, f"`thalweg {name} … --resume`", tally, lost, places)
    _tallied(result, "a training loop with the recorder", trained.result(), "no point that was written", places)
    parts = ", ".join(f"{part} {count}" for part, count in sorted(places.items(), key=lambda item: -item[1]))
    result.note = (
        "A third of the kills come by the clock, a third at a random line of the code that writes (store, recorder, "
        f"session, zarr's files), a third just after one. Where they fell: {parts}. `thalweg show` read every study "
        "after every kill; finished tasks were never begun again; `connect` draws its two networks from seeds."
    )
    return result


def _tallied(result: Result, fault: str, tally: kills.Tally, lost: str, places: dict[str, int]) -> None:
    survived = tally.kills if not tally.wrong else 0
    seen = f"nothing; {tally.studies} studies ended with the bits of a whole one"
    result.add(fault, tally.kills, survived, lost, seen)
    result.wrong += [f"{fault}: {line}" for line in tally.wrong]
    for place, count in tally.places.items():
        part = place.partition(".")[0]
        places[part] = places.get(part, 0) + count


def damaged(quick: bool, folder: Path) -> Result:
    """Damage, full disks, foreign studies."""
    result = Result("Damage, full disks, other studies")
    forked.load()
    for i, fault in enumerate(damage.FAULTS[:3] if quick else damage.FAULTS):
        here = folder / f"{i}"
        here.mkdir(parents=True)
        wrong, told = damage.inject(fault, here)
        seen = told.replace(str(here), "FOLDER").replace("|", "/") or "nothing: the command ends well"
        result.add(fault.name, 1, int(not wrong), fault.lost, seen)
        result.wrong += [f"{fault.name}: {line}" for line in wrong]
    result.note = (
        "What is said is one line that names file and remedy, exit code 2; what was there before stays as it was."
    )
    return result


def interrupted(quick: bool, folder: Path) -> Result:
    """Ctrl-C and SIGTERM of real processes."""
    result = Result("Ctrl-C and SIGTERM")
    for name in ("plane",) if quick else interrupts.COMMANDS:
        ends, wrong = interrupts.several(name, folder / name, 3 if quick else 6, random.Random(name))
        seconds = [end.seconds for end in ends]
        lost = f"tasks in flight; gone after {statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s"
        result.add(f"`thalweg {name}`", len(ends), len(ends) - len(wrong), lost, "one line: the command that goes on")
        result.wrong += [f"{name}: {line}" for line in wrong]
    result.note = (
        "In turn Ctrl-C, SIGTERM, and Ctrl-C twice, up to two seconds after the study was begun. Seconds are from the "
        "signal until the process is gone, the end of the interpreter included. Exit code 130, or 143 after SIGTERM."
    )
    return result


def fuzzed(quick: bool, folder: Path) -> Result:
    """Changed bytes, command lines of any kind, methods on models and rows of any kind."""
    from benchmarks import fuzz
    from benchmarks.faults import arguments, methods

    result = Result("Hostile input, at random")
    found = fuzz.fuzz(20 if quick else 300, 1000)
    fuzz.clear()
    said = f"one line, {found.refused.total():,} times; the right answer, {found.right.total():,} times"
    _fuzzed(result, "files and ledgers with changed bytes or values", found.cases.total(), found.defects, said)
    lines = arguments.several(20 if quick else 1000, 1, folder)
    said = f"one line, {sum(end.code == 2 for end in lines):,} times; an answer, {sum(not end.code for end in lines):,}"
    _fuzzed(result, "command lines of any kind", len(lines), [end.wrong for end in lines if end.wrong], said)
    counts = methods.Counts()
    for seed in range(2 if quick else 100):
        for name in methods.METHODS:
            methods.once(name, seed, counts)
    answered, refused = counts.answered.total(), counts.refused.total()
    said = f"one line, {refused:,} times; a record that says what is not finite, {answered:,} times"
    tried = answered + refused + len(counts.defects)
    _fuzzed(result, "methods on models, rows and points of any kind", tried, counts.defects, said)
    result.note = (
        "Lost are tracebacks, work without end, wrong answers without a word, storms of warnings, and files that a "
        "refusal leaves behind. Command lines run in children with limits of time and memory."
    )
    return result


def _fuzzed(result: Result, fault: str, tried: int, defects: list[str], said: str) -> None:
    result.add(fault, tried, tried - len(defects), f"{len(defects)}", said)
    result.wrong += defects


CASES: dict[str, str] = {
    "kills": "benchmarks.soak:killed",
    "damage": "benchmarks.soak:damaged",
    "interrupts": "benchmarks.soak:interrupted",
    "fuzz": "benchmarks.soak:fuzzed",
}
"""Cases by name, each as module:function, so that one that was not asked for is not imported."""


def write(name: str, result: Result) -> None:
    """Replace a case's section of the page."""
    page = PAGE.read_text() if PAGE.exists() else HEAD
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    section = f"{begin}\n\n{result.table().markdown()}\n_{machine()}._\n\n{end}"
    if begin not in page:
        page = f"{page.rstrip()}\n\n{section}\n"
    PAGE.write_text(re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: section, page, flags=re.DOTALL))


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*CASES, []], help="which; all by default")
    parser.add_argument("--quick", action="store_true", help="a few faults of each kind")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/reliability.md")
    parser.add_argument("--folder", type=Path, help="where the studies lie; by default in memory where there is room")
    given = parser.parse_args()
    shared, failed = Path("/dev/shm"), False
    for name in given.names or CASES:
        module, _, function = CASES[name].partition(":")
        clock = time.perf_counter()
        with tempfile.TemporaryDirectory(dir=given.folder or (shared if shared.is_dir() else None)) as folder:
            Path(folder).chmod(0o755)  # for the stranger who may read and not write
            result: Result = getattr(importlib.import_module(module), function)(given.quick, Path(folder))
        print(result.table().text(), f"{time.perf_counter() - clock:.0f} s", *result.wrong, sep="\n", flush=True)
        failed = failed or bool(result.wrong)
        if given.write and not given.quick:
            write(name, result)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
