"""Bytes of everything that is read, changed at random: the right answer or one line, and nothing written.

``fuzz(seconds)`` gives the counts; ``python -m benchmarks.fuzz SECONDS [SEED]`` prints them as JSON. A case is told by
its target and its seed, and ``once(target, seed, folder)`` repeats it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.faults.alarm import alarm
from thalweg.core.checkpoints import load_points, save_point
from thalweg.core.evaluate import Evaluator, Outcome, Plan
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.errors import ThalwegError
from thalweg.export import load, save
from thalweg.paths.curve import Polyline
from thalweg.paths.curve import load as load_curve
from thalweg.records import Record
from thalweg.slices import Line, RandomDirections, load_directions, save_directions
from thalweg.store import read_record
from thalweg.study import show_record
from thalweg.study.session import Session
from thalweg.trajectories import Keep
from thalweg.trajectories import read as read_trajectory
from thalweg.trajectories import record as recording
from thalweg.zoo import build
from thalweg.zoo.idx import read_idx

HANG_SECONDS = 30
"""A reader that takes longer is said to hang; each takes a few milliseconds."""

REQUEST = {"command": "line", "steps": 9}


@dataclass(frozen=True)
class Target:
    """Files that ``make`` writes into a folder, and what ``read`` makes of them.

    ``checked`` says that they carry checksums: a right answer is then the one of the files as they were made. Of the
    others any answer is right, since a changed number is a number. ``writes`` says that reading goes on with the work.
    ``change`` is done to the folder in place of changing bytes of a file.
    """

    make: Callable[[Path], object]
    read: Callable[[Path], object]
    checked: bool = True
    writes: bool = False
    change: Callable[[Path, np.random.Generator], str] | None = None


@dataclass
class Counts:
    """What became of the cases: ``right`` answers, those ``refused`` in one line, and the ``defects``, each told."""

    cases: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The counts as JSON values."""
        rows = {n: {"cases": c, "right": self.right[n], "refused": self.refused[n]} for n, c in self.cases.items()}
        return {"cases": self.cases.total(), "defects": self.defects, "targets": rows}


def fuzz(seconds: float, seed: int = 0, targets: tuple[str, ...] = ()) -> Counts:
    """Change bytes of every target in turn for so long, and count what became of each case."""
    found, deadline, chosen = Counts(), time.monotonic() + seconds, targets or tuple(TARGETS)
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < deadline:
            for name in chosen:
                once(name, seed, Path(folder), found)
            seed += 1
    return found


def once(name: str, seed: int, folder: Path, found: Counts | None = None) -> Counts:
    """One case: the files are made anew, one is changed as the seed says, and they are read."""
    found, target = found or Counts(), TARGETS[name]
    case = folder / "case"
    shutil.rmtree(case, ignore_errors=True)
    shutil.copytree(_pristine(name), case, symlinks=True)
    told = (target.change or _change)(case, np.random.default_rng([seed, *name.encode()]))
    before = None if target.writes else _contents(case)
    found.cases[name] += 1
    try:
        with alarm(HANG_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = target.read(case)
    except ThalwegError as error:
        found.refused[name] += 1
        if "\n" in str(error):
            found.defects.append(f"{name} {seed} ({told}): more than one line: {error!r}")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        at = traceback.extract_tb(error.__traceback__)[-1]
        found.defects.append(f"{name} {seed} ({told}): {error!r} at {at.filename}:{at.lineno}")
    else:
        found.right[name] += 1
        if target.checked and answer != _expected(name):
            found.defects.append(f"{name} {seed} ({told}): another answer, and no word of it")
    if before is not None and _contents(case) != before:
        found.defects.append(f"{name} {seed} ({told}): reading changed the files")
    return found


def _change(folder: Path, rng: np.random.Generator) -> str:
    """Change one file below a folder, in one to three places."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    path = files[rng.integers(len(files))]
    content, told = path.read_bytes(), []
    for _ in range(rng.integers(1, 4)):
        how = CHANGES[rng.integers(len(CHANGES))]
        content = how(content, rng)
        told.append(how.__name__.strip("_"))
    path.write_bytes(content)
    return f"{path.relative_to(folder)}: {', '.join(told)}"


def _cell(folder: Path, rng: np.random.Generator) -> str:
    """Give one to three cells of a study's ledger another value; SQLite itself finds nothing wrong with them."""
    told = []
    with contextlib.closing(sqlite3.connect(folder / "study" / "ledger.sqlite", isolation_level=None)) as db:
        for _ in range(rng.integers(1, 4)):
            table = ("meta", "plans", "tasks", "records", "files")[rng.integers(5)]
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            column, value = columns[rng.integers(len(columns))], VALUES[rng.integers(len(VALUES))]
            rows = [row[0] for row in db.execute(f"SELECT rowid FROM {table}")]
            if rows:
                with contextlib.suppress(sqlite3.IntegrityError):
                    which = rows[rng.integers(len(rows))]
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, which))
                    told.append(f"{table}.{column} = {value!r}")
    return ", ".join(told)


VALUES = ("", "x", "{}", "[]", "null", "[" * 10_000, '{"task_size": 0}', '{"a": 1}', "done", "leased", "pending",
          "finished", "../../x", b"\xff\x00", -1, 0, 1, 10**12, 1.5, None)  # fmt: skip
"""What a cell of the ledger may become."""


def _flip(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(max(len(content), 1)))
    return content[:at] + bytes([b ^ (1 << int(rng.integers(8))) for b in content[at : at + 1]]) + content[at + 1 :]


def _overwrite(content: bytes, rng: np.random.Generator) -> bytes:
    at, size = int(rng.integers(max(len(content), 1))), int(rng.integers(1, 9))
    new = rng.bytes(size) if rng.random() < 0.5 else bytes([int(rng.choice([0, 0x7F, 0x80, 0xFF]))]) * size
    return content[:at] + new[: len(content) - at] + content[at + size :]


def _digit(content: bytes, rng: np.random.Generator) -> bytes:
    """Another number in a text, where there is one."""
    places = [i for i, b in enumerate(content[:4096]) if 48 <= b < 58]
    if not places:
        return _flip(content, rng)
    at = places[int(rng.integers(len(places)))]
    new = [b"0", b"-1", b"9", b"1e400", b"NaN", b"null", b"[]", b'"x"', b"1" + b"0" * 20][int(rng.integers(9))]
    return content[:at] + new + content[at + 1 :]


def _insert(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(content) + 1))
    return content[:at] + rng.bytes(int(rng.integers(1, 20))) + content[at:]


def _remove(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(content) + 1))
    return content[:at] + content[at + int(rng.integers(1, 20)) :]


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def _noise(content: bytes, rng: np.random.Generator) -> bytes:
    return rng.bytes(int(rng.integers(0, 64)))


CHANGES = (_flip, _flip, _overwrite, _digit, _insert, _remove, _cut, _noise)


def _contents(folder: Path) -> dict[str, bytes]:
    # SQLite's shared memory is made by whoever looks, and holds nothing.
    held = (p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.endswith(("-shm", "-wal")))
    return {str(p): p.read_bytes() for p in held}


@cache
def _pristine(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="thalweg-fuzz-"))
    _rubbish.append(folder)
    TARGETS[name].make(folder)
    return folder


_rubbish: list[Path] = []


def clear() -> None:
    """Remove the files that cases were copied from."""
    for folder in _rubbish:
        shutil.rmtree(folder, ignore_errors=True)
    _rubbish.clear()
    _pristine.cache_clear()


@cache
def _expected(name: str) -> object:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(_pristine(name), Path(folder) / "case")
        return TARGETS[name].read(Path(folder) / "case")


# --- what is read ---------------------------------------------------------------------------------------------


@cache
def _objective() -> Objective:
    return build("digits", seed=0, hidden=[2]).to(torch.float64)


@cache
def _valley() -> Objective:
    return build("double_well", seed=0)


def _numbers(record: Record) -> object:
    """What a record answers, without when it was made and how long that took."""
    return record.record_type, {n: (a.dtype.str, a.shape, a.tobytes()) for n, a in record.arrays().items()}


class _Stopping(Evaluator):
    """Stops after so many points, as a killed process does."""

    def __init__(self, inner: Evaluator, most: int) -> None:
        self.inner, self.most = inner, most

    def __call__(self, plan: Plan) -> Outcome:
        def fn(points: torch.Tensor) -> Any:
            if points[0, 0] == plan.points[self.most, 0]:
                raise InterruptedError
            return plan.fn(points)

        return self.inner(replace(plan, fn=fn))


def _study(folder: Path, most: int | None = None) -> None:
    session = Session(str(folder / "study"), REQUEST, resume=False, quiet=True)
    line = Line(steps=REQUEST["steps"], half_width=1.0)

    def make(evaluate: Evaluator) -> Record:
        given = evaluate if most is None else _Stopping(evaluate, most)
        return line(_valley(), _valley().initial, evaluate=given)

    with contextlib.suppress(InterruptedError), mock.patch("thalweg.core.recorded.TASK_SECONDS", 0.0):  # a task a point
        session.record("line", _valley(), make)
        session.file("note.txt", lambda path: path.write_text("kept"))
        session.finish()
    session.directory.close()
    with contextlib.closing(sqlite3.connect(folder / "study" / "ledger.sqlite")) as db, db:
        db.execute("UPDATE tasks SET pid = ?", (2**30,))  # of a process that has ended


def _resumed(folder: Path) -> object:
    session = Session(str(folder / "study"), REQUEST, resume=True, quiet=True)
    try:
        line = Line(steps=REQUEST["steps"], half_width=1.0)
        record = session.record("line", _valley(), lambda e: line(_valley(), _valley().initial, evaluate=e))
        session.file("note.txt", lambda path: path.write_text("kept"))
        session.finish()
        whole = read_record(folder / "study" / "records" / "line.zarr")
        assert _numbers(whole) == _numbers(record), "the record on the disk is another"
        return _numbers(record)
    finally:
        if session._directory is not None:
            session._directory.close()


def _shown(folder: Path) -> object:
    record = read_record(folder / "study" / "records" / "line.zarr")
    show_record(str(folder / "study"))
    return _numbers(record)


def _trajectory(folder: Path, open: bool = False, **options: Any) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    recorder = recording(model, folder / "run", every=1, **options).open()
    for step in range(1, 6):
        with torch.no_grad():
            model[0].bias += 1
        recorder.step(torch.tensor(1.0 / step))
    if not open:
        recorder.close()


def _followed(folder: Path) -> list[Any]:
    found = read_trajectory(folder / "run")
    for i in range(len(found)):
        found.tensors(i)
    points = [(int(found.steps[i]), found.theta(i).numpy().tobytes()) for i in range(len(found))]
    return _Torn(points) if found.notes else points


class _Torn(list[Any]):
    """Points without those of a tail that was torn off."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and list(self) == other[: len(self)]

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


def _record(folder: Path, name: str) -> None:
    save(Line(steps=9, half_width=1.0)(_valley(), _valley().initial), folder / name)


def _surface(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "surface.h5", "w") as file:
        file["xcoordinates"], file["train_loss"] = np.linspace(-1, 1, 9), np.arange(9.0)
        file["train_acc"], file["dir_file"] = np.arange(9.0), b"none"


def _checkpoint(folder: Path, name: str) -> None:
    point = _objective().initial
    if name.endswith(".safetensors"):
        save_point(_objective(), point, folder / name)
    else:
        named = {n: x.clone() for n, x in _objective().space.unravel(point.theta).items()}
        torch.save(named, folder / name, _use_new_zipfile_serialization=name != "old.pt")


def _images(folder: Path, name: str) -> None:
    import gzip
    import struct

    body = struct.pack(">HBBIII", 0, 8, 3, 5, 4, 4) + bytes(range(80))
    (folder / name).write_bytes(gzip.compress(body) if name.endswith(".gz") else body)


def _plain(name: str, make: Callable[[Path, str], object], read: Callable[[Path], object]) -> Target:
    return Target(lambda folder: make(folder, name), lambda folder: read(folder / name), checked=False)


def _directions(folder: Path, name: str) -> None:
    save_directions(RandomDirections(_valley().space, _valley().initial.theta, 2, Stream(0)), folder / name)


TARGETS: dict[str, Target] = {
    "study": Target(_study, _shown),
    "finished study, resumed": Target(_study, _resumed, writes=True),
    "values of a ledger": Target(lambda folder: _study(folder, 3), _resumed, writes=True, change=_cell),
    "values of a finished ledger": Target(_study, _resumed, writes=True, change=_cell),
    "unfinished study, resumed": Target(lambda folder: _study(folder, 3), _resumed, writes=True),
    "trajectory": Target(_trajectory, _followed),
    "trajectory, training killed": Target(lambda f: _trajectory(f, open=True), lambda f: _Torn(_followed(f))),
    "trajectory of files": Target(lambda folder: _trajectory(folder, keep=Keep(shards=True)), _followed),
    "record .npz": Target(lambda f: _record(f, "r.npz"), lambda f: _numbers(load(f / "r.npz")), checked=False),
    "checkpoint .safetensors": _plain("c.safetensors", _checkpoint, lambda p: load_points(_objective(), p)),
    "checkpoint .pt": _plain("c.pt", _checkpoint, lambda p: load_points(_objective(), p)),
    "checkpoint before torch 1.6": _plain("old.pt", _checkpoint, lambda p: load_points(_objective(), p)),
    "directions .json": _plain("d.json", _directions, lambda p: load_directions(p, _valley(), _valley().initial)),
    "directions .safetensors": _plain(
        "d.safetensors", _directions, lambda p: load_directions(p, _valley(), _valley().initial)
    ),
    "curve .safetensors": _plain(
        "c.safetensors", lambda f, n: Polyline(torch.randn(3, 4, dtype=torch.float64)).save(f / n), load_curve
    ),
    "surface .h5": Target(_surface, lambda f: _numbers(load(f / "surface.h5")), checked=False),
    "images .idx": _plain("a-idx3-ubyte", _images, read_idx),
    "images .idx.gz": _plain("a-idx3-ubyte.gz", _images, read_idx),
}
"""Everything that is read, each with how it is made."""


def main() -> None:
    """Fuzz for as long as the first argument says, from the seed that the second says."""
    found = fuzz(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    clear()
    print(json.dumps(found.summary(), indent=1))
    sys.exit(bool(found.defects))


if __name__ == "__main__":
    main()
