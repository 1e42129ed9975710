"""Directions that points give: from one to another, through three, along the coordinate axes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from thalweg.core.directions import Dense, Directions
from thalweg.core.rng import Stream
from thalweg.core.space import ParameterSpace, Point
from thalweg.errors import InputError
from thalweg.slices.random import RandomDirections
from thalweg.slices.rules import Biases, Norm


def between(space: ParameterSpace, points: tuple[Point, ...]) -> Directions:
    """From the first of two points to the second, or from the first of three to each of the others.

    Through three points the coordinates are affine: the points lie at (0, 0), (1, 0) and (0, 1).

    Raises
    ------
    InputError
        If two points coincide, or three lie on one line.
    """
    rows = torch.stack([space.check(p.theta) - space.check(points[0].theta) for p in points[1:]])
    names = [p.name for p in points]
    for name, row in zip(names[1:], rows, strict=True):
        if not bool(row.any()):
            raise InputError(f"points {names[0]!r} and {name!r} are the same: there is no direction between them")
    labels = tuple(f"{names[0]} → {name}" for name in names[1:])
    found = Dense(space, rows, {"kind": "points", "points": names, **_where(space, points)}, labels)
    if len(rows) == 2:
        gram = found.gram()
        cosine = float(gram[0, 1] / gram.diagonal().prod().sqrt())
        if abs(cosine) > 1 - 1e-9:
            raise InputError(f"points {', '.join(map(repr, names))} lie on one line: a plane needs a third direction")
    return found


def segment_and_random(
    space: ParameterSpace, points: tuple[Point, ...], rng: Stream, norm: Norm, biases: Biases
) -> Directions:
    """The direction from one point to the other, and a random one orthogonal to it, normalised at the first."""
    first = between(space, points)
    along = first.dense()[0]
    other = RandomDirections(space, points[0].theta, 1, rng, norm, biases)
    row = other.dense()[0]
    for _ in range(2):
        row = row - (row.double() @ along.double() / along.double().square().sum()).to(row) * along
    names = [p.name for p in points]
    recipe = {"kind": "points and random", "points": names, "random": other.recipe, **_where(space, points)}
    return Dense(space, torch.stack([along, row]), recipe, (first.labels[0], "random direction"), notes=other.notes)


def axes(space: ParameterSpace, k: int) -> Directions:
    """The first k coordinate axes: the natural directions of a plain function of few variables."""
    if space.size < k:
        fewer = "a line" if space.size == 1 else "a plane"
        names = "1 variable" if space.size == 1 else f"{space.size} variables"
        raise InputError(f"a function of {names} has no {k} axes: draw {fewer} instead")
    rows: Tensor = torch.eye(k, space.size, dtype=space.dtype)
    recipe = {"kind": "axes", "space": space.fingerprint}
    return Dense(space, rows, recipe, tuple(f"x{i + 1}" for i in range(k)))


def _where(space: ParameterSpace, points: tuple[Point, ...]) -> dict[str, Any]:
    """What the directions are of, so that they are not made again anywhere else."""
    return {"space": space.fingerprint, "at": [space.digest(space.check(p.theta)) for p in points]}
