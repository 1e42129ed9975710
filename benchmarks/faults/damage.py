"""Faults of disks and of people, each injected into a study in progress: what is said, what is kept, how to go on."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.forked import End, run
from benchmarks.faults.kills import command, differences
from thalweg.store import Ledger, sink

PLANE = ("plane", "polynomial", "--steps", "15", "--backend", "stacked", "--threads", "1")
TRAIN = ("train", "polynomial", "--steps", "200", "--backend", "loop", "--threads", "1")

Harm = Callable[[Path], None]


@dataclass(frozen=True)
class Fault:
    """A fault in a study of ``command``: its harm, what the same command then says, and what mends it.

    ``said`` is a regular expression; "" where the command simply ends well. Without ``mend`` nothing does, and the
    study is begun in another directory. ``limits`` is what is done to the process instead of to the study.
    ``finished`` studies are harmed after their end.
    """

    name: str
    said: str
    harm: Harm = lambda study: None
    mend: Harm | None = None
    command: tuple[str, ...] = PLANE
    more: tuple[str, ...] = ()
    limits: Callable[[Path], None] = lambda study: None
    finished: bool = False
    lost: str = "nothing, once the file is put back from a copy"


def begun(arguments: Sequence[str], out: Path, after: int = 3) -> End:
    """A study that was killed when ``after`` tasks were done, or states kept."""

    def work() -> None:
        count = 0

        def counted(real: Callable[..., object]) -> Callable[..., object]:
            def call(*given: object, **options: object) -> object:
                nonlocal count
                found = real(*given, **options)
                count += 1
                if count == after:
                    os.kill(os.getpid(), signal.SIGKILL)
                return found

            return call

        Ledger.finish = counted(Ledger.finish)  # type: ignore[method-assign,assignment]
        sink.save_state = counted(sink.save_state)  # type: ignore[assignment]
        command([*arguments, "--out", str(out)])()

    return run(work)


def chunk(study: Path) -> Path:
    """A chunk of the plane that is done."""
    return study / "work" / "plane.zarr" / "loss" / "c.1"


def array(study: Path) -> Path:
    """The chunk of a finished record."""
    return study / "records" / "plane.zarr" / "loss" / "c.0.0"


def flip(path: Path) -> None:
    """One bit in the middle."""
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


def cut(path: Path) -> None:
    """The second half is gone."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def torn(path: Path) -> None:
    """The last page and a little more are gone."""
    path.write_bytes(path.read_bytes()[:-5000])


def header(**changed: object) -> Harm:
    """Another value in study.json."""

    def harm(study: Path) -> None:
        kept = json.loads((study / "study.json").read_text())
        (study / "study.json").write_text(json.dumps({**kept, **changed}))

    return harm


def full(size: int) -> Harm:
    """No file of this process may grow beyond so many bytes, as on a disk that is full."""

    def limit(study: Path) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    return limit


def stranger(study: Path) -> None:
    """Root may write everywhere: be nobody, in a study that is somebody else's."""
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def closed(study: Path) -> None:
    """Nothing can be written any more."""
    for path in (study, *study.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def opened(study: Path) -> None:
    """All of it can be written again."""
    study.chmod(0o755)
    for path in sorted(study.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


NETWORK = """import torch
import thalweg as tw

def make(seed=0, dtype=torch.float64):
    return tw.zoo.polynomial(seed=seed, dtype=dtype, loss="squared")
"""


def other(study: Path) -> None:
    """Another loss in the user's own file, and the first one again."""
    file = study.with_name("subject.py")
    text = file.read_text()
    file.write_text(text.replace("squared", "absolute") if "squared" in text else text.replace("absolute", "squared"))


def put_back(study: Path) -> None:
    """What a backup is for."""
    shutil.rmtree(study)
    shutil.copytree(study.with_name("backup"), study)


FAULTS = (
    Fault("a chunk of a study in progress is cut short", r"plane, task 1: .* cannot be read .*damaged",
          lambda s: cut(chunk(s)), put_back),
    Fault("a bit of a chunk in progress is flipped", r"plane, task 1 .*differs from the ledger's checksum",
          lambda s: flip(chunk(s)), put_back),
    Fault("a bit of a finished record is flipped", r"array 'loss' differs from its checksum",
          lambda s: flip(array(s)), put_back, finished=True),
    Fault("the journal of the ledger is cut short", "", lambda s: torn(s / "ledger.sqlite-wal"),
          lost="the tasks whose rows were cut off"),
    Fault("a finished study's ledger is cut short", r"ledger\.sqlite: .*(malformed|not a database)",
          lambda s: cut(s / "ledger.sqlite"), put_back, finished=True),
    Fault("the ledger is overwritten", r"ledger\.sqlite: file is not a database: it was damaged",
          lambda s: [p.write_bytes(b"x" * 5000) for p in s.glob("ledger.sqlite*")] and None, put_back),
    Fault("study.json is cut short", r"study\.json cannot be read", lambda s: cut(s / "study.json"), put_back),
    Fault("study.json is something else", r"study\.json cannot be read",
          lambda s: (s / "study.json").write_text("[1]") and None, put_back),
    Fault("study.json is gone", r"holds .* and no study", lambda s: (s / "study.json").unlink(), put_back),
    Fault("the study is of an older version", r"has schema 1, this version reads", header(schema=1), put_back),
    Fault("the study is of a newer version", r"has schema 99, this version reads", header(schema=99), put_back),
    Fault("another request", r"holds a study with steps=15, now steps=21 is asked",
          mend=lambda s: None, more=("--steps", "21"), lost="nothing"),
    Fault("the study is of another network", r"is of another objective \(",
          other, other, command=("plane", "subject.py:make", "--steps", "15", "--backend", "loop"), lost="nothing"),
    Fault("the saved state of a training is flipped", r"train\.state\.npz .*: remove it to begin this part again",
          lambda s: flip(s / "work" / "train.state.npz"),
          lambda s: (s / "work" / "train.state.npz").unlink(), command=TRAIN, lost="that training's steps so far"),
    Fault("the disk is full at the first byte", r"(File too large|disk).*--resume", mend=lambda s: None,
          limits=full(600), lost="nothing"),
    Fault("the disk is full after a while", r"(File too large|disk).*--resume", mend=lambda s: None,
          limits=full(60_000), lost="tasks in flight"),
    Fault("the study cannot be written any more", r"cannot be written to; give another directory",
          closed, opened, limits=stranger, lost="nothing"),
    Fault("a finished study cannot be written any more", "", closed, opened, limits=stranger, finished=True,
          lost="nothing"),
)  # fmt: skip
"""All of them; the process must run as root or as the owner of the folder."""


def inject(fault: Fault, folder: Path, whole: Path | None = None) -> tuple[list[str], str]:
    """What was not as it should be (one line said, nothing there changed, the same bits at last), and what was said."""
    study, wrong, known = folder / "study", list[str](), whole is not None
    whole = whole or folder / "whole"
    (folder / "subject.py").write_text(NETWORK)
    asked = [str(folder / part) if part.startswith("subject.py") else part for part in fault.command]
    if not known and (done := run(command([*asked, "--out", str(whole)]))).code:
        wrong.append(done.text)
    if fault.finished:
        shutil.copytree(whole, study)
    elif begun(asked, study).code != -signal.SIGKILL:
        wrong.append("the study was not killed in the middle")
    shutil.copytree(study, folder / "backup")
    fault.harm(study)
    before = contents(study)
    arguments = [*asked, *fault.more, "--out", str(study), "--resume"]

    def work() -> None:
        fault.limits(study)
        command(arguments)()

    told = run(work)
    wrong += misbehaved(fault, told)
    if told.code:
        after = contents(study)
        wrong += [
            f"{name} was there before the refusal and is another" for name in before if after.get(name) != before[name]
        ]
    else:
        wrong += differences(whole, study)
    if fault.mend is not None:
        fault.mend(study)
        again = run(command([*asked, "--out", str(study), "--resume"]))
        wrong += [again.text] if again.code else differences(whole, study)
    return wrong, told.text.strip().replace(str(study), "DIR") if told.code else ""


def misbehaved(fault: Fault, told: End) -> list[str]:
    """Whether a command ended as it should, with one line where it could not go on."""
    if not fault.said:
        return [] if told.code == 0 else [f"exit code {told.code}: {told.text}"]
    lines = told.text.splitlines()
    if told.code != 2 or len(lines) != 1 or not re.search(fault.said, told.text):
        return [f"exit code {told.code}, {len(lines)} lines: {told.text}"]
    return []


def contents(study: Path) -> dict[str, bytes]:
    """Every file of a study but for the ledger, which a reader may fold its journal into."""
    files = (p for p in sorted(study.rglob("*")) if p.is_file() and not p.name.startswith("ledger.sqlite"))
    return {str(p.relative_to(study)): p.read_bytes() for p in files}
