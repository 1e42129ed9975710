"""The same grid along several random directions, as one piece of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.core.directions import DENSE_BYTES, Directions
from thalweg.core.evaluate import Plan
from thalweg.core.rng import Stream, stream
from thalweg.core.subspace import Subspace
from thalweg.errors import InputError
from thalweg.slices.fill import Canvas, Dense, Fill, Filled


def streams(rng: int | Stream, repeats: int) -> list[Stream]:
    """A stream for each repeat: the given one, then its substreams ("repeat", 1), ("repeat", 2) and so on.

    The first repeat is what is drawn without any; a line or plane with ``rng=streams(rng, R)[r]`` is repeat r alone.
    """
    source = stream(rng)
    return [source, *(source("repeat", r) for r in range(1, repeats))]


def check_repeats(repeats: int, fill: Fill, directions: object) -> None:
    """Refuse what cannot be repeated.

    Raises
    ------
    InputError
        If repeats < 1, or there are several and points are not all evaluated, or directions are given.
    """
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise InputError(f"repeats={repeats!r}: give how many random directions are drawn, at least 1")
    if repeats > 1 and not isinstance(fill, Dense):
        raise InputError(f"repeats={repeats} and fill={type(fill).__name__}: repeats evaluate every point; drop one")
    if repeats > 1 and directions is not None:
        raise InputError(f"repeats={repeats} and directions= were given: only random directions repeat; drop one")


def random_alone(repeats: int, points: int, plain: bool) -> None:
    """Refuse repeats where no random direction is drawn."""
    if repeats > 1 and points > 1:
        raise InputError(f"repeats={repeats} and {points} points: repeats are drawn around one point; drop one")
    if repeats > 1 and plain:
        raise InputError(f"repeats={repeats}: a plain function's plane is that of its first two variables; use a line")


def repeated(canvas: Canvas, bundle: Sequence[Directions]) -> Filled:
    """Every point of the grid along each of the directions, as one plan; arrays ``repeat_…`` are [R, *grid]."""
    work = _Along(canvas, bundle)
    points = canvas.mesh.reshape(-1, canvas.mesh.shape[-1])
    # A plan's first column tells along which directions a point lies.
    which = torch.arange(len(bundle), dtype=points.dtype).repeat_interleave(len(points)).unsqueeze(1)
    plan = Plan(
        work.values,
        torch.cat([which, points.repeat(len(bundle), 1)], dim=1),
        canvas.names,
        meter=canvas.objective.meter.read,
        settings={**canvas.settings, "repeats": [directions.digest() for directions in bundle]},
        measure=lambda: work.at(0).measured(),
        obey=work.obey,
    )
    outcome = canvas.evaluate(plan)
    every = {name: np.array(outcome.values[name]).reshape(len(bundle), *canvas.shape) for name in canvas.names}
    fields = {"cost": outcome.cost, "repeats": tuple(directions.summary() for directions in bundle)}
    return Filled(
        {name: values[0].copy() for name, values in every.items()},
        {f"repeat_{name}": values for name, values in every.items()},
        fields,
    )


def held(bundle: Sequence[Directions]) -> list[Directions]:
    """All of them held whole where they are small enough together; else each is made when it is needed."""
    space = bundle[0].space
    size = sum(d.k for d in bundle) * space.size * torch.empty(0, dtype=space.dtype).element_size()
    return [d.held() for d in bundle] if size <= DENSE_BYTES else list(bundle)


class _Along:
    """The canvas along each of the directions; only the last is kept, with what backends computed for it."""

    def __init__(self, canvas: Canvas, bundle: Sequence[Directions]) -> None:
        self.canvas, self.bundle = canvas, bundle
        self.last: tuple[int, Canvas] = 0, canvas
        self.measured: Mapping[str, Any] | None = None

    def at(self, r: int) -> Canvas:
        """The canvas along directions r, evaluated as the others are."""
        if self.last[0] != r:
            directions = self.bundle[r].held()

            def along(subspace: Subspace) -> Subspace:
                return Subspace(subspace.objective, subspace.theta0, directions)

            test = self.canvas.test
            made = replace(
                self.canvas, subspace=along(self.canvas.subspace), test=None if test is None else along(test)
            )
            if self.measured is not None:
                made.obey(self.measured)
            self.last = r, made
        return self.last[1]

    def obey(self, measured: Mapping[str, Any]) -> None:
        """Evaluate along all of them as was once measured along the first."""
        self.measured = measured
        self.at(0).obey(measured)

    def values(self, points: Tensor) -> dict[str, Tensor]:
        """Values at points [B, 1 + k], which are in the order of the directions."""
        parts = [
            self.at(int(r)).values(points[points[:, 0] == r, 1:]) for r in points[:, 0].unique_consecutive().tolist()
        ]
        return {name: torch.cat([part[name] for part in parts]) for name in self.canvas.names}
