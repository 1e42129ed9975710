"""The path between two vertices whose highest point is as low as it can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.errors import InputError
from thalweg.topology.merge_tree import MergeTree, Place


@dataclass(frozen=True, eq=False)
class MinimaxPath:
    """``level``: the highest value on the path, which no path between its ends undercuts on this grid.

    ``cells`` [L, axes]: indices of its cells in order, ends included. ``level`` is +inf and there are no
    cells where nothing joins the ends.
    """

    level: float
    cells: np.ndarray


def minimax(tree: MergeTree, start: Place, end: Place) -> MinimaxPath:
    """A shortest path, in steps, among those that never rise above the minimax level of its two ends.

    The level comes from the merge tree and the path from a breadth-first search below it, which tries
    neighbours by ascending flat index and so finds the same one of several shortest paths each time.

    Raises
    ------
    InputError
        If an end lies outside the grid or in a hole.
    """
    first, last = tree.index(start), tree.index(end)
    for place, at in ((start, first), (end, last)):
        if tree.labels.flat[at] < 0:
            raise InputError(f"{place!r} is a hole, its value is {tree.domain.values.flat[at]}: choose a finite cell")
    level = tree.level(first, last)
    cells = _search(_neighbours(tree, level, first), first, last) if level < np.inf else []
    indices = np.unravel_index(np.array(cells, dtype=np.intp), tree.domain.shape)
    return MinimaxPath(level, np.stack(indices, axis=1))


def _neighbours(tree: MergeTree, level: float, start: int) -> tuple[list[int], list[int]]:
    """The component of {f ≤ level} that holds the start, as neighbour lists: those of v are ends[at[v] : at[v + 1]]."""
    components = tree.components(level).ravel()
    inside = components == components[start]
    sources, ends = [], []
    for first, second, height in tree.domain.links():
        within = inside[first] & (height <= level)
        sources += [first[within], second[within]]
        ends += [second[within], first[within]]
    source, end = np.concatenate(sources), np.concatenate(ends)
    order = np.lexsort((end, source))
    at = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=inside.size))])
    return at.tolist(), end[order].tolist()


def _search(neighbours: tuple[list[int], list[int]], start: int, end: int) -> list[int]:
    at, ends = neighbours
    came: dict[int, int] = {start: start}
    front = [start]
    while front and end not in came:
        reached = []
        for v in front:
            for w in ends[at[v] : at[v + 1]]:
                if w not in came:
                    came[w] = v
                    reached.append(w)
        front = reached
    path = [end]
    while path[-1] != start:
        path.append(came[path[-1]])
    return path[::-1]
