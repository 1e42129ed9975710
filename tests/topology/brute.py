"""Sublevel sets by definition: one flood fill per level, nothing shared with the library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, maximum_bipartite_matching

Fill = Callable[[float, bool], np.ndarray]
"""(level, strict) -> component number of every vertex of {f ≤ level} or {f < level}, −1 outside; flat."""


def grid_fill(values: np.ndarray, corners: bool) -> Fill:
    structure = ndimage.generate_binary_structure(values.ndim, values.ndim if corners else 1)

    def fill(level: float, strict: bool = False) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            mask = np.isfinite(values) & ((values < level) if strict else (values <= level))
        return ndimage.label(mask, structure)[0].ravel() - 1

    return fill


def graph_fill(values: np.ndarray, edges: np.ndarray, levels: np.ndarray) -> Fill:
    n = values.size

    def fill(level: float, strict: bool = False) -> np.ndarray:
        below = np.isfinite(values) & ((values < level) if strict else (values <= level))
        reached = (levels < level) if strict else (levels <= level)
        use = reached & np.isfinite(levels) & below[edges].all(axis=1)
        joined = coo_matrix((np.ones(use.sum()), tuple(edges[use].T)), shape=(n, n))
        return np.where(below, connected_components(joined, directed=False)[1], -1)

    return fill


@dataclass
class Brute:
    """By minimum (flat index): death, heir at death and area; and the label of every vertex (a minimum or −1)."""

    deaths: dict[int, float]
    heirs: dict[int, int]
    areas: dict[int, int]
    labels: np.ndarray


def sweep(values: np.ndarray, fill: Fill, levels: np.ndarray) -> Brute:
    """Fill at every level at which anything can happen, and watch the eldest vertex of each component."""
    flat = values.ravel()
    alive: set[int] = set()
    found = Brute({}, {}, {}, np.full(flat.size, -1))
    for level in np.unique(levels[np.isfinite(levels)]):
        component = fill(level, False)
        eldest = {
            int(c): min(np.flatnonzero(component == c).tolist(), key=lambda v: (flat[v], v))
            for c in np.unique(component[component >= 0])
        }
        before = fill(level, True)
        for gone in alive - set(eldest.values()):
            found.deaths[gone] = float(level)
            found.heirs[gone] = eldest[int(component[gone])]
            found.areas[gone] = int((before == before[gone]).sum())
        alive = set(eldest.values())
        for v in np.flatnonzero((flat == level) & (component >= 0)):
            found.labels[v] = eldest[int(component[v])]
    final = fill(np.inf, False)
    for v in alive:
        found.deaths[v], found.heirs[v], found.areas[v] = float("inf"), -1, int((final == final[v]).sum())
    return found


def meeting(fill: Fill, levels: np.ndarray, first: int, second: int) -> float:
    """The lowest level at which two vertices are in one component."""
    for level in np.unique(levels[np.isfinite(levels)]):
        component = fill(level, False)
        if component[first] >= 0 and component[first] == component[second]:
            return float(level)
    return float("inf")


def matched(first: np.ndarray, second: np.ndarray, distance: float) -> bool:
    """Whether two diagrams [k, 2] lie within a bottleneck distance: a perfect matching, diagonal included."""
    k, m = len(first), len(second)
    with np.errstate(invalid="ignore"):
        apart = np.abs(first[:, None] - second[None])
    apart[np.isnan(apart)] = 0.0  # +inf of both
    near = np.ones((k + m, m + k), dtype=bool)
    near[:k, :m] = apart.max(axis=2, initial=0.0) <= distance
    near[:k, m:] = np.eye(k, dtype=bool) & ((first[:, 1] - first[:, 0]) / 2 <= distance)[:, None]
    near[k:, :m] = np.eye(m, dtype=bool) & ((second[:, 1] - second[:, 0]) / 2 <= distance)[None]
    pairs = maximum_bipartite_matching(coo_matrix(near).tocsr(), perm_type="column")
    return bool((pairs >= 0).all())
