"""What both kinds of figure need to know about a graph of minima: the joints of its tree, and components by level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.plot.scale import Scale
from thalweg.records import MinimaGraph


@dataclass(frozen=True)
class Joint:
    """Where two branches of a disconnectivity graph meet: their abscissae and lower ends, and the level."""

    left: tuple[float, float]
    right: tuple[float, float]
    level: float

    @property
    def outline(self) -> np.ndarray:
        """Up from the left branch, across, and down to the right one, [4, 2]."""
        return np.array([self.left, (self.left[0], self.level), (self.right[0], self.level), self.right])


def joints(record: MinimaGraph) -> tuple[dict[int, float], list[Joint]]:
    """An abscissa for each minimum, and the joints from the lowest up (Becker & Karplus 1997).

    The lower branch stands left; a component that nothing joins stands by itself.
    """
    values, edges, levels = record.data["values"], record.data["edges"], record.data["levels"]
    groups: dict[int, list[int]] = {i: [i] for i in range(len(values))}
    home = list(range(len(values)))
    merges: list[tuple[int, int, float]] = []
    for e in sorted(record.data["tree"].tolist(), key=lambda e: levels[e]):
        a, b = (home[i] for i in edges[e].tolist())
        if min(values[i] for i in groups[b]) < min(values[i] for i in groups[a]):
            a, b = b, a
        merges.append((a, b, float(levels[e])))
        groups[a] += groups.pop(b)
        for i in groups[a]:
            home[i] = a
    order = [i for group in sorted(groups.values(), key=lambda g: min(values[i] for i in g)) for i in group]
    at = {i: float(x) for x, i in enumerate(order)}
    tips = {i: (at[i], float(values[i])) for i in at}
    found = []
    for a, b, level in merges:
        joint = Joint(tips[a], tips[b], level)
        tips[a] = ((tips[a][0] + tips[b][0]) / 2, level)
        found.append(joint)
    return at, found


def stairs(record: MinimaGraph, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """The number of components [m] against the level as drawn [m], as a line of steps that goes on above the last."""
    levels = np.unique(np.concatenate([record.data["values"], record.saddles]))
    number = np.array([record.components(level) for level in levels])
    beyond = scale.high * 1.15 if scale.log else scale.high + 0.05 * (scale.high - scale.low)
    ends = np.append(levels, max(beyond, levels[-1]))
    return np.repeat(number, 2), scale.shown(np.stack([ends[:-1], ends[1:]], axis=1).ravel())
