"""What each command does: subject -> method -> record -> figure and answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from thalweg.core.checkpoints import save_point
from thalweg.core.evaluate import Inline
from thalweg.core.objective import Objective
from thalweg.core.space import Point
from thalweg.curvature import Density, FiniteScale, Lanczos, Sharpness, Trace
from thalweg.descent import RULES, Descent, named
from thalweg.errors import InputError, StoreError
from thalweg.exec import bar
from thalweg.exec.rows import spread
from thalweg.limits import size
from thalweg.records import Alignment, Audit, Connection, Estimate, Race, Record, Run
from thalweg.records import Path as Curve
from thalweg.report import card
from thalweg.slices import CurvatureMap, Dense, Line, Plane, Refine, Sample, Simplex, TrajectoryPlane
from thalweg.slices.fill import Fill
from thalweg.study.align import aligning, keep_aligned
from thalweg.study.along import directions_named, half_width_named
from thalweg.study.audit import auditing
from thalweg.study.cells import OPTIONS, descents
from thalweg.study.certify import certifying
from thalweg.study.connect import joining, table
from thalweg.study.critical import judging, keep_found, sides
from thalweg.study.down import descending, descent_table
from thalweg.study.escape import first, race_table, racing
from thalweg.study.faces import answer, companion
from thalweg.study.kernel import beside, kernel_table, kernelling, some_rows
from thalweg.study.minima import forking, gathering, listed, searching, spanning, spreading
from thalweg.study.rays import rays_table, shooting
from thalweg.study.request import Request
from thalweg.study.session import Session
from thalweg.study.trajectory import followed_table, following, further


def single(request: Request, clock: float, values: bool) -> tuple[dict[str, Any], str]:
    """A command that makes one record; ``clock`` is when it began."""
    prepare = {
        "plane": _plane,
        "line": _line,
        "simplex": _simplex,
        "spectrum": _spectrum,
        "train": _train,
        "critical": _critical,
        "connect": joining,
        "align": aligning,
        "graph": spanning,
        "complex": spreading,
        "instability": forking,
        "ensemble": gathering,
        "audit": auditing,
        "escape": racing,
        "down": descending,
        "kernel": kernelling,
        "trajectory": _trajectory,
        "rays": shooting,
    }[request.command]
    subject = first(request.subject) if request.command == "escape" else request.subject
    objective, points = subject.load()
    objective = spread(objective)
    if request.command == "kernel":
        objective = some_rows(objective, request.options["rows"], subject.seed)
    work = prepare(request, objective, points)
    session = Session(request.out, request.stored(), request.resume)
    record = session.record(request.command, objective, work)
    said = keep_finals(session, objective, record) if isinstance(record, Run) else {}
    said |= keep_found(session, objective, record)
    said |= keep_aligned(session, objective, record) if isinstance(record, Alignment) else {}
    text = [table(record), card(record)] if isinstance(record, Connection) else [card(record)]
    text = [listed(record), *text] if listed(record) else text
    text = [race_table(record), *text] if isinstance(record, Race) else text
    text = [descent_table(record), *text] if isinstance(record, Curve) else text
    text = [kernel_table(record), *text] if kernel_table(record) else text
    text = [followed_table(record), *text] if followed_table(record) else text
    text = [rays_table(record), *text] if rays_table(record) else text
    if session.out is not None and not isinstance(record, Audit):  # a table has no figure
        session.file(f"{request.command}.png", lambda path: _draw(record, path))
    for name, extra in _companions(request, objective, points, record).items():
        beside = session.record(name, objective, extra)
        said |= companion(beside)
        text.append(card(beside))
        text += [followed_table(beside)] if followed_table(beside) else []
        if session.out is not None and not isinstance(beside, Estimate):  # a number has no figure
            session.file(f"{name}.png", lambda path, beside=beside: _draw(beside, path))  # type: ignore[misc]
    session.finish()
    found = answer(record, path=session.path(request.command), seconds=time.perf_counter() - clock, values=values)
    return {**found, **said}, "\n\n".join(text) + _where(session)


Work = Callable[[Any], Record]


def _plane(request: Request, objective: Objective, points: list[Point]) -> Work:
    o = {name: x for name, x in request.options.items() if name not in OPTIONS}
    runs, along = o.pop("run"), o.pop("directions")
    if runs:
        if request.options["descend"]:
            raise InputError(
                f"--descend {request.options['descend']} and --run {runs[0]}: a path has a plane of its own"
            )
        if along != "random":
            raise InputError(
                f"--directions {along} and --run {runs[0]}: a path has directions of its own; leave one out"
            )
        if o["repeats"] > 1:
            raise InputError(f"--repeats {o['repeats']} and --run {runs[0]}: a path has directions of its own")
        if request.subject.checkpoints:
            raise InputError("--run draws the plane of a path: leave --checkpoint out")
        for name in ("half_width", "norm", "biases", "orthogonal"):
            if o[name] != getattr(Plane, name):
                option = f"--{name.replace('_', '-')} {o[name]}" if name != "orthogonal" else "--no-orthogonal"
                raise InputError(f"{option} and --run {runs[0]}: a path has a plane of its own; leave one out")
        paths = trajectories(runs, objective)
        method = TrajectoryPlane(steps=o["steps"], margin=o["margin"], fill=_fill(o))
        return lambda evaluate: method(objective, paths, rng=request.subject.seed, evaluate=evaluate)
    plane = _drawn(request, objective, points)
    _at_most(points, 3, "plane")
    descents(request.options, plane)  # refused before anything is computed
    return lambda evaluate: plane(objective, *points, rng=request.subject.seed, evaluate=evaluate)


def _drawn(request: Request, objective: Objective, points: list[Point]) -> Plane:
    o = {name: x for name, x in request.options.items() if name not in (*OPTIONS, "run", "directions")}
    o["half_width"] = half_width_named(o["half_width"])
    along = directions_named(request.options["directions"], objective, points, 2)
    return Plane(directions=along, fill=_fill(o), **o)


def _line(request: Request, objective: Objective, points: list[Point]) -> Work:
    o = dict(request.options)
    along = directions_named(o.pop("directions"), objective, points, 1)
    o["half_width"] = half_width_named(o["half_width"])
    line = Line(directions=along, fill=_fill(o), **o)
    _at_most(points, 2, "line")
    return lambda evaluate: line(objective, *points, rng=request.subject.seed, evaluate=evaluate)


def _simplex(request: Request, objective: Objective, points: list[Point]) -> Work:
    o = request.options
    simplex = Simplex(steps=o["steps"])
    if not request.subject.checkpoints:
        if o["count"] < 2:
            raise InputError(f"--count {o['count']}: a simplex has at least 2 points")
        points = request.subject.initials(objective, o["count"])
    return lambda evaluate: simplex(objective, *points, rng=request.subject.seed, evaluate=evaluate)


def _fill(options: dict[str, Any]) -> Fill:
    """How a grid is filled; takes its options out of the others."""
    share, rows, curvature = options.pop("refine"), options.pop("rows"), options.pop("curvature", False)
    if curvature and (share is not None or rows is not None):
        raise InputError("--curvature takes every point: leave --refine and --rows out")
    if curvature:
        return CurvatureMap()
    if share is not None and rows is not None:
        raise InputError(f"--refine {share} and --rows {rows}: interpolate or sample, not both")
    if share is not None:
        return Refine(tolerance=share)
    return Dense() if rows is None else Sample(rows=rows)


def _companions(request: Request, objective: Objective, points: list[Point], record: Record) -> dict[str, Work]:
    """Further records that a command makes at the same point, or from what ``record`` found."""
    o, seed = request.options, request.subject.seed
    if request.command == "ensemble":
        return searching(request, objective)
    if request.command == "plane" and o["descend"]:
        method = descents(o, _drawn(request, objective, points))
        assert method is not None
        return {"descents": lambda evaluate: method(objective, *points, rng=seed, evaluate=evaluate)}
    if request.command == "trajectory":
        return further(request, objective, record, trajectories(o["run"], objective))
    if request.command == "kernel":
        runs = trajectories(o["run"], objective) if o["run"] else None
        return beside(request, objective, points, record, runs)
    if request.command == "critical":
        certificate = certifying(request, objective, points) | sides(request, objective, points, record)
        if not o["sharpness"]:
            return certificate
        table = Sharpness()
        return certificate | {"sharpness": lambda evaluate: table(objective, points[0], rng=seed, evaluate=evaluate)}
    if request.command != "spectrum":
        return {}
    found: dict[str, Work] = {}
    if o["scale"] is not None:
        finite = FiniteScale(h=o["scale"])
        found["finite_scale"] = lambda evaluate: finite(objective, points[0], rng=seed, evaluate=evaluate)
    if not o["probes"]:
        return found
    memory = size(o["memory"], "--memory")
    trace = Trace(products=o["probes"] * o["steps"], operator=o["operator"], memory=memory)
    density = Density(probes=o["probes"], steps=o["steps"], operator=o["operator"], memory=memory)
    return {
        "trace": lambda evaluate: trace(objective, points[0], rng=seed, evaluate=evaluate),
        "density": lambda evaluate: density(objective, points[0], rng=seed, evaluate=evaluate),
        **found,
    }


def _critical(request: Request, objective: Objective, points: list[Point]) -> Work:
    certifying(request, objective, points)  # refused before anything is computed
    if request.options["sharpness"] and (request.options["run"] or request.options["search"] or len(points) > 1):
        raise InputError("--sharpness is of the one point given: leave --run, --search and further points out")
    named = request.options["run"]
    runs = trajectories(named, objective) if named else None
    return judging(request, objective, points, {Path(named[0]).resolve().name: runs} if isinstance(runs, Run) else runs)


def _trajectory(request: Request, objective: Objective, points: list[Point]) -> Work:
    return following(request, objective, trajectories(request.options["run"], objective))


def _spectrum(request: Request, objective: Objective, points: list[Point]) -> Work:
    given = {n: x for n, x in request.options.items() if n not in ("probes", "steps", "scale")}
    lanczos = Lanczos(**given | {"memory": size(given["memory"], "--memory")})
    if request.options["probes"]:  # refused before anything is computed
        density = Density(probes=request.options["probes"], steps=request.options["steps"], memory=lanczos.memory)
        density.fitting(objective.space.size)
    if request.options["scale"] is not None:
        FiniteScale(h=request.options["scale"])
    _at_most(points, 1, "spectrum")
    return lambda evaluate: lanczos(objective, points[0], rng=request.subject.seed, evaluate=evaluate)


def _train(request: Request, objective: Objective, points: list[Point]) -> Work:
    o = request.options
    descent = Descent(
        rule_named(o["rule"], o["lr"]),
        steps=o["steps"],
        batch=o["batch"] or None,
        stop_loss=o["stop_loss"],
        stop_gradient=o["stop_gradient"],
    )
    if o["count"] < 1:
        raise InputError(f"--count {o['count']}: at least 1 network is needed")
    if request.split == "rows":
        objective.point(objective.initial.theta)  # final points need statistics: refused now and not after training
    starts = points if request.subject.checkpoints else request.subject.initials(objective, o["count"])
    return lambda evaluate: descent(objective, *starts, rng=request.subject.seed, evaluate=evaluate)


def rule_named(name: str, lr: float | None) -> Any:
    """The rule of that name with this learning rate, or its own.

    Raises
    ------
    InputError
        If the name is unknown.
    """
    if name not in RULES:
        raise InputError(f"--rule {name} is unknown: choose {', '.join(RULES)}")
    return named(name) if lr is None else named(name, lr=lr)


def trajectories(paths: Sequence[str], objective: Objective) -> Run | dict[str, Run]:
    """The runs of `train` studies or recorded trajectories, each called after its directory; a single one as it is.

    Raises
    ------
    InputError
        If one is named twice, or is of another network.
    StoreError
        If there is no run there.
    """
    from thalweg.store import read_record
    from thalweg.trajectories import Load, is_recorded

    found: dict[str, Run] = {}
    names = [Path(path).resolve().name for path in paths]
    for path, name in zip(paths, names, strict=True):
        where = Path(path)
        record: Record
        if is_recorded(where):
            with bar(f"F along {name}") as watch:
                record = Load(path)(objective, evaluate=Inline(watch))
        else:
            record = read_record(where if where.suffix == ".zarr" else where / "records" / "train.zarr")
        if not isinstance(record, Run):
            raise StoreError(
                f"{path} holds a {record.record_type} record: --run takes a `train` study or a recorded trajectory"
            )
        objective.space.check(record.final, f"the run in {path}")
        key = name if names.count(name) == 1 else path
        if key in found:
            raise InputError(f"--run {path} was given twice: give different ones")
        found[key] = record
    return found if len(found) > 1 else next(iter(found.values()))


def keep_finals(session: Session, objective: Objective, run: Run) -> dict[str, Any]:
    """The final points as safetensors, with recalibrated statistics where the network normalises."""
    files = []
    for b, theta in enumerate(torch.from_numpy(run.final.copy())):
        point = objective.point(theta, f"final-{b}")
        path = session.file(f"final-{b}.safetensors", lambda file, p=point: _save(objective, p, file))  # type: ignore[misc]
        files += [str(path)] if path is not None else []
    return {"checkpoints": files}


def _save(objective: Objective, point: Point, file: Path) -> None:
    save_point(objective, point, file)


def _draw(record: Record, path: Path) -> None:
    from thalweg.plot import save

    save(record, path)


def _at_most(points: list[Point], most: int, command: str) -> None:
    if len(points) > most:
        raise InputError(f"{len(points)} checkpoints were given: a {command} takes at most {most}")


def _where(session: Session) -> str:
    return f"\nin {session.out}" if session.out is not None else "\n(nothing was kept; add --out DIR to keep it)"
