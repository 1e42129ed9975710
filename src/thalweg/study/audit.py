"""The ``audit`` command: which statements apply to the user's network at a point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.space import Point
from thalweg.errors import InputError
from thalweg.records import Audit, Record, encode
from thalweg.study.request import Request
from thalweg.theory import Examine


def auditing(request: Request, objective: Objective, points: list[Point]) -> Callable[[Any], Record]:
    """The work of a request: every claim, or those named, at one point.

    Raises
    ------
    InputError
        If there is more than one checkpoint, or a claim is unknown.
    """
    if len(points) > 1:
        raise InputError(f"{len(points)} checkpoints were given: an audit takes at most 1")
    o = request.options
    examine = Examine(tuple(name.strip() for name in o["claims"].split(",") if name.strip()))
    budget = None if o["budget"] is None else Budget(gradients=o["budget"])
    return lambda evaluate: examine(objective, points[0], rng=request.subject.seed, evaluate=evaluate, budget=budget)


def audited(record: Audit) -> dict[str, Any]:
    """What the JSON object of an audit has beside what every command has."""
    return {
        "claims": [
            {
                "id": v.claim,
                "verdict": v.status.name.lower(),
                "hypotheses": [encode(check) for check in v.checks],
                "conclusion": v.conclusion,
                "citation": v.citation,
                "loss_scale": v.loss_scale,
                "guarantee": None if v.guarantee is None else v.guarantee.value,
                "values": dict(v.values),
            }
            for v in record.verdicts
        ]
    }
