"""Directions made again from the recipe that a record or a file keeps of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.core.directions import Directions
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.space import ParameterSpace, Point
from thalweg.curvature import Lanczos, Operator
from thalweg.curvature.operator import NAMES
from thalweg.errors import InputError
from thalweg.records import Record, Slice, Spectrum
from thalweg.slices.eigen import eigen_directions, spectral
from thalweg.slices.points import axes, between, segment_and_random
from thalweg.slices.random import RandomDirections

Points = tuple[Point, ...]


def directions_of(record: Record, objective: Objective, *points: Point | Tensor | np.ndarray, k: int = 2) -> Directions:
    """The directions of a line or plane, made again from its recipe at its points; or a spectrum's first k.

    Raises
    ------
    InputError
        If the record is of another kind, the space or a point is another, or its recipe is not enough. That a
        spectrum is of this point is seen by one product for each vector.
    """
    given = pointed(objective, points)
    if isinstance(record, Spectrum):
        return _of_spectrum(record, objective, given, k)
    if not isinstance(record, Slice):
        raise InputError(f"a {record.record_type} record has no directions: give a line, a plane or a spectrum")
    d = record.directions
    same_place("the record", d.recipe, record.provenance.fingerprint.shapes, objective.space, given)
    return made(d.recipe, len(d.norms), objective, given, "the record")


def made(recipe: dict[str, Any], k: int, objective: Objective, points: Points, what: str) -> Directions:
    """The k directions of a recipe at these points, compared with what is known of them."""
    kind = recipe.get("kind")
    if kind not in MAKERS:
        raise InputError(
            f"{what}: directions of kind {kind!r} cannot be made from a recipe; keep them by save_directions(…, "
            "'name.safetensors')"
        )
    try:
        found = MAKERS[kind](recipe, k, objective, points)
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"{what}: the recipe is incomplete ({type(error).__name__}: {error}); save it again"
        ) from error
    if "probe" in recipe:
        known, norms = torch.tensor(recipe["probe"]).double(), found.gram().diagonal().sqrt()
        here = torch.tensor(found.probe()).double()
        if here.shape != known.shape or not torch.allclose(here / norms, known / norms, rtol=0, atol=1e-3):
            raise InputError(
                f"{what}: made again under torch {torch.__version__}, the directions are others: keep them by "
                "save_directions(…, 'name.safetensors') where they were made"
            )
    return found


def pointed(objective: Objective, points: tuple[Point | Tensor | np.ndarray, ...]) -> Points:
    """The points by name."""
    return tuple(objective.point(p, f"point {i + 1}") for i, p in enumerate(points))


def _random(recipe: dict[str, Any], k: int, objective: Objective, points: Points) -> Directions:
    space = objective.space
    theta = points[0].theta if points else torch.zeros(space.size)  # Gaussian ones are the same at every point
    filters = {name: (tuple(view), tuple(axes)) for name, (view, axes) in recipe.get("filters", {}).items()}
    rules = {name: recipe[name] for name in ("norm", "biases", "orthogonal")}
    return RandomDirections(space.divided(filters) if filters else space, theta, k, _stream(recipe), **rules)


def _joined(recipe: dict[str, Any], k: int, objective: Objective, points: Points) -> Directions:
    return between(objective.space, points)


def _segment(recipe: dict[str, Any], k: int, objective: Objective, points: Points) -> Directions:
    other = recipe["random"]
    return segment_and_random(objective.space, points, _stream(other), other["norm"], other["biases"])


def _axes(recipe: dict[str, Any], k: int, objective: Objective, points: Points) -> Directions:
    return axes(objective.space, k)


def _eigen(recipe: dict[str, Any], k: int, objective: Objective, points: Points) -> Directions:
    return eigen_directions(objective, points[0], k, lanczos=Lanczos(**recipe["lanczos"]), rng=_stream(recipe))


MAKERS: dict[str, Callable[[dict[str, Any], int, Objective, Points], Directions]] = {
    "random": _random,
    "points": _joined,
    "points and random": _segment,
    "axes": _axes,
    "eigen": _eigen,
}


def _stream(recipe: dict[str, Any]) -> Stream:
    return Stream(recipe["seed"], tuple(recipe["path"]))


def same_place(what: str, recipe: dict[str, Any], shapes: str, space: ParameterSpace, points: Points) -> None:
    """Refuse another space, and other points where the directions depend on them."""
    if shapes != space.fingerprint:
        raise InputError(
            f"{what} is of space {shapes}, the objective's is {space.fingerprint}: these are other networks"
        )
    wanted = recipe.get("at", [])
    if wanted and len(points) != len(wanted):
        raise InputError(f"{what} has directions made at {len(wanted)} points, {len(points)} were given: give those")
    for point, digest in zip(points, wanted, strict=False):
        found = space.digest(space.check(point.theta))
        if found != digest:
            raise InputError(
                f"{what} has directions made at point {digest}, {point.name!r} is {found}: directions scaled to one "
                "network do not belong to another; make new ones there"
            )


def _of_spectrum(record: Spectrum, objective: Objective, points: Points, k: int) -> Directions:
    """A spectrum's first k eigenvectors, once products at the point have confirmed them."""
    if len(points) != 1:
        raise InputError(f"the eigenvectors belong to one point, {len(points)} were given: give the spectrum's")
    same_place("the spectrum", {}, record.provenance.fingerprint.shapes, objective.space, points)
    kinds = {name: kind for kind, name in NAMES.items()}
    if record.operator not in kinds:
        raise InputError(f"the spectrum is of the {record.operator}: directions are made of {', '.join(kinds)}")
    found = spectral(objective, record, k)
    rows, values = found.dense().double().cpu(), torch.tensor(found.recipe["eigenvalues"], dtype=torch.float64)
    with Operator(objective, points[0], kinds[record.operator]) as operator:  # type: ignore[arg-type]
        residuals = (operator(rows) - values.unsqueeze(1) * rows).norm(dim=1)
    known = torch.tensor(found.recipe["residuals"], dtype=torch.float64)
    if bool((residuals > 10 * (known + record.slack) + 1e-3 * values.abs()).any()):
        raise InputError(
            f"at {points[0].name!r} the vectors' residuals are up to {float(residuals.max()):.2g}, the spectrum says "
            f"{float(known.max()):.2g}: it is of another point"
        )
    found.recipe["at"] = [objective.space.digest(objective.space.check(points[0].theta))]
    return found
