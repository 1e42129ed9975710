"""A weighted graph: minima with the levels of the paths between them, from which a disconnectivity graph is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from thalweg.errors import InputError
from thalweg.topology.lattice import Links, real


@dataclass(frozen=True, eq=False)
class Graph:
    """``values`` [n] of the vertices; vertices ``edges`` [m, 2] touch at ``levels`` [m].

    Without levels two vertices touch at the larger of their values. Vertices that are NaN or infinite are
    holes; an edge whose level is NaN or +infinite is one that was not found, and joins nothing.

    Raises
    ------
    InputError
        If shapes or ends do not fit, or an edge lies below one of its vertices.
    """

    values: np.ndarray
    edges: np.ndarray
    levels: np.ndarray | None = None
    finite: np.ndarray = field(init=False, repr=False)
    connectivity: None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        values, edges = real(self.values, "values"), np.asarray(self.edges)
        if values.ndim != 1 or not values.size:
            raise InputError(f"values have shape {values.shape}: give one number per vertex, for at least one")
        if edges.size == 0:
            edges = np.empty((0, 2), dtype=np.intp)
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
            raise InputError(f"edges have shape {edges.shape} and type {edges.dtype}: give [m, 2] integers")
        edges = edges.astype(np.intp)
        if edges.size and not (edges.min() >= 0 and edges.max() < values.size):
            raise InputError(f"edges name vertices {edges.min()} to {edges.max()}: there are 0 to {values.size - 1}")
        ends = values[edges].max(axis=1)
        levels = ends if self.levels is None else real(self.levels, "levels")
        if levels.shape != ends.shape:
            raise InputError(f"levels have shape {levels.shape}: give one for each of the {len(edges)} edges")
        below = np.flatnonzero(levels < ends)
        if below.size:
            first = below[0]
            raise InputError(
                f"edge {first} joins vertices {edges[first].tolist()} at {levels[first]:.6g}, below the higher of "
                f"them, {ends[first]:.6g}: an edge's level is the largest value on its path, ends included"
            )
        for name, array in (("values", values), ("edges", edges), ("levels", levels), ("finite", np.isfinite(values))):
            object.__setattr__(self, name, array)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n,), the number of vertices."""
        return self.values.shape

    def links(self) -> Iterator[Links]:
        """Every edge between two vertices that are no holes, as one block."""
        assert self.levels is not None
        first, second = self.edges[:, 0], self.edges[:, 1]
        real_ones = np.isfinite(self.levels) & self.finite[first] & self.finite[second] & (first != second)
        yield first[real_ones], second[real_ones], self.levels[real_ones]
