"""Basins of a profile or surface, as a record."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import numpy as np

from thalweg.errors import InputError
from thalweg.records import Cost, Provenance, Slice, Topology, TopologyStatus
from thalweg.topology.merge_tree import MergeTree
from thalweg.topology.minimax import minimax
from thalweg.topology.noise import margins
from thalweg.topology.sublevel import sublevel


@dataclass(frozen=True, eq=False)
class Basins:
    """The basins of the loss, or of the metric named by ``field``, on the grid of a slice.

    ``connectivity``: 4 (default) or 8 neighbours on a surface, 2 on a profile. ``error``: how far each value
    may be from the truth, one number or one per cell, at all cells at once; the record says which basins
    survive it. None is the rounding that the slice's provenance states, tolerance · |value|. Marked points
    are joined by minimax paths on the grid. Nothing is evaluated.

    Raises
    ------
    InputError
        If an error is negative.
    """

    connectivity: int | None = None
    error: float | np.ndarray | None = None
    field: str = "loss"

    def __post_init__(self) -> None:
        if self.error is not None and bool((np.asarray(self.error) < 0).any()):
            raise InputError(f"error={self.error}: give the largest possible error of the values, at least 0")

    def __call__(self, source: Slice) -> Topology:
        """Find the basins.

        Raises
        ------
        InputError
            If the slice has no such field, or the connectivity or the error does not fit its grid.
        """
        started = time.perf_counter()
        known = ("loss", *source.metrics)
        if self.field not in known:
            raise InputError(f"field={self.field!r} is not on this {source.kind}: it has {', '.join(known)}")
        tree = sublevel(source.data[self.field], self.connectivity)
        shape, coordinates = tree.domain.shape, _coordinates(source)
        data = {
            "births": tree.births,
            "deaths": tree.deaths,
            "areas": tree.areas,
            "parents": tree.parents,
            "minima": _indices(tree.minima, shape),
            "saddles": _indices(tree.saddles[:, 0], shape),
            "places": coordinates.reshape(-1, len(shape))[tree.minima],
            "labels": tree.labels,
            **_joined(tree, source, coordinates),
        }
        error = self.error
        if error is None:
            error = source.provenance.tolerance * np.abs(tree.domain.values)
        else:
            data["errors"] = np.asarray(error, dtype=np.float64)
        data["margins"] = margins(tree, error)
        assert tree.domain.connectivity is not None
        return Topology(
            data=data,
            status=_status(tree),
            cost=Cost(seconds=time.perf_counter() - started),
            provenance=self._provenance(source.provenance),
            source=source.kind,
            field=self.field,
            connectivity=tree.domain.connectivity,
            error=_largest(error, tree),
            error_source="rounding" if self.error is None else "given",
            marks=tuple(mark.name for mark in source.marks),
        )

    def _provenance(self, source: Provenance) -> Provenance:
        error: Any = self.error
        if isinstance(error, np.ndarray):
            error = f"array{list(error.shape)}"
        options = {"connectivity": self.connectivity, "error": error, "field": self.field}
        return dataclasses.replace(
            source,
            method={"name": type(self).__name__, **options, "of": source.method},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _coordinates(source: Slice) -> np.ndarray:
    """Coefficients of every cell, [*grid, d], for a profile too."""
    given = source.data["coordinates"]
    return given[..., None] if given.ndim == source.loss.ndim else given


def _indices(flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Grid indices [k, d] of flat ones; −1 stays −1."""
    at = np.stack(np.unravel_index(np.maximum(flat, 0), shape), axis=-1)
    at[flat < 0] = -1
    return at


def _joined(tree: MergeTree, source: Slice, coordinates: np.ndarray) -> dict[str, np.ndarray]:
    """Cells of the marked points, the levels that join them, and a path for each pair that has one."""
    q = len(source.marks)
    if q == 0:
        return {}
    cells = np.array([_nearest(tree, mark.coordinates, coordinates) for mark in source.marks])
    levels = np.full((q, q), np.nan)
    found = {"mark_cells": cells, "mark_levels": levels}
    here = [i for i in range(q) if cells[i, 0] >= 0]
    for i in here:
        levels[i, i] = tree.level(cells[i], cells[i])
    for i, j in combinations(here, 2):
        path = minimax(tree, cells[i], cells[j])
        levels[i, j] = levels[j, i] = path.level
        found[f"path_{i}_{j}"] = path.cells
    return found


def _nearest(tree: MergeTree, at: tuple[float, ...], coordinates: np.ndarray) -> np.ndarray:
    """The cell nearest to a point, along each axis; −1 where the point lies more than a cell outside, or in a hole."""
    cell = []
    for axis, value in enumerate(at):
        along = np.moveaxis(coordinates[..., axis], axis, 0).reshape(coordinates.shape[axis], -1)[:, 0]
        nearest = int(np.argmin(np.abs(along - value)))
        spacing = np.abs(np.diff(along)).max(initial=0.0)
        if not abs(along[nearest] - value) <= spacing:
            return np.full(len(at), -1)
        cell.append(nearest)
    return np.array(cell) if tree.labels[tuple(cell)] >= 0 else np.full(len(at), -1)


def _largest(error: float | np.ndarray, tree: MergeTree) -> float:
    """The largest error of a cell that is no hole."""
    return float(np.broadcast_to(error, tree.domain.shape)[tree.domain.finite].max(initial=0.0))


def _status(tree: MergeTree) -> TopologyStatus:
    if not len(tree):
        return TopologyStatus.EMPTY
    return TopologyStatus.HOLES if tree.holes else TopologyStatus.COMPLETE
