"""Basins of a slice that is evaluated for them, or of a record that is already there."""

from __future__ import annotations

import time
from typing import Any

from thalweg.errors import InputError
from thalweg.plot import save
from thalweg.records import Path as CurveRecord
from thalweg.records import Record, Slice
from thalweg.report import card
from thalweg.slices import Line, Plane, Volume
from thalweg.study import kept
from thalweg.study.faces import answer
from thalweg.study.request import Request
from thalweg.study.session import Session
from thalweg.topology import Basins

GRID = ("steps", "half_width", "margin", "norm", "biases")
"""Options of the grid that is evaluated; None is the method's own."""


def basins(request: Request, clock: float, values: bool) -> tuple[dict[str, Any], str]:
    """The JSON object and the text of ``thalweg topology``."""
    o = request.options
    method = Basins(connectivity=o["connectivity"], error=o["error"], field=o["field"])
    find = _of_kept if kept.is_kept(request.subject.name) else _of_subject
    record, session = find(request, method)
    if session.out is not None:
        session.file("topology.png", lambda path: save(record, path))
    session.finish()
    found = answer(record, path=session.path("topology"), seconds=time.perf_counter() - clock, values=values)
    where = f"in {session.out}" if session.out is not None else "(nothing was kept; add --out DIR to keep it)"
    return found, f"{card(record)}\n{where}"


def _of_subject(request: Request, method: Basins) -> tuple[Record, Session]:
    """Evaluate a plane, a line or a volume, and find its basins; both records are kept."""
    o = dict(request.options)
    if o["record"] is not None:
        raise InputError(f"--record {o['record']}: {request.subject.name} is a subject and holds no records")
    if o["line"] and o["volume"]:
        raise InputError("--line and --volume: draw one or the other")
    name, most = ("line", 2) if o["line"] else ("volume", 1) if o["volume"] else ("plane", 3)
    asked = {key: o[key] for key in GRID if o[key] is not None}
    asked |= {"norm": None} if asked.get("norm") == "none" else {}
    if o["volume"] and "margin" in asked:
        raise InputError("--margin reaches beyond two or three points: a volume is drawn around one")
    grid: Line | Plane | Volume = {"line": Line, "plane": Plane, "volume": Volume}[name](**asked)
    objective, points = request.subject.load()
    if len(points) > most:
        raise InputError(f"{len(points)} checkpoints were given: a {name} takes at most {most}")
    if method.field not in ("loss", *objective.metrics):
        has = ", ".join(("loss", *objective.metrics))
        raise InputError(f"--field {method.field}: a {name} of {request.subject.name} has {has}")
    session = Session(request.out, request.stored(), request.resume)
    seed = request.subject.seed
    source = session.record(name, objective, lambda evaluate: grid(objective, *points, rng=seed, evaluate=evaluate))
    assert isinstance(source, Slice)
    return session.record("topology", objective, lambda evaluate: method(source)), session


def _of_kept(request: Request, method: Basins) -> tuple[Record, Session]:
    """Find the basins of a record; only they are kept."""
    given = [name for name in ("checkpoints", "data", "parameters") if getattr(request.subject, name)]
    given += [name for name in GRID if request.options[name] is not None]
    given += [name for name in ("line", "volume") if request.options[name]]
    if given:
        raise InputError(
            f"{request.subject.name} holds records that were evaluated already: leave {', '.join(given)} out"
        )
    name, source = kept.one(request.subject.name, request.options["record"], _has_basins)
    if not _has_basins(source):
        raise InputError(f"{name} is a {source.record_type} record: basins are found on profiles, surfaces and paths")
    assert isinstance(source, (Slice, CurveRecord))
    session = Session(request.out, {**request.stored(), "of": name}, request.resume)
    record: Record | None = None
    if session.out is not None:
        record = session.directory.load_record("topology")
    if record is None:
        record = method(source)
        if session.out is not None:
            session.directory.save_record("topology", record)
    return record, session


def _has_basins(record: Record) -> bool:
    return isinstance(record, (Slice, CurveRecord))
