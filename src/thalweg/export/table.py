"""A record as comma-separated values: a line per grid point, mixture, step, eigenvalue or basin."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import numpy as np

from thalweg.errors import InputError
from thalweg.records import Connection, Path, Record, Run, SimplexSurface, Slice, Spectrum, Topology, encode


def table(record: Record) -> str:
    """The table with its heading; numbers are written so that they are read back bit for bit.

    Raises
    ------
    InputError
        If the record is no table.
    """
    columns = _columns(record)
    if not columns:
        raise InputError(f"a {record.record_type} record is no table: save it as .npz, which holds every array")
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(columns)
    lines.writerows(zip(*(_cells(column) for column in columns.values()), strict=True))
    return file.getvalue()


def _columns(record: Record) -> Mapping[str, object]:
    data = record.data
    if isinstance(record, Slice):
        axes = data["coordinates"].reshape(record.points, -1)
        held = {"abc"[i]: axes[:, i] for i in range(axes.shape[1])}
        return held | {n: a.reshape(-1) for n, a in data.items() if a.shape == record.loss.shape and n != "coordinates"}
    if isinstance(record, SimplexSurface):
        held = {f"w{i + 1}": column for i, column in enumerate(record.weights.T)}
        return held | {n: a for n, a in data.items() if a.shape == record.loss.shape}
    if isinstance(record, Run):
        t, b = data["loss"].shape
        held = {"step": np.repeat(data["steps"], b), "descent": np.tile(np.arange(b), t)}
        return held | {n: a.reshape(-1) for n, a in data.items() if a.shape == (t, b)}
    if isinstance(record, Spectrum):
        return {"eigenvalue": data["eigenvalues"], "residual": data["residuals"]}
    if isinstance(record, Topology):
        rows = record.basins
        names = ("birth", "death", "persistence", "area", "survives")
        held = {"basin": np.arange(1, len(rows) + 1)}
        return held | {n: ["" if row[n] is None else row[n] for row in rows] for n in names}
    if isinstance(record, Path):
        return {n: a for n, a in data.items() if a.shape == data["t"].shape}
    if isinstance(record, Connection):
        rows = [{**encode(row), "guarantee": row.guarantee.value} for row in record.rows]
        sides = [row.pop("maximum") for row in rows]
        flat = [{**row, **{f"maximum_{k}": v for k, v in side.items()}} for row, side in zip(rows, sides, strict=True)]
        return {n: ["" if row[n] is None else row[n] for row in flat] for n in flat[0]} if flat else {}
    return {}


def _cells(column: object) -> list[object]:
    return column.tolist() if isinstance(column, np.ndarray) else list(column)  # type: ignore[call-overload]
