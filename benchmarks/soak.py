"""``python -m benchmarks.soak [NAME …] [--quick] [--write]``: faults injected, survived and lost, case by case.

``--write`` puts the table of each case into docs/reliability.md as soon as the case is through; those of cases that
were not run stay as they were. A case is a function of (quick, folder, seed) that returns a table; :data:`CASES` lists
them. What went wrong is printed, and the exit code is then 1.
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
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults import damage, forked, interrupts, kills, recordings
from benchmarks.harness import Table, machine

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
INTRODUCTION = """# Reliability

Faults are injected into studies in progress; every table below is written by `make soak`. A fault counts as survived
if nothing is wrong afterwards: the study can be read, no more is computed again than what was in flight, and the
record that comes out in the end has the bits of an uninterrupted one. All others are lost.

What else is promised, and the tests that hold it, on every change:

| promise | tests |
| --- | --- |"""
PROMISES = {
    "a study on 1, 2 or 3 ranks, by points or by rows, in batches and chunks of any size, gives the same record": (
        "exec/test_equal.py",
        "exec/test_torchrun.py",
        "exec/test_rows_torchrun.py",
    ),
    "a killed rank costs the tasks in flight": ("exec/test_torchrun.py",),
    "parameters sharded over processes are read exactly, or refused in one line": ("exec/test_sharded.py",),
    "large networks and data in bounded memory": (
        "slices/test_large.py",
        "curvature/test_large.py",
        "core/test_large_data.py",
    ),
    "a kill at any moment; two processes on one study": (
        "faults/test_kills.py",
        "store/test_kill.py",
    ),
    "damaged, foreign and older studies, full disks": (
        "faults/test_damage.py",
        "store/test_directory.py",
    ),
    "files from strangers: no code of theirs runs, and none takes more memory than the limits allow": (
        "faults/test_hostile_files.py",
        "faults/test_hostile_code.py",
    ),
    "names from strangers are text in every page": ("faults/test_hostile_pages.py",),
    "any configuration, shape, type, number and byte: an answer or one line": (
        "faults/test_fuzz_configs.py",
        "faults/test_fuzz_methods.py",
        "faults/test_fuzz_arguments.py",
        "faults/test_fuzz_bytes.py",
    ),
    "Ctrl-C and SIGTERM leave a study that goes on": ("faults/test_interrupts.py",),
}
HEAD = "\n".join(
    [
        INTRODUCTION,
        *(f"| {promise} | {', '.join(f'`tests/{name}`' for name in names)} |" for promise, names in PROMISES.items()),
        "",
    ]
)

COLUMNS = ("fault", "injected", "survived", "lost", "what it costs", "what the user sees")


@dataclass
class Result:
    """Rows of one table, and everything that went wrong."""

    title: str
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""
    wrong: list[str] = field(default_factory=list)

    def add(self, fault: str, injected: int, wrong: list[str], costs: str, seen: str) -> None:
        """One row; each line of ``wrong`` is a fault that was not survived."""
        lost = min(len(wrong), injected)
        self.rows.append([fault, f"{injected:,}", f"{injected - lost:,}", f"{lost:,}", costs, seen])
        self.wrong += [f"{fault}: {line}" for line in wrong]

    def table(self) -> Table:
        """For the page."""
        return Table(self.title, COLUMNS, self.rows, self.note)


Case = Callable[[bool, Path, int], Result]

KILLED = {
    "plane": (("plane", "polynomial", "--steps", "21", "--backend", "stacked"), 50),
    "line": (("line", "polynomial", "--steps", "61", "--repeats", "3", "--backend", "stacked"), 35),
    "train": (("train", "polynomial", "--steps", "150", "--count", "2", "--backend", "loop"), 30),
    "spectrum": (("spectrum", "polynomial", "--k", "3", "--backend", "loop"), 25),
    "connect": (("connect", "polynomial", "--method", "straight,string", "--no-tops", "--backend", "loop"), 10),
}
"""Commands that are killed, and how often in a full run; with the recordings that makes 210."""

RECORDED = 60

FUZZED_SECONDS, FUZZED_LINES, FUZZED_MODELS = 240.0, 600, 80
"""Sizes of the three fuzzers in a full run, which takes less than 18 minutes on two cores."""


def killed(quick: bool, folder: Path, seed: int) -> Result:
    """Kill -9 of commands and of recordings."""
    result, places = Result("kill -9 at random moments"), dict[str, int]()
    forked.load()
    with ProcessPoolExecutor(2 if quick else 4, multiprocessing.get_context("fork")) as pool:
        found = {
            name: pool.submit(
                kills.studies,
                [*arguments, "--threads", "1"],
                6 if quick else many,
                random.Random(f"{name} {seed}"),
                folder / name,
            )
            for name, (arguments, many) in KILLED.items()
            if not quick or name in ("plane", "train")
        }
        trained = pool.submit(
            recordings.recordings, 4 if quick else RECORDED, random.Random(seed), folder / "recordings"
        )
    for name, future in found.items():
        tally = future.result()
        again = f"{tally.repeated} tasks in flight, begun again"
        costs = again if name in ("plane", "line") else "the steps since the last state was kept"
        _tallied(result, f"`thalweg {name} … --resume`", tally, costs, places)
    _tallied(result, "a training loop with the recorder", trained.result(), "the point that was being written", places)
    parts = ", ".join(f"{part} {count}" for part, count in sorted(places.items(), key=lambda item: -item[1]))
    result.note = (
        "A third of the kills come by the clock, a third at a random line of the code that writes (store, recorder, "
        f"session, zarr's files), a third just after one. Where they fell: {parts}. `thalweg show` read every study "
        "after every kill; finished tasks were never begun again; `connect` draws its two networks from seeds."
    )
    return result


def _tallied(result: Result, fault: str, tally: kills.Tally, costs: str, places: dict[str, int]) -> None:
    seen = f"nothing; {tally.studies} of {tally.studies} ended with the bits of a whole one"
    result.add(fault, tally.kills, tally.wrong, costs, seen if not tally.wrong else "see the output of the run")
    for place, count in tally.places.items():
        part = place.partition(".")[0]
        places[part] = places.get(part, 0) + count


def damaged(quick: bool, folder: Path, seed: int) -> Result:
    """Damage, full disks, foreign studies."""
    result = Result("Damage, full disks, other studies")
    forked.load()
    for i, fault in enumerate(damage.FAULTS[:3] if quick else damage.FAULTS):
        here = folder / f"{i}"
        here.mkdir(parents=True)
        wrong, told = damage.inject(fault, here)
        seen = told.replace(str(here), "FOLDER").replace("|", "/")
        result.add(fault.name, 1, wrong, fault.lost, f"`{seen}`" if seen else "nothing: the command ends well")
    result.note = (
        "What is said is one line that names file and remedy, exit code 2; what was there before stays as it was."
    )
    return result


def interrupted(quick: bool, folder: Path, seed: int) -> Result:
    """Ctrl-C and SIGTERM of real processes."""
    result = Result("Ctrl-C and SIGTERM")
    for name in ("plane",) if quick else interrupts.COMMANDS:
        ends, wrong = interrupts.several(name, folder / name, 3 if quick else 6, random.Random(f"{name} {seed}"))
        seconds = [end.seconds for end in ends]
        costs = f"tasks in flight; gone after {statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s"
        result.add(f"`thalweg {name}`", len(ends), wrong, costs, "one line: the command that goes on")
    result.note = (
        "In turn Ctrl-C, SIGTERM, and Ctrl-C twice, up to two seconds after the study was begun. Seconds are from the "
        "signal until the process is gone, the end of the interpreter included. Exit code 130, or 143 after SIGTERM."
    )
    return result


def changed(quick: bool, folder: Path, seed: int) -> Result:
    """Changed bytes and values of everything that is read."""
    from benchmarks import fuzz

    result = Result("Files with changed bytes or values")
    found = fuzz.fuzz(20 if quick else FUZZED_SECONDS, 1000 + 100_000 * seed)
    fuzz.clear()
    for name, tried in found.cases.items():
        wrong = [line for line in found.defects if line.startswith(f"{name} ")]
        said = f"one line, {found.refused[name]:,} times; an answer, {found.right[name]:,}"
        result.add(name, tried, wrong, "nothing", said)
    result.note = (
        "Lost are tracebacks, work without end, another answer than that of the file as it was made where it has "
        "checksums, and files that a reader changes."
    )
    return result


def lines(quick: bool, folder: Path, seed: int) -> Result:
    """Command lines of any kind."""
    from benchmarks.faults import arguments

    result = Result("Command lines of any kind")
    found = arguments.several(20 if quick else FUZZED_LINES, 1 + seed, folder)
    for name in arguments.SMALL:
        ends = [end for end in found if end.command == name]
        if not ends:
            continue
        said = (
            f"one line, {sum(end.code == 2 for end in ends):,} times; an answer, {sum(not end.code for end in ends):,}"
        )
        result.add(f"`thalweg {name}`", len(ends), [end.wrong for end in ends if end.wrong], "nothing", said)
    result.note = (
        "Lost are tracebacks, work without end (beyond limits of time and memory), more or less than one line, what a "
        "refusal leaves behind, and what it does to files that were there. `--out` is among what is drawn."
    )
    return result


def models(quick: bool, folder: Path, seed: int) -> Result:
    """Methods on models, rows and points of any kind."""
    from benchmarks.faults import methods

    result, counts = Result("Methods on models, rows and points of any kind"), methods.Counts()
    for case in range(2 if quick else FUZZED_MODELS):
        for name in methods.METHODS:
            methods.once(name, case + 100_000 * seed, counts)
    for name in methods.METHODS:
        wrong = [line for line in counts.defects if re.match(f"{re.escape(name)} \\d", line)]
        tried = counts.tried[name]
        said = f"one line, {counts.refused[name]:,} times; a record, {counts.answered[name]:,}"
        result.add(name, tried, wrong, "nothing", said)
    result.note = (
        "About one model in three is of the usual kind; the others have no rows, layers without units, classes that "
        "are not there, NaN and infinities among inputs, targets and parameters, or types that do not fit. Lost are "
        "tracebacks, work without end, storms of warnings, and records that do not say what is not finite."
    )
    return result


CASES: dict[str, str] = {
    "kills": "benchmarks.soak:killed",
    "damage": "benchmarks.soak:damaged",
    "interrupts": "benchmarks.soak:interrupted",
    "files": "benchmarks.soak:changed",
    "lines": "benchmarks.soak:lines",
    "methods": "benchmarks.soak:models",
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
    parser.add_argument("--seed", type=int, default=0, help="another one draws other faults")
    parser.add_argument("--folder", type=Path, help="where the studies lie; by default in memory where there is room")
    given = parser.parse_args()
    shared, failed = Path("/dev/shm"), False
    for name in given.names or CASES:
        module, _, function = CASES[name].partition(":")
        clock = time.perf_counter()
        with tempfile.TemporaryDirectory(dir=given.folder or (shared if shared.is_dir() else None)) as folder:
            Path(folder).chmod(0o755)  # for the stranger who may read and not write
            try:
                case: Case = getattr(importlib.import_module(module), function)
                result = case(given.quick, Path(folder), given.seed)
            except Exception:  # the other cases are run and written all the same
                traceback.print_exc()
                failed = True
                continue
        print(result.table().text(), f"{time.perf_counter() - clock:.0f} s", *result.wrong, sep="\n", flush=True)
        failed = failed or bool(result.wrong)
        if given.write and not given.quick:
            write(name, result)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
