"""The merge tree of sublevel sets, as the branches that the elder rule gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.errors import InputError
from thalweg.topology.regions import Domain

Place = int | Sequence[int]
"""A vertex: its flat index, or its index along each axis."""


@dataclass(frozen=True, eq=False)
class MergeTree:
    """Basins b = 0 … k−1 of {f ≤ t} as t rises, the most persistent first.

    A basin is born with its local minimum and dies where it meets an elder one: one with a lower minimum, or
    with an equal one at a smaller flat index. Those that live for no rise at all, such as the further cells
    of a flat bottom, are no basins. The oldest of each connected piece never dies.

    births, deaths [k]: levels; +inf for one that never dies. minima [k]: flat index of the minimum.
    saddles [k, 2]: the two touching vertices where it dies, the higher first; −1 for none.
    parents [k]: the basin it falls into, −1 for none; always a smaller number than its own.
    areas [k]: cells in the component of {f < death} that holds the minimum, basins inside it included.
    labels [*shape]: the eldest basin of the component of {f ≤ f(cell)} that holds the cell; −1 for holes.

    Where equal values allow several choices, births, deaths and areas are the same for all of them.
    Source: Edelsbrunner & Harer 2010, chapter VII; Carr, Snoeyink & Axen 2003 for merge trees.
    """

    domain: Domain
    births: np.ndarray
    deaths: np.ndarray
    minima: np.ndarray
    saddles: np.ndarray
    parents: np.ndarray
    areas: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return self.births.size

    @property
    def persistence(self) -> np.ndarray:
        """Rise from birth to death, [k], descending."""
        return lifetimes(self.births, self.deaths)

    @property
    def holes(self) -> int:
        """How many cells are NaN or infinite."""
        return int(np.count_nonzero(~self.domain.finite))

    def index(self, place: Place) -> int:
        """The flat index of a vertex.

        Raises
        ------
        InputError
            If it lies outside.
        """
        shape = self.domain.shape
        at = np.atleast_1d(np.asarray(place))
        inside = at.dtype.kind in "iu" and at.ndim == 1
        if inside and at.size == 1:
            inside = bool(0 <= at[0] < self.domain.values.size)
        elif inside:
            inside = at.size == len(shape) and bool(((at >= 0) & (at < shape)).all())
        if not inside:
            raise InputError(f"{place!r} is no vertex of a grid of shape {shape}: give one index per axis, from 0")
        return int(at[0]) if at.size == 1 else int(np.ravel_multi_index(tuple(at), shape))

    def level(self, first: Place, second: Place) -> float:
        """The minimax level: the lowest t at which both vertices lie in one component of {f ≤ t}.

        +inf where no path joins them, as for a hole. Exact: a value of the grid, found without rounding.
        """
        ends = self.index(first), self.index(second)
        a, b = (int(self.labels.flat[end]) for end in ends)
        if a < 0 or b < 0:
            return float("inf")
        level = float(max(self.domain.values.flat[end] for end in ends))
        while a != b and level < float("inf"):
            a, b = (a, b) if self.deaths[a] <= self.deaths[b] else (b, a)
            level, a = max(level, float(self.deaths[a])), int(self.parents[a])
        return level

    def components(self, level: float) -> np.ndarray:
        """The components of {f ≤ level}, each named by its eldest basin; −1 above the level and in holes."""
        eldest = first_above(self.parents, self.deaths, level)
        below = self.domain.finite & (self.domain.values <= level)
        return np.where(below, np.append(eldest, -1)[self.labels], -1)  # a hole's label, −1, reads the last entry

    def simplified(self, threshold: float) -> np.ndarray:
        """The labels when every basin whose persistence is not above the threshold is left to its parent."""
        kept = first_above(self.parents, self.persistence, threshold)
        return np.append(kept, -1)[self.labels]


def lifetimes(births: np.ndarray, deaths: np.ndarray) -> np.ndarray:
    """Deaths − births; +inf where the difference is too large for float64."""
    with np.errstate(over="ignore"):
        return deaths - births


def first_above(parents: np.ndarray, key: np.ndarray, level: float) -> np.ndarray:
    """For each basin itself, or its nearest ancestor whose key, which grows towards the root, exceeds the level."""
    target = np.arange(parents.size)
    for b in np.flatnonzero(~(key > level)):  # parents come before their children
        target[b] = target[parents[b]] if parents[b] >= 0 else b
    return target
