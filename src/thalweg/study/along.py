"""What ``--directions`` names: random ones, eigenvectors, or those kept in a file or a study."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from thalweg.core.krylov import Which
from thalweg.core.objective import Objective
from thalweg.core.space import Point
from thalweg.curvature import Lanczos
from thalweg.errors import InputError
from thalweg.slices import Range, directions_of, load_directions
from thalweg.slices.given import Given
from thalweg.slices.range import By

FOUND = {"auto": "loss", "curvature": "curvature"}
"""What ``--half-width`` calls the ways to find one."""

RECORDS = ("plane", "line", "spectrum")
"""The records of a study that have directions, in the order in which they are looked for."""


def half_width_named(half_width: float | str) -> float | Range:
    """The half-width of an option: a number, ``auto`` or ``curvature``, or either with a ratio as in ``auto:5``.

    Raises
    ------
    InputError
        If it is something else.
    """
    if not isinstance(half_width, str):
        return half_width
    kind, _, ratio = half_width.partition(":")
    try:
        found = float(ratio) if ratio else Range().ratio
        return Range(ratio=found, by=cast(By, FOUND[kind]))
    except (KeyError, ValueError) as error:
        raise InputError(f"--half-width {half_width}: write a number, auto, auto:5 or curvature:5") from error


def directions_named(name: str, objective: Objective, points: list[Point], k: int) -> Given | None:
    """The directions of an option: None for random ones, ``eigen`` or ``eigen:BE`` for k eigenvectors.

    Anything else is a path: what save_directions wrote, a record, or a study with a plane, a line or a spectrum.

    Raises
    ------
    InputError, CheckpointError, StoreError
        If there is no such file, or its directions belong elsewhere.
    """
    kind, _, which = name.partition(":")
    if kind == "random" and not which:
        return None
    if kind == "eigen":
        return Lanczos(which=cast(Which, which or "LA"))
    path = Path(name)
    if path.suffix in (".json", ".safetensors"):
        return load_directions(path, objective, *points)
    if not path.is_dir():
        raise InputError(f"--directions {name}: write random, eigen, eigen:BE, a directions file or a study directory")
    from thalweg.store import read_record

    if path.suffix == ".zarr":
        return directions_of(read_record(path), objective, *points, k=k)
    found = [path / "records" / f"{record}.zarr" for record in RECORDS]
    held = [record for record in found if record.is_dir()]
    if not held:
        raise InputError(
            f"--directions {name}: the study holds no {', '.join(RECORDS)}; name a record …/records/NAME.zarr"
        )
    return directions_of(read_record(held[0]), objective, *points, k=k)
