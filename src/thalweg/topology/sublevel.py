"""Zero-dimensional sublevel persistence: from values to the merge tree."""

from __future__ import annotations

import numpy as np

from thalweg.topology.graph import Graph
from thalweg.topology.lattice import Lattice
from thalweg.topology.merge_tree import MergeTree, lifetimes
from thalweg.topology.regions import Domain, Regions, regions
from thalweg.topology.union_find import UnionFind


def sublevel(values: np.ndarray, connectivity: int | None = None) -> MergeTree:
    """Basins of a 1-D, 2-D or 3-D grid of real values; see :class:`Lattice` for the connectivity and holes.

    O(n log n) for the sort, near-linear after it (Edelsbrunner & Harer 2010, chapter VII).

    Raises
    ------
    InputError
        If the array is no such grid, or the connectivity is not one of 2 · 4, 8 · 6, 26.
    """
    return merge_tree(Lattice(values, connectivity))


def sublevel_graph(values: np.ndarray, edges: np.ndarray, levels: np.ndarray | None = None) -> MergeTree:
    """Basins of a graph: vertex ``values`` [n], ``edges`` [m, 2] and the ``levels`` [m] at which they join.

    With minima as vertices and the levels of the paths between them as edges, deaths are the levels of the
    minimum spanning tree, and the tree is a disconnectivity graph (Becker & Karplus 1997).

    Raises
    ------
    InputError
        If shapes do not fit, or an edge lies below one of its vertices.
    """
    return merge_tree(Graph(values, edges, levels))


def merge_tree(domain: Domain) -> MergeTree:
    """The merge tree of a lattice or graph."""
    found = regions(domain)
    values = domain.values.ravel()
    births = values[found.minima]
    deaths, parents, seams = elder_rule(found)
    above = _Ancestors(parents, deaths)

    lives = np.flatnonzero(deaths > births)
    span = lifetimes(births[lives], deaths[lives])
    kept = lives[np.lexsort((lives, -span))]  # regions are numbered by age, which breaks equal persistence
    number = np.full(births.size, -1)
    number[kept] = np.arange(kept.size)

    # A basin that dies with its parent, at one level, falls into the first ancestor that lives on.
    falls = np.full(kept.size, -1)
    ends = np.isfinite(deaths[kept])
    falls[ends] = number[above.living(kept[ends], deaths[kept[ends]])]
    labels = np.full(values.size, -1)
    solid = np.flatnonzero(found.region >= 0)
    labels[solid] = number[above.living(found.region[solid], values[solid])]
    saddles = np.full((kept.size, 2), -1)
    saddles[ends] = found.ends[seams[kept[ends]]]
    return MergeTree(
        domain=domain,
        births=births[kept],
        deaths=deaths[kept],
        minima=found.minima[kept],
        saddles=saddles,
        parents=falls,
        areas=_areas(labels[solid], falls),
        labels=labels.reshape(domain.shape),
    )


def elder_rule(found: Regions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join regions over ascending seams; the younger dies: its level, its heir and its seam, each [m]."""
    m = found.minima.size
    deaths, parents, seams = np.full(m, np.inf), np.arange(m), np.full(m, -1)
    sets = UnionFind(m)
    for seam, (a, b) in enumerate(found.pairs.tolist()):
        joined = sets.union(a, b)
        if joined is not None:
            elder, younger = joined
            parents[younger], seams[younger] = elder, seam
    dead = seams >= 0
    deaths[dead] = found.levels[seams[dead]]
    return deaths, parents, seams


class _Ancestors:
    """Nearest living ancestors, by jumps of 1, 2, 4 … generations: deaths never fall towards the root."""

    def __init__(self, parents: np.ndarray, deaths: np.ndarray) -> None:
        self._deaths, self._jumps = deaths, [parents]
        while not np.array_equal(further := self._jumps[-1][self._jumps[-1]], self._jumps[-1]):
            self._jumps.append(further)

    def living(self, regions: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Each region itself, or its nearest ancestor whose death is above the level; levels are finite."""
        found = regions.copy()
        dead = np.flatnonzero(self._deaths[regions] <= levels)
        at, levels = regions[dead], levels[dead]
        for jump in reversed(self._jumps):
            further = jump[at]
            at = np.where(self._deaths[further] <= levels, further, at)
        found[dead] = self._jumps[0][at]  # the last dead one's parent lives
        return found


def _areas(labels: np.ndarray, parents: np.ndarray) -> np.ndarray:
    areas = np.bincount(labels, minlength=parents.size).tolist()
    heirs = parents.tolist()
    for b in range(len(heirs) - 1, -1, -1):  # children come after their parents
        if heirs[b] >= 0:
            areas[heirs[b]] += areas[b]
    return np.array(areas, dtype=np.int64)
