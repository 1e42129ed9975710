"""The ``align`` command: the second of two checkpoints with its units in the order of the first's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from thalweg.core.checkpoints import save_point
from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.space import Point
from thalweg.errors import InputError
from thalweg.paths.align import ALIGNERS, Aligner, WeightMatching
from thalweg.records import Alignment, Record, encode
from thalweg.study.connect import two
from thalweg.study.request import Request
from thalweg.study.session import Session


def aligning(request: Request, objective: Objective, points: list[Point]) -> Callable[[Any], Record]:
    """The work of a request: the second point is aligned, without checkpoints the initial network of seed + 1.

    Raises
    ------
    InputError
        If there is one checkpoint or more than two, or an option is wrong.
    """
    what = "align brings the second into the order of the first"
    o, (a, b) = request.options, two(request, objective, points, what)
    if o["method"] not in ALIGNERS:
        raise InputError(f"--method {o['method']} is unknown: choose {', '.join(ALIGNERS)}")
    method: Aligner = replace(ALIGNERS[o["method"]](), skip=tuple(o["skip"]), tolerance=o["tolerance"])
    further = {name: o[name] for name in ("restarts", "signs", "scales") if o[name]}
    if further and not isinstance(method, WeightMatching):
        raise InputError(f"--{next(iter(further))} is for --method weights, not {o['method']}: leave it out")
    method = replace(method, **further)
    budget = None if o["budget"] is None else Budget(gradients=o["budget"])
    return lambda evaluate: method(objective, a, b, rng=request.subject.seed, evaluate=evaluate, budget=budget)


def keep_aligned(session: Session, objective: Objective, record: Alignment) -> dict[str, Any]:
    """The aligned point as safetensors, with its statistics."""
    path = session.file("aligned.safetensors", lambda file: (save_point(objective, point_of(record), file), None)[1])
    return {"checkpoint": None if path is None else str(path)}


def point_of(record: Alignment) -> Point:
    """The aligned point of a record, with its statistics."""
    statistics = {
        name.removeprefix("statistics."): torch.from_numpy(array.copy())
        for name, array in record.data.items()
        if name.startswith("statistics.")
    }
    return Point(torch.from_numpy(record.data["theta"].copy()), statistics or None, "aligned")


def answered(record: Alignment) -> dict[str, Any]:
    """What the JSON object of an alignment has beside what every command has."""
    return {
        "method": record.method,
        "output_change": record.output_change,
        "distance_before": record.distance_before,
        "distance_after": record.distance_after,
        "barrier_before": record.barrier_before,
        "barrier_after": record.barrier_after,
        "barrier_before_upper": record.before.upper,
        "barrier_after_upper": record.after.upper,
        "tolerance": record.tolerance,
        "ends": list(record.ends),
        "units": record.units,
        "moved": record.moved,
        "groups": [encode(group) for group in record.groups],
        "left": list(record.left),
        "evidence": list(record.evidence),
    }
