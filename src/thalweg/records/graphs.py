"""Many minima and the paths between them: the tree of lowest saddles, and components against level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class GraphStatus(Status):
    """How far the search for paths between minima came."""

    COMPLETE = ("All minima are joined, and no untried pair is left.",)
    OPEN = (
        "All minima are joined; a pair that was not tried may be joined at a lower level.",
        "Raise most or the budget to try further pairs.",
    )
    PARTIAL = (
        "Not all minima are joined by the paths that were found; this does not show that there is none.",
        "Raise the budget, or ask for another connector.",
    )


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class MinimaGraph(Record):
    """n minima, m tried pairs, and the minimum spanning tree of the levels of their paths.

    Arrays: ``thetas`` [n, P] and ``values`` [n], the minima; ``edges`` [m, 2], in the order in which they were tried;
    ``levels`` [m], the largest F on the best path found, as surely as its guarantee (NaN where none was found), and
    ``lengths`` [m], over the straight distance; ``tree`` [k], which edges span the graph; ``minimax`` [n, n], the
    lowest level at which two minima are joined by these paths (+inf where none joins them), an upper bound on the true
    one as far as the levels hold; ``path_i_j`` [K, P], the knots of the tree's paths. Of the merge tree (basins as
    :class:`~thalweg.records.Topology` has them): ``births``, ``deaths``, ``parents``, ``minima``, each [b].

    ``guarantees`` [m] and ``why`` [m] say of each edge how sure its level is and why its pair was chosen.
    """

    record_type: ClassVar[str] = "minima_graph"
    required: ClassVar[tuple[str, ...]] = ("values", "edges", "levels", "tree", "minimax")

    status: GraphStatus
    names: tuple[str, ...]
    connector: str
    guarantees: tuple[str, ...]
    why: tuple[str, ...]

    @property
    def guarantee(self) -> Guarantee | None:
        """The weakest of the tree's paths; None where nothing is joined."""
        found = [Guarantee(self.guarantees[e]) for e in self.data["tree"].tolist()]
        return min(found, key=lambda g: g.strength, default=None)

    @property
    def saddles(self) -> np.ndarray:
        """The levels of the tree's edges, ascending, [k]."""
        return np.sort(self.data["levels"][self.data["tree"]])

    @property
    def mean_saddle(self) -> float:
        """Their mean, what Draxler et al. 2018 report; NaN without an edge."""
        return float(self.saddles.mean()) if self.saddles.size else float("nan")

    def components(self, level: float) -> int:
        """How many components the minima at or below a level form, joined by paths at or below it."""
        below = self.data["values"] <= level
        joined = self.data["minimax"] <= level
        count, seen = 0, ~below
        for i in np.flatnonzero(below):
            if not seen[i]:
                count += 1
                seen |= joined[i]
        return count

    @property
    def summary(self) -> str:
        """How many minima, joined by how many paths, at which levels."""
        n, k = len(self.names), len(self.data["tree"])
        values = self.data["values"]
        said = f"{n} minima between {values.min():.4g} and {values.max():.4g}; {len(self.data['edges'])} pairs tried"
        if not k:
            return f"{said}; no path was found."
        parts = n - k
        whole = "all are joined" if parts == 1 else f"{parts} components remain"
        return (
            f"{said}, {whole}; the tree's saddles lie between {self.saddles[0]:.4g} and {self.saddles[-1]:.4g}, "
            f"mean {self.mean_saddle:.4g} ({self.guarantee})."
        )
