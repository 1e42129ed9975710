"""Reading the HDF5 surface files of github.com/tomgoldstein/loss-landscape (Li et al. 2018) as records.

Layout, from that repository's plot_surface.py, scheduler.py, net_plotter.py and h5_util.py: ``xcoordinates`` [nx],
``ycoordinates`` [ny] (absent for a curve), ``dir_file`` (the name of the file of directions), and arrays [nx] or
[nx, ny] such as ``train_loss`` and ``train_acc`` (in percent), filled with −1 where nothing was computed. A value's
flat index i belongs to x[i mod nx], y[i div nx], whatever the array's shape; plane arrays are therefore the transpose
of ours, and those of a plane that is not square are scrambled, which is undone here. The file of directions holds the
groups ``xdirection`` and ``ydirection``, a tensor for each number from 0, and for principal components
``explained_variance_ratio_``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from thalweg import limits
from thalweg.errors import InputError, LimitError, StoreError, ThalwegWarning
from thalweg.records import Cost, DirectionsSummary, Fingerprint, Profile, Provenance, SliceStatus, Surface

UNSET = {"min_eig": 1.0}
"""What marks a value that was not computed, where that is not −1."""

_SOURCE = "github.com/tomgoldstein/loss-landscape"


def read_surface_file(
    path: str | Path, *, loss: str = "train_loss", directions: str | Path | None = None
) -> Surface | Profile:
    """The surface or profile in such a file; ``loss`` names the array to take as F, all others become metrics.

    ``directions`` is the file of directions; by default the one that the file names, where it lies beside it. It
    gives norms and cosines; without it the norms are NaN. Values that were not computed are NaN and counted in a
    note. What the file does not say (seed, rows, numerics) stays empty, and losses are taken to be float32.

    Raises
    ------
    StoreError
        If the file is missing, damaged, or of another layout, or an array lies in another file.
    LimitError
        If its arrays are larger than the limit allows, see :mod:`thalweg.limits`.
    InputError
        If h5py is not installed, or the array that is asked for is not there.

    Warns
    -----
    ThalwegWarning
        If the plane is not square: that program's own pictures of it are scrambled, and other programs that write
        these keys may order them otherwise.
    """
    path = Path(path)
    arrays, named = _read(path)
    x, y = arrays.pop("xcoordinates", None), arrays.pop("ycoordinates", None)
    if x is None or x.ndim != 1 or x.size < 2 or (y is not None and (y.ndim != 1 or y.size < 2)):
        raise StoreError(f"{path} has no xcoordinates of at least 2 points: give a surface file of {_SOURCE}")
    axes = (x,) if y is None else (x, y)
    for name, at in zip(("xcoordinates", "ycoordinates"), axes, strict=False):
        if not (np.isfinite(at).all() and (np.diff(at) > 0).all()):
            raise StoreError(f"{path}: {name} do not increase: it is damaged, or no surface file")
    shape = tuple(at.size for at in axes)
    fields = {name: a for name, a in arrays.items() if a.shape == shape}
    odd = {name: a.shape for name, a in arrays.items() if a.ndim == len(shape) and a.shape != shape and a.size > 1}
    if loss not in fields:
        if loss in odd:
            raise StoreError(f"{path}: {loss} has shape {odd[loss]} and the coordinates {shape}: it is damaged")
        raise InputError(f"{path} has no array {loss!r}: choose one of {', '.join(sorted(fields)) or 'none'}")
    notes = [f"read from {path.name}, a surface file of {_SOURCE}"]
    notes += [f"{name} has shape {found}, not {shape}, and is left out" for name, found in odd.items()]
    if y is not None and x.size != y.size:
        said = f"{path.name} holds {x.size}×{y.size} points in the order of {y.size}×{x.size}, and was put into order"
        warnings.warn(f"{said}; a file of another program may not need it: look at the picture", ThalwegWarning, 2)
        notes.append(said)
    data = {}
    for name, values in fields.items():
        unset = _unset(name, fields)
        data[name] = _ordered(np.where(unset, np.nan, values), shape)
        if unset.any():
            notes.append(f"{np.count_nonzero(unset)} of {unset.size} values of {name} were not computed")
    if any(name.endswith("_acc") for name in data):
        notes.append("accuracies are in percent")
    values = data.pop(loss)
    center = _center(axes)
    coordinates = x if y is None else np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    cls = Profile if y is None else Surface
    return cls(
        data={"loss": values, "coordinates": coordinates, **data},
        status=SliceStatus.COMPLETE if np.isfinite(values).all() else SliceStatus.NONFINITE,
        cost=Cost(),
        provenance=_provenance(path, loss, named, notes),
        directions=_directions(path, named, directions, len(axes)),
        center=center,
        center_loss=float("nan") if center is None else float(values[center]),
        metrics=tuple(sorted(data)),
    )


def _read(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Every array of the file as float64, and the name of its file of directions."""
    with _opened(path) as file:
        import h5py

        try:
            named = file["dir_file"][()] if "dir_file" in file and file["dir_file"].shape == () else b""
            own = {name: file[name] for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)}
            found = {n: a for n, a in own.items() if hasattr(a, "shape") and a.dtype.kind in "iuf" and a.ndim}
            _affordable(path, found.values())
            arrays = {name: np.asarray(held[()], dtype=np.float64) for name, held in found.items()}
        except (LimitError, StoreError):
            raise
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise StoreError(f"{path} cannot be read ({_line(error)}): use another copy") from error
    return arrays, named.decode("utf-8", "replace") if isinstance(named, bytes) else str(named)


def _opened(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise InputError("h5py is not installed: pip install 'thalweg[hdf5]'") from error
    if not path.is_file():
        raise StoreError(f"{path} is no file: give an HDF5 surface file")
    try:
        limits.whole(path)
        return h5py.File(path, "r")
    except OSError as error:
        raise StoreError(f"{path} is no HDF5 file, or is damaged ({_line(error)}): use another copy") from error


def _unset(name: str, fields: Mapping[str, np.ndarray]) -> np.ndarray:
    """Where a value was not computed: it and the one computed with it, where the file has that, are still marked."""
    marked = fields[name] == UNSET.get(name, -1.0)
    for one, other in (("_loss", "_acc"), ("_acc", "_loss"), ("min_eig", "max_eig"), ("max_eig", "min_eig")):
        partner = name.removesuffix(one) + other
        if name.endswith(one) and partner in fields:
            marked = marked & (fields[partner] == UNSET.get(partner, -1.0))
    return marked


def _ordered(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values in the order of ours, [x] or [x, y]."""
    return values.reshape(-1).reshape(shape[::-1]).T.copy()


def _center(axes: tuple[np.ndarray, ...]) -> tuple[int, ...] | None:
    at = [np.flatnonzero(axis == 0) for axis in axes]
    return tuple(int(i[0]) for i in at) if all(i.size for i in at) else None


def _directions(path: Path, named: str, given: str | Path | None, count: int) -> DirectionsSummary:
    """Norms and cosines from the file of directions; NaN norms and no cosine without it."""
    labels = ("xdirection", "ydirection")[:count]
    recipe: dict[str, Any] = {"kind": _SOURCE, "file": named}
    beside = path.with_name(Path(named).name) if named else None
    file = Path(given) if given is not None else beside if beside is not None and beside.is_file() else None
    if file is None:
        return DirectionsSummary(recipe, (float("nan"),) * count, (), labels)
    with _opened(file) as held:
        try:
            groups = [held[name] for name in labels]
            parts = [[group[str(i)] for i in range(len(group))] for group in groups]
            _affordable(file, [part for group in parts for part in group])
            vectors = [_vector(group) for group in parts]
            shares = held["explained_variance_ratio_"][:count] if "explained_variance_ratio_" in held else None
        except (LimitError, StoreError):
            raise
        except (OSError, KeyError, RuntimeError, ValueError, AttributeError, TypeError) as error:
            raise StoreError(f"{file} is no file of {count} directions ({_line(error)}): give another") from error
    norms = tuple(float(np.linalg.norm(v)) for v in vectors)
    cosines: tuple[float, ...] = ()
    if count == 2:
        if vectors[0].size != vectors[1].size:
            raise StoreError(
                f"{file}: its directions have {vectors[0].size} and {vectors[1].size} numbers: give another"
            )
        cosines = (float(vectors[0] @ vectors[1] / (norms[0] * norms[1])) if all(norms) else float("nan"),)
    return DirectionsSummary(recipe, norms, cosines, labels, None if shares is None else tuple(map(float, shares)))


def _affordable(path: Path, arrays: Iterable[Any]) -> None:
    """Refuse arrays that lie in other files, or are larger than the limit allows: HDF5 keeps nothing for unset values.

    Raises
    ------
    StoreError
        If one lies elsewhere.
    LimitError
        If they are too large together.
    """
    arrays = list(arrays)
    elsewhere = [a.name for a in arrays if a.external or a.is_virtual]
    if elsewhere:
        raise StoreError(
            f"{path}: {elsewhere[0]} lies in another file, which is never opened: give a file with it inside"
        )
    limits.afford(path, sum(8 * a.size for a in arrays), limits.stored_bytes(path))


def _vector(parts: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.asarray(part[()], dtype=np.float64).reshape(-1) for part in parts])


def _provenance(path: Path, loss: str, named: str, notes: list[str]) -> Provenance:
    return Provenance(
        fingerprint=Fingerprint("", "", "", ()),
        method={"name": "read_surface_file", "loss": loss, "file": path.name, "directions": named},
        points=(path.stem,),
        seed="unknown",
        dtype="float32",
        device="unknown",
        backend=_SOURCE,
        reason="read from a file",
        statistics="moved along the directions" if "_states" in named else "freeze" if named else "",
        tolerance=1e-5,
        threads=0,
        rows=0,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=tuple(notes),
    )


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
