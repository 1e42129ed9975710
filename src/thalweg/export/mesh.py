"""Records as VTK files: grids as images, surfaces as warped meshes, paths as polylines."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from thalweg.errors import InputError
from thalweg.export.plane import along, principal
from thalweg.export.vtk import image, polygons
from thalweg.plot.simplexes import faces
from thalweg.records import (
    Connection,
    Path,
    Profile,
    Record,
    Run,
    SimplexSurface,
    Slice,
    Surface,
    Topology,
    pack,
)

WARP = 0.5
"""The range of the loss is drawn as this share of the longer side of the plane."""


def vti(record: Record) -> bytes:
    """A regular grid with every array that lies on it as point data; coordinates are coefficients.

    Raises
    ------
    InputError
        If the record lies on no grid, or its coefficients are not equally spaced.
    """
    if not isinstance(record, (Slice, Topology)):
        raise InputError(f"a {record.record_type} record lies on no grid: save it as another format, such as .npz")
    main = "loss" if isinstance(record, Slice) else "values"
    grid, coordinates = record.data[main].shape, record.data["coordinates"]
    axes = coordinates[..., None] if coordinates.ndim == len(grid) else coordinates
    along = [np.moveaxis(axes[..., i], i, 0).reshape(n, -1)[:, 0] for i, n in enumerate(grid)]
    for i, at in enumerate(along):
        if not np.allclose(np.diff(at), (at[-1] - at[0]) / max(len(at) - 1, 1), rtol=1e-6):
            raise InputError(f"coefficients along axis {i + 1} are not equally spaced: save the record as .npz or .csv")
    fill = 3 - len(grid)
    held = {name: a for name, a in record.data.items() if a.shape == grid and name != "coordinates"}
    for name, a in record.data.items():  # what was drawn along several directions: one component for each
        if name.startswith("repeat_") and a.shape[1:] == grid:
            held[name] = np.moveaxis(a, 0, -1)
    spacing = [float(at[-1] - at[0]) / max(len(at) - 1, 1) or 1.0 for at in along]
    return image(
        [*grid, *[1] * fill],
        [*(float(at[0]) for at in along), *[0.0] * fill],
        [*spacing, *[1.0] * fill],
        {name: a.reshape(*grid, *[1] * fill, *a.shape[len(grid) :]) for name, a in held.items()},
        texts(record),
        main,
    )


def vtp(record: Record) -> bytes:
    """A surface as a mesh raised by its loss, with its paths and marks; a path, run or profile as a line.

    A simplex of three points is an equilateral triangle with its corners as marks, one of two points a line.

    Heights are (loss − smallest loss) times the factor in the field data ``warp``, so that the range is half the
    longer side; the losses themselves are point data, as is every metric. Cells that touch a value that is not
    finite are left out. ``part`` tells mesh (0), path (1) and marks (2) apart. Parameter vectors are drawn in the
    plane of their first two principal components, whose shares of the variance are in ``explained``.

    Raises
    ------
    InputError
        If the record is none of these.
    """
    if isinstance(record, Surface):
        return _surface(record)
    if isinstance(record, SimplexSurface):
        return _simplex(record)
    if isinstance(record, Profile):
        t = record.data["coordinates"]
        return _lines(record, [np.stack([t, np.zeros_like(t)], axis=1)], record.loss, _metrics(record))
    if isinstance(record, Run):
        return _run(record)
    if isinstance(record, Path):
        return _curves(record, {record.method: (record.curve, dict(record.data))})
    if isinstance(record, Connection):
        held = {row.method: _of(record.data, row.method) for row in record.rows}
        return _curves(record, {name: (record.curves.get(name, "polyline"), a) for name, a in held.items() if a})
    raise InputError(f"a {record.record_type} record has no shape in space: save it as another format, such as .npz")


def texts(record: Record) -> dict[str, str]:
    """What must be known to read the file: the answer, its guarantee, and the record's fields as JSON."""
    metadata, _ = pack(record)
    guarantee = "none" if record.guarantee is None else record.guarantee.value
    return {"summary": record.summary, "guarantee": guarantee, "thalweg": json.dumps(metadata)}


def _surface(record: Surface) -> bytes:
    x, y = record.axes
    side = max(abs(x[-1] - x[0]), abs(y[-1] - y[0]))
    n0, n1 = record.loss.shape
    flat = record.data["coordinates"].reshape(-1, 2)
    index = np.arange(n0 * n1).reshape(n0, n1)
    corners = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1).reshape(-1, 4)
    whole = np.isfinite(record.loss).reshape(-1)[corners].all(axis=1)
    places, losses, parts = [flat], [record.loss.reshape(-1)], [np.zeros(len(flat), dtype=np.uint8)]
    cells: dict[str, list[np.ndarray]] = {"Verts": [], "Lines": [], "Polys": list(corners[whole])}
    if "path" in record.data:
        path = record.data["path"]
        cells["Lines"] += [len(flat) + rows for _, rows in record.tracks]
        places.append(path)
        losses.append(record.data["path_loss"])
        parts.append(np.ones(len(path), dtype=np.uint8))
    if record.marks:
        first = sum(map(len, places))
        cells["Verts"] += [np.array([first + i]) for i in range(len(record.marks))]
        places.append(np.array([mark.coordinates for mark in record.marks]))
        losses.append(np.array([mark.loss for mark in record.marks]))
        parts.append(np.full(len(record.marks), 2, dtype=np.uint8))
    loss, part = np.concatenate(losses), np.concatenate(parts)
    held = {"loss": loss, "part": part}
    for name, values in record.data.items():
        if name != "loss" and values.shape == (n0, n1):
            held[name] = np.concatenate([values.reshape(-1), np.full(len(loss) - values.size, np.nan)])
    height, warp = _heights(loss, side)
    points = np.column_stack([np.concatenate(places), height])
    return polygons(points, cells, held, {**texts(record), "warp": repr(warp)}, "loss")


def _simplex(record: SimplexSurface) -> bytes:
    """The small triangles of the lattice, or a line along it."""
    held = {name: a for name, a in record.data.items() if a.shape == record.loss.shape}
    weights = {f"w{i + 1}": column for i, column in enumerate(record.weights.T)}
    if len(record.marks) == 2:
        t = record.weights[:, 1]
        return _lines(record, [np.stack([t, 0 * t], axis=1)], held.pop("loss"), {**held, **weights})
    if len(record.marks) > 3:
        raise InputError(f"a simplex of {len(record.marks)} points has no height in space: save it as .csv or .npz")
    (face,) = faces(record)
    whole = np.isfinite(record.loss)[face.triangles].all(axis=1)
    height, warp = _heights(record.loss, 1.0)
    cells = {"Verts": list(face.rows[(record.weights == 1).any(axis=1)][:, None]), "Polys": list(face.triangles[whole])}
    said = {**texts(record), "warp": repr(warp)}
    return polygons(np.column_stack([face.places, height]), cells, {**held, **weights}, said, "loss")


def _run(record: Run) -> bytes:
    """One line for each descent."""
    thetas = record.data["thetas"]
    t, b, p = thetas.shape
    places, explained = principal(thetas.reshape(-1, p))
    held = {"loss": record.data["loss"], "gradient_norm": record.data["gradient_norm"]}
    held |= {name: record.data[name] for name in record.metrics}
    held |= {"step": np.tile(record.data["steps"][:, None], b), "descent": np.tile(np.arange(b), (t, 1))}
    values = {name: a.T.reshape(-1) for name, a in held.items()}
    return _lines(record, list(places.reshape(t, b, 2).swapaxes(0, 1)), values.pop("loss"), values, explained)


def _curves(record: Path | Connection, curves: Mapping[str, tuple[str, Mapping[str, np.ndarray]]]) -> bytes:
    """One line for each curve through the points where F was evaluated; ``method`` numbers them, in order."""
    if not curves:
        raise InputError(f"this {record.record_type} record holds no curve: save it as another format, such as .npz")
    places, explained = principal(np.concatenate([data["knots"] for _, data in curves.values()]))
    ends = np.cumsum([0, *(len(data["knots"]) for _, data in curves.values())])
    lines: list[np.ndarray] = []
    held: dict[str, list[np.ndarray]] = {name: [] for name in ("loss", "t", *record.metrics)}
    for i, (curve, data) in enumerate(curves.values()):
        lines.append(along(places[ends[i] : ends[i + 1]], data["t"], curve, data.get("times")))
        for name, parts in held.items():
            parts.append(data.get(name, np.full(len(data["t"]), np.nan)))
    values = {name: np.concatenate(parts) for name, parts in held.items()}
    values["method"] = np.concatenate([np.full(len(line), i) for i, line in enumerate(lines)])
    return _lines(record, lines, values.pop("loss"), values, explained, {"methods": json.dumps(list(curves))})


def _of(data: Mapping[str, np.ndarray], method: str) -> dict[str, np.ndarray]:
    """The arrays of one method of a connection; none where it has no curve."""
    found = {name.removeprefix(f"{method}."): a for name, a in data.items() if name.startswith(f"{method}.")}
    return found if {"knots", "t", "loss"} <= set(found) else {}


def _lines(
    record: Record,
    lines: list[np.ndarray],
    loss: np.ndarray,
    values: dict[str, np.ndarray],
    explained: tuple[float, ...] = (),
    said: Mapping[str, str] | None = None,
) -> bytes:
    """One polyline for each of ``lines`` [T, 2], raised by the loss; point arrays are line after line."""
    flat = np.concatenate(lines)
    side = float(np.ptp(flat, axis=0).max())
    height, warp = _heights(loss, side)
    starts = np.cumsum([0, *map(len, lines)])
    cells = [start + np.arange(len(line)) for start, line in zip(starts, lines, strict=False)]
    told = {**texts(record), "warp": repr(warp), **(said or {})}
    told |= {"explained": json.dumps(explained)} if explained else {}
    return polygons(np.column_stack([flat, height]), {"Lines": cells}, {"loss": loss, **values}, told, "loss")


def _metrics(record: Profile) -> dict[str, np.ndarray]:
    return {name: a for name, a in record.data.items() if a.shape == record.loss.shape and name != "loss"}


def _heights(loss: np.ndarray, side: float) -> tuple[np.ndarray, float]:
    """Heights [n] and the factor they were had with; what is not finite lies at the bottom."""
    finite = np.isfinite(loss)
    low, span = (float(loss[finite].min()), float(np.ptp(loss[finite]))) if finite.any() else (0.0, 0.0)
    warp = float(WARP * (side or 1.0) / span) if span > 0 else 1.0
    return np.where(finite, (loss - low) * warp, 0.0), warp
