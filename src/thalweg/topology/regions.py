"""Descent to local minima, and the seams between their regions: all that the merge tree needs to know.

Every vertex slides to its lowest neighbour, and so to a local minimum, without ever rising; two minima are
therefore connected below a level exactly when their regions are, through seams below that level. Sorting and
sliding is array arithmetic, and only the seams, far fewer than the links, are left to the union-find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.topology.graph import Graph
from thalweg.topology.lattice import Lattice

Domain = Lattice | Graph


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions 0 … m−1, from the lowest minimum to the highest, and the seams between them in ascending order.

    ``region`` [n]: of each vertex, −1 for holes. ``minima`` [m]: flat index of each minimum. ``levels`` [s],
    ``pairs`` [s, 2]: the two regions of each seam. ``ends`` [s, 2]: the two vertices, the later one first.
    Vertices are ordered by value, equal ones by flat index; seams by level, then by their ends in that order.
    """

    region: np.ndarray
    minima: np.ndarray
    levels: np.ndarray
    pairs: np.ndarray
    ends: np.ndarray


def regions(domain: Domain) -> Regions:
    """Slide every vertex down; keep the lowest seam of each pair of regions."""
    values = np.where(domain.finite, domain.values, np.inf).ravel()
    order = np.argsort(values, kind="stable")
    size, solid = values.size, int(np.count_nonzero(domain.finite))
    rank = np.empty(size, dtype=np.intp)
    rank[order] = np.arange(size)
    ascending = values[order]

    links = []
    lowest = np.arange(size)  # from here on a vertex is its rank
    for first, second, level in domain.links():
        first, second = rank[first], rank[second]
        low, high = np.minimum(first, second), np.maximum(first, second)
        links.append((low, high, level))
        free = level == ascending[high]  # no rise above the higher end: it belongs with the lower one
        np.minimum.at(lowest, high[free], low[free])
    root = _slide(lowest)

    bottoms = np.flatnonzero(root[:solid] == np.arange(solid))
    number = np.full(size, -1)
    number[bottoms] = np.arange(bottoms.size)
    region = np.full(size, -1)
    region[order[:solid]] = number[root[:solid]]
    found = [_crossing(number[root], *block) for block in links]
    levels, pairs, ends = (np.concatenate([part[i] for part in found]) for i in range(3))
    kept = _lowest_of_each(levels, pairs, ends, bottoms.size)
    return Regions(region, order[bottoms], levels[kept], pairs[kept], order[ends[kept]])


def _slide(lowest: np.ndarray) -> np.ndarray:
    """The end of every chain of pointers, by doubling its length until nothing moves."""
    while True:
        further = lowest[lowest]
        if np.array_equal(further, lowest):
            return lowest
        lowest = further


def _crossing(
    region: np.ndarray, low: np.ndarray, high: np.ndarray, level: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    across = region[low] != region[high]
    low, high = low[across], high[across]
    pairs = np.sort(np.stack([region[low], region[high]], axis=1), axis=1)
    return level[across], pairs, np.stack([high, low], axis=1)


def _lowest_of_each(levels: np.ndarray, pairs: np.ndarray, ends: np.ndarray, m: int) -> np.ndarray:
    """Which seams to keep, in ascending order: the first of every pair of regions."""
    ascending = np.lexsort((ends[:, 1], ends[:, 0], levels))
    key = pairs[ascending, 0] * m + pairs[ascending, 1]
    _, first = np.unique(key, return_index=True)
    return ascending[np.sort(first)]
