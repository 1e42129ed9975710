"""A record as an xarray Dataset: named dimensions, coordinates with long names, and provenance as attributes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import InputError
from thalweg.records import Path as CurveRecord
from thalweg.records import Record, Run, Slice, Spectrum, Topology, pack

if TYPE_CHECKING:
    import xarray

_KNOWN: dict[type[Record], dict[str, tuple[str, ...]]] = {
    Run: {
        "steps": ("step",), "thetas": ("step", "descent", "parameter"), "loss": ("step", "descent"),
        "gradient_norm": ("step", "descent"), "ended": ("descent",),
        **dict.fromkeys(("gradients", "forwards", "products"), ("descent",)),
    },
    Spectrum: {"eigenvalues": ("rank",), "residuals": ("rank",), "eigenvectors": ("rank", "parameter")},
    CurveRecord: {"knots": ("knot", "parameter"), "times": ("knot",), "t": ("t",), "loss": ("t",)},
    Topology: {
        **dict.fromkeys(("births", "deaths", "areas", "parents", "margins"), ("basin",)),
        **dict.fromkeys(("minima", "saddles", "places"), ("basin", "axis")),
        "mark_cells": ("mark", "axis"), "mark_levels": ("mark", "other_mark"),
    },
}  # fmt: skip


def to_xarray(record: Record) -> xarray.Dataset:
    """Every array of a record by name; metrics share the dimensions of the loss.

    A slice's axes are the dimensions ``a``, ``b``, ``c``, with the coefficients as coordinates, whose attributes
    name the direction and its norm. The attributes of the dataset are kind, status, guarantee, summary, and
    ``thalweg``: all fields, provenance among them, as JSON.

    Raises
    ------
    InputError
        If xarray is not installed.
    """
    try:
        import xarray
    except ImportError as error:
        raise InputError("xarray is not installed: pip install 'thalweg[xarray]'") from error
    metadata, arrays = pack(record)
    coordinates: dict[str, Any] = {}
    if isinstance(record, Slice):
        names = tuple("abc"[: record.loss.ndim])
        coordinates = _coefficients(record, names)
        arrays.pop("coordinates")
        dims = {name: _grid(name, a, record, names) for name, a in arrays.items()}
    else:
        known = next((found for kind, found in _KNOWN.items() if isinstance(record, kind)), {})
        main = known.get("loss")
        shape = arrays["loss"].shape if main else None
        dims = {
            name: known.get(name) or (main if main and a.shape == shape else _own(name, a))
            for name, a in arrays.items()
        }
    guarantee = "none" if record.guarantee is None else record.guarantee.value
    said = {"kind": record.record_type, "status": record.status.name, "guarantee": guarantee, "summary": record.summary}
    return xarray.Dataset(
        {name: (dims[name], a, _attributes(name, record)) for name, a in arrays.items()},
        coords=coordinates,
        attrs={**said, "message": record.message, "thalweg": json.dumps(metadata)},
    )


def netcdf(record: Record, path: Path) -> None:
    """Write :func:`to_xarray`'s dataset as netCDF: version 4 where an engine for it is installed, else version 3.

    A '/' in the name of an array becomes '_', because netCDF keeps it for groups.

    Raises
    ------
    InputError
        If xarray is not installed, or two names become one.
    """
    found = to_xarray(record)
    renamed = {str(name): str(name).replace("/", "_") for name in found.variables if "/" in str(name)}
    if len(set(renamed.values()) | (set(map(str, found.variables)) - set(renamed))) < len(found.variables):
        raise InputError(f"netCDF keeps '/' for groups, and without it {sorted(renamed)} are no longer told apart")
    try:
        found.rename(renamed).to_netcdf(path)
    except (TypeError, ValueError) as error:  # version 3 knows neither 64-bit integers nor every type
        line = " ".join(str(error).split())[:160]
        raise InputError(
            f"netCDF cannot hold this record as it is ({line}): pip install netCDF4, or save .npz"
        ) from error


def _coefficients(record: Slice, names: tuple[str, ...]) -> dict[str, Any]:
    given, d = record.data["coordinates"], record.directions
    whole = given[..., None] if given.ndim == record.loss.ndim else given
    found = {}
    for i, name in enumerate(names):
        along = np.moveaxis(whole[..., i], i, 0).reshape(whole.shape[i], -1)[:, 0]
        said = {"long_name": f"coefficient along {d.labels[i]}", "units": "1", "direction_norm": float(d.norms[i])}
        found[name] = ((name,), along, said)
    return found


def _grid(name: str, array: np.ndarray, record: Slice, names: tuple[str, ...]) -> tuple[str, ...]:
    """The dimensions of a slice's array: the grid's, the trajectory's, or its own."""
    if name.startswith("path") and array.ndim in (1, 2) and len(array) == len(record.data["path"]):
        return ("path_point", "path_axis")[: array.ndim]
    if array.shape == record.loss.shape:
        return names
    if name.startswith("repeat_") and array.shape[1:] == record.loss.shape:
        return ("repeat", *names)
    return _own(name, array)


def _own(name: str, array: np.ndarray) -> tuple[str, ...]:
    return tuple(f"{name}_{i}" for i in range(array.ndim))


def _attributes(name: str, record: Record) -> dict[str, Any]:
    if name == "loss":
        return {"long_name": "loss F", "units": "1", "relative_rounding": record.provenance.tolerance}
    return {"long_name": name}
