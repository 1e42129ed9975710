"""Everything that a page says of a record, as JSON values: what is written in words is formatted from here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.plot.footer import footer, guarantee_of
from thalweg.records import Record, SpectralDensity, Surface, encode
from thalweg.report.captions import reading, sure

FEW = 64
"""Arrays of at most so many numbers are told in full; of a larger one its shape and ends are."""

_SAID = ("data", "status", "cost", "provenance", "summary", "message", "guarantee", "record_type")
"""What has a key of its own."""


@dataclass(frozen=True)
class Told:
    """A record in words and numbers.

    name: what it is called on the page. kind, schema: which record it is. summary, message: its answer and how it
    ended. status: that in one word. guarantee, sure: how sure it is, as a word and as a sentence. reading: what one
    sees in its figure. note: what the page's author adds. fine: the lines under the caption. cost: passes over the
    full data, with ``units`` (gradients' worth). provenance: what computing it again needs. values: its fields, and
    the numbers that follow from them, by the record's own names. arrays: dtype, shape and ends of each array, and
    the few numbers of a short one.
    file: where it lies beside the page, or None.
    """

    name: str
    kind: str
    schema: int
    summary: str
    guarantee: str
    sure: str
    status: str
    message: str
    reading: str
    note: str
    fine: tuple[str, ...]
    cost: Mapping[str, float]
    provenance: Mapping[str, Any]
    values: Mapping[str, Any]
    arrays: Mapping[str, Mapping[str, Any]]
    file: str | None = None

    @classmethod
    def of(cls, name: str, record: Record, note: str = "", file: str | None = None) -> Told:
        """What there is to say of a record."""
        return cls(
            name=name,
            kind=record.record_type,
            schema=record.schema,
            summary=record.summary,
            guarantee=guarantee_of(record),
            sure=sure(record),
            status=record.status.name,
            message=record.message,
            reading=reading(record),
            note=note,
            fine=tuple(footer(record)),
            cost={**encode(record.cost), "units": record.cost.units},
            provenance=encode(record.provenance),
            values={**values(record), **_further(record)},
            arrays={key: _ends(array) for key, array in sorted(record.arrays().items())},
            file=file,
        )


def values(record: Record) -> dict[str, Any]:
    """The fields of a record and what its properties make of them, by name; long arrays are left out."""
    names = {f.name for f in dataclasses.fields(record)}
    names |= {n for kind in type(record).__mro__ for n, item in vars(kind).items() if isinstance(item, property)}
    found = {}
    for name in sorted(names.difference(_SAID)):
        if name.startswith("_"):
            continue
        try:
            told = _small(getattr(record, name))
        except KeyError:  # of an array that this record does without
            continue
        if told is not None:
            found[name] = told
    return found


def _further(record: Record) -> dict[str, Any]:
    """What a caption says that takes a question: the share of eigenvalues at or below 0, what a plane hides of F."""
    if isinstance(record, SpectralDensity):
        return {"share_not_positive": list(record.share_below(0.0))}
    if isinstance(record, Surface) and {"path_loss", "path_projected"} <= record.data.keys():
        return {"projection_gap": float(np.nanmax(np.abs(record.data["path_loss"] - record.data["path_projected"])))}
    return {}


def plain(value: Any) -> Any:
    """JSON that every reader takes: NaN and infinities as null."""
    if isinstance(value, Mapping):
        return None if set(value) == {"nonfinite"} else {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _small(value: Any) -> Any:
    """A value as JSON, arrays within it as lists; None where one is long or it is nothing that JSON holds."""
    if isinstance(value, np.ndarray):
        return encode(value.tolist()) if value.size <= FEW and value.dtype.kind in "biufU" else None
    if isinstance(value, (list, tuple)):
        return None if len(value) > FEW * FEW else [_small(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _small(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _small(getattr(value, f.name)) for f in dataclasses.fields(value)}
    told = encode(value)
    return told if told is None or isinstance(told, (str, int, float, bool, dict)) else None


def _ends(array: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {"dtype": str(array.dtype), "shape": list(array.shape), "size": array.size}
    if array.size <= FEW:
        found["values"] = _small(array)
    if array.dtype.kind not in "iuf" or not array.size:
        return found
    finite = array[np.isfinite(array)]
    ends = (finite.min().item(), finite.max().item()) if finite.size else (None, None)
    flat = array.reshape(-1)
    return found | {
        "least": ends[0], "most": ends[1], "first": flat[0].item(), "last": flat[-1].item(),
        "nonfinite": int(array.size - finite.size),
    }  # fmt: skip
