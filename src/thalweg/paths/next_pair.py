"""Which pair of minima to join next: first a tree, then lower edges for it (Draxler et al. 2018, code)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

Pair = tuple[int, int]


def next_pair(values: np.ndarray, levels: Mapping[Pair, float]) -> tuple[Pair, str] | None:
    """The pair to try next and why; None where every pair was tried. ``values`` [n]; ``levels`` of the tried pairs.

    "disconnected": the lowest minimum of each component is to be joined to the lowest of all, the lower components
    first. "tree": the highest edge of the spanning tree is taken away, and across the cut the untried pair of the
    lowest minima is chosen; where all were tried, the next highest edge. A pair whose search failed has no finite
    level: it is not tried again. "last": pairs that no cut asks for, where the tree cannot be had from such pairs.
    """
    n = len(values)
    edges = [pair for pair, level in levels.items() if np.isfinite(level)]
    part = labels(n, edges)
    untried = [pair for pair in combinations(range(n), 2) if pair not in levels]

    def height(pair: Pair) -> tuple[float, float, Pair]:
        return max(values[pair[0]], values[pair[1]]), values[pair[0]] + values[pair[1]], pair

    if part.max(initial=0) > 0:
        best = int(np.argmin(values))
        lowest = [int(min(np.flatnonzero(part == c), key=lambda i: values[i])) for c in range(part.max() + 1)]
        wanted = [_sorted(best, i) for i in lowest if part[i] != part[best]]
        open_ = [pair for pair in wanted if pair in untried]
        across = [pair for pair in untried if part[pair[0]] != part[pair[1]]]
        if open_ or across:
            return min(open_ or across, key=height), "disconnected"
    tree = spanning_tree(n, edges, np.array([levels[pair] for pair in edges]))
    for e in sorted(tree, key=lambda e: -levels[edges[e]]):
        cut = labels(n, [edges[i] for i in tree if i != e])
        across = [pair for pair in untried if cut[pair[0]] != cut[pair[1]]]
        if across:
            return min(across, key=height), "tree"
    return (min(untried, key=height), "last") if untried else None


def spanning_tree(n: int, edges: list[Pair], levels: np.ndarray) -> list[int]:
    """Indices of the edges of a minimum spanning tree (or forest) by their finite levels [m]."""
    if not edges:
        return []
    # By rank: a tree depends on the order alone, and a weight of 0 would be read as no edge.
    order = np.argsort(levels, kind="stable")
    rank = np.empty(len(edges))
    rank[order] = np.arange(1, len(edges) + 1)
    first, last = np.array(edges).T
    found = minimum_spanning_tree(coo_array((rank, (first, last)), shape=(n, n)).tocsr())
    return sorted(int(order[int(r) - 1]) for r in found.data)


def labels(n: int, edges: list[Pair]) -> np.ndarray:
    """The component of each of n vertices, int [n]."""
    if not edges:
        return np.arange(n)
    first, last = np.array(edges).T
    return connected_components(coo_array((np.ones(len(edges)), (first, last)), shape=(n, n)), directed=False)[1]


def _sorted(i: int, j: int) -> Pair:
    return (i, j) if i < j else (j, i)
