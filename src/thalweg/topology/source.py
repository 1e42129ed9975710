"""What a record gives to find basins in: values on a grid, where its cells lie, marked points, and its own error."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from thalweg.errors import InputError
from thalweg.records import Path, Record, Slice
from thalweg.topology.noise import simultaneous


@dataclass(frozen=True, eq=False)
class Source:
    """``values`` [*grid], ``coordinates`` [*grid, d] along ``axes``, and marked points by name and coefficients."""

    kind: str
    values: np.ndarray
    coordinates: np.ndarray
    axes: tuple[str, ...]
    marks: tuple[tuple[str, tuple[float, ...]], ...]


def source_of(record: Record, field: str) -> Source:
    """The grid of a slice, or the points along a path, with the loss or the metric of that name.

    Raises
    ------
    InputError
        If the record is neither, or has no such field.
    """
    if not isinstance(record, (Slice, Path)):
        raise InputError(
            f"basins are found on profiles, surfaces and paths, not on a {record.record_type} record: give one"
        )
    known = ("loss", *record.metrics)
    if field not in known:
        raise InputError(f"field={field!r} is not on this {record.record_type}: it has {', '.join(known)}")
    values = record.data[field]
    if isinstance(record, Path):
        ends = tuple(zip(record.provenance.points[:2] or ("start", "end"), ((0.0,), (1.0,)), strict=False))
        return Source(record.record_type, values, record.data["t"][:, None], ("t",), ends)
    coordinates = record.data["coordinates"]
    return Source(
        kind=record.record_type,
        values=values,
        coordinates=coordinates[..., None] if coordinates.ndim == values.ndim else coordinates,
        axes=record.directions.labels,
        marks=tuple((mark.name, mark.coordinates) for mark in record.marks),
    )


def stated_error(record: Slice | Path, field: str) -> tuple[np.ndarray, str]:
    """How far the values [*grid] may be from the truth by the record's own account, and what states it.

    Intervals that hold at one cell as often as their level says are widened to hold at all cells at once with
    0.99; Student's quantile in them is read as the normal one, which widens them further.

    Raises
    ------
    InputError
        If the field was interpolated and its error is not known.
    """
    if isinstance(record, Path):
        return _rounding(record, record.data[field])
    if record.sampling is not None:
        half = np.maximum(record.data["upper"] - record.loss, record.loss - record.data["lower"])
        return simultaneous(half / NormalDist().inv_cdf((1 + record.sampling.level) / 2)), "intervals"
    rounding, source = _rounding(record, record.data[field])
    if record.evaluated == record.points:
        return rounding, source
    if field != "loss":
        raise InputError(f"{field!r} was interpolated without an error estimate: give error=, or evaluate every point")
    assert record.interpolation_error is not None
    between = ~np.asarray(record.data["evaluated"], dtype=bool)
    return rounding + record.interpolation_error * between, "interpolation"


def _rounding(record: Record, values: np.ndarray) -> tuple[np.ndarray, str]:
    """The rounding that the provenance states, tolerance · |value|."""
    with np.errstate(invalid="ignore"):
        return record.provenance.tolerance * np.abs(values), "rounding"
