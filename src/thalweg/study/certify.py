"""``thalweg critical --certify``: a certificate beside the kind of the point, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thalweg.core.objective import Objective
from thalweg.core.space import Point
from thalweg.critical import Certify
from thalweg.errors import InputError
from thalweg.records import Certificate, Record
from thalweg.study.request import Request


def certifying(request: Request, objective: Objective, points: list[Point]) -> dict[str, Callable[[Any], Record]]:
    """The certificate that was asked for, as the work of a record beside the main one; empty where none was.

    Raises
    ------
    InputError
        If its options are given without it, or several points are.
    """
    o = request.options
    asked = (o["curvature"], o["failure"])
    if not o["certify"]:
        if asked != (Certify.curvature, Certify.failure):
            raise InputError(f"--curvature {asked[0]}, --failure {asked[1]}: both belong to --certify; add it")
        return {}
    if len(points) != 1 or o.get("run") or o.get("search"):
        raise InputError("--certify is of the one point given: leave --run, --search and further points out")
    method = Certify(o["tolerance"], *asked, products=max(o["products"], Certify.products))
    return {"certificate": lambda evaluate: method(objective, points[0], rng=request.subject.seed, evaluate=evaluate)}


def certified(record: Certificate) -> dict[str, Any]:
    """What a certificate adds to the answer."""
    return {
        "certificate": {
            "status": record.status.name,
            "message": record.message,
            "guarantee": None if record.guarantee is None else record.guarantee.value,
            "curvature": record.curvature,
            "attained": record.attained,
            "smallest": [record.smallest.lower, record.smallest.upper],
            "failure": record.failure,
            "starts": record.starts,
            "products": record.products,
            "step": record.step,
            "decrease": record.decrease,
        }
    }
