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
from thalweg.records import Cost, Path, Provenance, Slice, Topology, TopologyStatus
from thalweg.topology.merge_tree import MergeTree
from thalweg.topology.minimax import minimax
from thalweg.topology.noise import margins
from thalweg.topology.source import Source, source_of, stated_error
from thalweg.topology.sublevel import sublevel


@dataclass(frozen=True, eq=False)
class Basins:
    """The basins of the loss, or of the metric named by ``field``, on the grid of a slice or along a path.

    ``connectivity``: 4 (default) or 8 neighbours on a surface, 2 on a profile. ``error``: how far each value
    may be from the truth, one number or one per cell, at all cells at once; the record says which basins
    survive it. None is what the source states of itself: the intervals of a sampled slice, widened to hold at
    all cells at once; the estimated error of interpolated cells; else rounding, tolerance · |value|. Marked
    points are joined by minimax paths on the grid. Nothing is evaluated.

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

    def __call__(self, record: Slice | Path) -> Topology:
        """Find the basins.

        Raises
        ------
        InputError
            If the record has no such field, or the connectivity or the error does not fit its grid.
        """
        started = time.perf_counter()
        source = source_of(record, self.field)
        tree = sublevel(source.values, self.connectivity)
        shape, coordinates = tree.domain.shape, source.coordinates
        data = {
            "births": tree.births,
            "deaths": tree.deaths,
            "areas": tree.areas,
            "parents": tree.parents,
            "minima": _indices(tree.minima, shape),
            "saddles": _indices(tree.saddles[:, 0], shape),
            "places": coordinates.reshape(-1, len(shape))[tree.minima],
            "labels": tree.labels,
            "values": tree.domain.values,
            "coordinates": coordinates,
            **_joined(tree, source),
        }
        error, stated = stated_error(record, self.field) if self.error is None else (self.error, "given")
        if stated != "rounding":
            data["errors"] = np.asarray(error, dtype=np.float64)
        data["margins"] = margins(tree, error)
        assert tree.domain.connectivity is not None
        return Topology(
            data=data,
            status=_status(tree),
            cost=Cost(seconds=time.perf_counter() - started),
            provenance=self._provenance(record.provenance),
            source=source.kind,
            field=self.field,
            connectivity=tree.domain.connectivity,
            error=_largest(error, tree),
            error_source=stated,
            marks=tuple(name for name, _ in source.marks),
            axes=source.axes,
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


def _indices(flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Grid indices [k, d] of flat ones; −1 stays −1."""
    at = np.stack(np.unravel_index(np.maximum(flat, 0), shape), axis=-1)
    at[flat < 0] = -1
    return at


def _joined(tree: MergeTree, source: Source) -> dict[str, np.ndarray]:
    """Cells of the marked points, the levels that join them, and a path for each pair that has one."""
    q = len(source.marks)
    if q == 0:
        return {}
    cells = np.array([_nearest(tree, at, source.coordinates) for _, at in source.marks])
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
