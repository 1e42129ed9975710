"""Records to JSON metadata and named arrays, and back: the one schema every store and script reads."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np

from thalweg.errors import StoreError
from thalweg.records.base import Record
from thalweg.records.shapes import check
from thalweg.records.status import Status


def encode(value: Any) -> Any:
    """Any field of a record as JSON: dataclasses by field, enums by value, non-finite floats by name."""
    if isinstance(value, Status):
        return value.name
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"nonfinite": repr(value)}
    return value


def decode(value: Any, hint: Any = Any) -> Any:
    """Inverse of :func:`encode`, guided by the type annotation of the field."""
    if isinstance(value, dict) and set(value) == {"nonfinite"}:
        return float(value["nonfinite"])
    origin = typing.get_origin(hint)
    inner: tuple[Any, ...] = typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return decode(value, next(h for h in inner if h is not type(None)))
    if origin is tuple:
        each = [inner[0]] * len(value) if len(inner) == 2 and inner[1] is Ellipsis else list(inner)
        return tuple(decode(item, h) for item, h in zip(value, each, strict=True))
    if isinstance(value, dict) and not _is(hint, object, dataclasses.is_dataclass):
        return {key: decode(item, inner[1] if len(inner) == 2 else Any) for key, item in value.items()}
    if isinstance(value, list):
        return [decode(item, inner[0] if inner else Any) for item in value]
    if _is(hint, Status):
        return hint[value]
    if _is(hint, Enum):
        return hint(value)
    if _is(hint, object, dataclasses.is_dataclass):
        hints = typing.get_type_hints(hint)
        return hint(**{key: decode(item, hints[key]) for key, item in value.items()})
    return float(value) if hint is float and isinstance(value, int) else value


def _is(hint: Any, base: type, test: Any = None) -> bool:
    return isinstance(hint, type) and issubclass(hint, base) and (test is None or test(hint))


def pack(record: Record) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A record as (JSON metadata, arrays by name)."""
    fields = {f.name: encode(getattr(record, f.name)) for f in dataclasses.fields(record) if f.name != "data"}
    return {"kind": record.record_type, "schema": record.schema, "fields": fields}, record.arrays()


def unpack(metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray], kinds: Mapping[str, type[Record]]) -> Record:
    """The record that :func:`pack` took apart.

    Raises
    ------
    StoreError
        If its kind is unknown, its schema is not the one this version writes, or its fields and arrays are not
        those of its kind (see :mod:`thalweg.records.shapes`).
    """
    kind, schema = str(metadata.get("kind")), metadata.get("schema")
    if kind not in kinds:
        raise StoreError(f"record kind {kind!r} is unknown (known: {sorted(kinds)}): read it with a newer thalweg")
    cls = kinds[kind]
    if schema != cls.schema:
        raise StoreError(
            f"{kind} record has schema {schema}, this version reads {cls.schema}: "
            "read it with the thalweg named in its provenance"
        )
    try:
        hints = typing.get_type_hints(cls)
        fields = {name: decode(value, hints[name]) for name, value in metadata["fields"].items()}
        record = cls(data=dict(arrays), **fields)
        check(record)
        return record
    except Exception as error:  # what was written by somebody else can be of any form
        line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise StoreError(f"this is no {kind} record, though it says so ({line}): use another copy") from error
