"""The ``escape`` command: every rule from the same starts, on one landscape or on each of several."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.space import Point
from thalweg.critical.escape.race import Ground, Race
from thalweg.errors import InputError
from thalweg.plot.escape import HEAD, cells, ordered
from thalweg.records import Race as RaceRecord
from thalweg.records import Record, encode
from thalweg.study.kept import one
from thalweg.study.request import Request
from thalweg.study.subject import Subject
from thalweg.zoo import SUBJECTS


def racing(request: Request, objective: Objective, points: list[Point]) -> Callable[[Any], Record]:
    """The work of a request: a race from one point, on every landscape that lists of numbers in ``--set`` make.

    ``objective`` and ``points`` are of the first of them.

    Raises
    ------
    InputError
        If there is more than one checkpoint, a checkpoint for several landscapes, or an option is wrong.
    """
    o = request.options
    if len(points) > 1:
        raise InputError(f"{len(points)} checkpoints were given: escape leaves one point")
    race = Race(
        rules=tuple(name.strip() for name in o["rule"].split(",") if name.strip()),
        starts=o["starts"],
        start=o["start"],
        radius=o["radius"],
        steps=o["steps"],
        below=o["below"],
        share=o["share"],
        settling=o["settling"],
        constants=o["constants"],
    )
    budget = None if o["budget"] is None else Budget(gradients=o["budget"])
    subjects = landscapes(request.subject)
    if request.subject.checkpoints and len(subjects) > 1:
        raise InputError(f"--checkpoint is a point of one landscape, and --set makes {len(subjects)}: leave one out")
    grounds = [_ground(s, *((objective, points) if i == 0 else s.load())) for i, s in enumerate(subjects)]
    return lambda evaluate: race(*grounds, rng=request.subject.seed, evaluate=evaluate, budget=budget)


def landscapes(subject: Subject) -> list[Subject]:
    """The subject with every combination of the numbers that its parameters list, where a single one is expected."""
    lists = _lists(subject)
    if not lists:
        return [subject]
    return [
        replace(subject, parameters={**subject.parameters, **dict(zip(lists, values, strict=True))})
        for values in itertools.product(*lists.values())
    ]


def first(subject: Subject) -> Subject:
    """The first landscape of a subject, which stands for the others where one is asked for."""
    return landscapes(subject)[0]


def _lists(subject: Subject) -> dict[str, list[float]]:
    if subject.name not in SUBJECTS:
        return {}
    known = inspect.signature(SUBJECTS[subject.name]).parameters
    found: dict[str, list[float]] = {}
    for key, value in subject.parameters.items():
        single = key in known and isinstance(known[key].default, (int, float))
        if single and isinstance(value, list) and value and all(isinstance(v, (int, float)) for v in value):
            if len(set(value)) < len(value):
                raise InputError(f"--set {key}={value}: a value is listed twice; give different ones")
            found[key] = value
    return found


def _ground(subject: Subject, objective: Objective, points: list[Point]) -> Ground:
    given = ", ".join(f"{key}={value}" for key, value in subject.parameters.items())
    gap = subject.parameters.get("gap")
    name = f"{subject.name}({given})" if given else subject.name
    return Ground(objective, name, points[0], float(gap) if isinstance(gap, (int, float)) else None)


def kept_race(path: str, objective: Objective) -> RaceRecord:
    """The race that an ``escape`` study keeps, if it was held on this landscape.

    Raises
    ------
    InputError
        If there is none, or it is of another objective.
    """
    _, record = one(path, fits=lambda r: isinstance(r, RaceRecord))
    if not isinstance(record, RaceRecord):
        raise InputError(f"--race {path} holds a {record.record_type} record: give the directory of an `escape` study")
    for place in record.landscapes:
        differences = objective.fingerprint().differences(place.fingerprint)
        if not [d for d in differences if not d.startswith("statistics")]:
            return record
    raise InputError(f"--race {path} is of {record.landscapes[0].name}, another landscape: race on this one")


def raced(record: RaceRecord) -> dict[str, Any]:
    """What the JSON object of a race has beside what every command has."""
    return {
        "rows": [
            {**encode(row), "tuning": lane.tuning, "theory": lane.theory}
            for row, lane in zip(record.rows, record.lanes, strict=True)
        ],
        "landscapes": [_place(record, i) for i in range(len(record.landscapes))],
        "exponents": [encode(e) for e in record.exponents],
        "tolerance": list(record.tolerance),
        "settling": record.settling,
        "dtype": record.provenance.dtype,
    }


def _place(record: RaceRecord, i: int) -> Mapping[str, Any]:
    place = encode(record.landscapes[i])
    place.pop("fingerprint")
    spectra = record.data.get("spectra")
    return {**place, "spectrum": None if spectra is None else [x for x in spectra[i].tolist() if x == x]}


def race_table(record: RaceRecord) -> str:
    """Every landscape's rows in the order of arrival, the constants they ran with, and those of theory."""
    text = []
    for i, place in enumerate(record.landscapes):
        level = f"F = {place.value:.5g}, level {place.level:.5g} ({place.rule})"
        most = max(lane.steps for lane in record.lanes if lane.landscape == i)
        text.append(f"{place.name}: {place.start}, {place.kind}, {level}, {most:,} steps at most")
        text.append(_spectrum(record, i))
        lines = [HEAD, *(cells(row) for row in ordered(record, i))]
        widths = [max(len(line[j]) for line in lines) for j in range(len(HEAD))]
        text += ["  ".join(f"{c:{w}}" for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        text.append("")
    text += [str(e) for e in record.exponents if e.value is not None]
    text.append("constants")
    for lane in record.lanes:
        if lane.landscape == 0:
            text.append(f"  {lane.rule}: {lane.constants}; {lane.tuning}")
            text += [f"    theory: {lane.theory}"] if lane.theory else []
            text += [f"    {lane.note}"] if lane.note else []
    return "\n".join(text)


def _spectrum(record: RaceRecord, i: int) -> str:
    """The bulk in one line: what rates depend on beside the gap."""
    place, spectra = record.landscapes[i], record.data.get("spectra")
    if spectra is None:
        return f"smallest eigenvalue {'unknown' if place.lowest is None else format(place.lowest, '.4g')}"
    values = spectra[i][spectra[i] == spectra[i]]
    negative = int((values < 0).sum())
    return f"{values.size} eigenvalues from {values[0]:.4g} to {values[-1]:.4g}, {negative} negative, median " + (
        f"{float(sorted(values)[values.size // 2]):.4g}; {record.provenance.dtype}"
    )
