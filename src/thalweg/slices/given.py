"""The directions that a line or plane was given: vectors, or the method whose eigenvectors they are."""

from __future__ import annotations

import copy

from torch import Tensor

from thalweg.core.directions import Directions, as_directions, counted
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.curvature import Lanczos
from thalweg.slices.eigen import eigen_directions

Given = Directions | Tensor | Lanczos
"""Vectors [k, P] in any form, or how to find the eigenvectors that they are."""


def taken(objective: Objective, point: Point, directions: Given, k: int, rng: Stream) -> Directions:
    """The k directions at a point; eigenvectors are computed here, and counted by the objective's meter.

    Directions that were made at another point are taken, as when two networks are drawn along the same, and noted.

    Raises
    ------
    InputError
        If another number was given, or they are of another space.
    """
    if isinstance(directions, Lanczos):
        return eigen_directions(objective, point, k, lanczos=directions, rng=rng)
    found = counted(as_directions(objective.space, directions), k)
    made_at = found.recipe.get("at", [])
    if made_at and objective.space.digest(objective.space.check(point.theta)) not in made_at:
        found = copy.copy(found)  # the caller's own are left as they are
        found.notes = (*found.notes, f"the directions were made at another point ({', '.join(made_at)})")
    return found
