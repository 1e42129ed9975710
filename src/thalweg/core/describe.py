"""Provenance of an answer: gathered in one place, so that every method records the same."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from thalweg import __version__
from thalweg.core import precision
from thalweg.core.directions import Directions
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.records import Provenance, Record, encode


def method_dict(method: Any) -> dict[str, Any]:
    """A method's name and options as JSON values; tensors are given by their shape, directions by their recipe."""
    options = {f.name: _plain(getattr(method, f.name)) for f in dataclasses.fields(method)}
    return {"name": type(method).__name__, **options}


def provenance(
    objective: Objective,
    method: Any,
    points: Sequence[Point],
    rng: Stream,
    *,
    statistics: str | None = None,
    backend: tuple[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Provenance:
    """Everything needed to compute the record again; ``backend`` is what ran and why, if not the objective's."""
    name, reason = backend or objective.backend
    return Provenance(
        fingerprint=objective.fingerprint(),
        method=method_dict(method),
        points=tuple(point.name for point in points),
        seed=str(rng),
        dtype=precision.named(objective.space.dtype),
        device=str(objective.space.device),
        backend=name,
        reason=reason,
        statistics=objective.statistics_name if statistics is None else statistics,
        tolerance=objective.tolerance,
        threads=torch.get_num_threads(),
        rows=objective.row_count,
        versions={
            "thalweg": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=tuple(notes),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return f"tensor{list(value.shape)}"
    if isinstance(value, Directions):
        return encode(value.recipe)
    if isinstance(value, Record):
        return f"{value.record_type} of {', '.join(value.provenance.points)}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return method_dict(value)
    if isinstance(value, (str, int, float, bool, type(None), tuple, list, dict)):
        return encode(value)
    return repr(value)
