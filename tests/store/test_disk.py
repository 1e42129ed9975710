"""What a machine that loses power finds: a record or a file that has its name was forced out before that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from thalweg.slices import Line
from thalweg.store import Directory
from thalweg.zoo import build

Event = tuple[str, Path]

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no names of open files on this system")


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """What is forced out and what is renamed, in order."""
    found: list[Event] = []

    def fsync(handle: int, real=os.fsync) -> None:  # type: ignore[no-untyped-def]
        found.append(("forced out", Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    def replace(path: Path, to: Path, real=Path.replace) -> Path:  # type: ignore[no-untyped-def]
        found.append(("renamed", Path(to)))
        return real(path, to)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    return found


@pytest.fixture
def study(tmp_path: Path) -> Directory:
    return Directory.open(tmp_path.resolve() / "study", {"command": "stub"}, resume=False)


def split(events: list[Event], at: Event) -> tuple[list[Path], list[Path]]:
    """What was forced out before an event and after it."""
    where = events.index(at)
    return [x for kind, x in events[:where] if kind == "forced out"], [x for _, x in events[where + 1 :]]


def test_a_record_is_forced_out_whole_before_it_has_its_name(study: Directory, events: list[Event]) -> None:
    valley = build("double_well")
    study.save_record("line", Line(steps=5)(valley, valley.initial))
    path = study.record_path("line")
    before, after = split(events, ("renamed", path))
    parts = {p.relative_to(path) for p in path.rglob("*")}
    assert len(parts) > 4
    partial = study.path / "work" / ".partial" / f"{os.getpid()}" / path.name
    assert {partial, *(partial / part for part in parts)} <= set(before)
    assert path.parent in after, "the rename itself"


def test_a_file_is_forced_out_before_it_has_its_name(study: Directory, events: list[Event]) -> None:
    path = study.add_file("note.txt", b"kept")
    before, after = split(events, ("renamed", path))
    assert any(p.name == "note.txt" for p in before) and path.parent in after
