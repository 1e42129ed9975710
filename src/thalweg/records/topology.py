"""Basins of a slice: where it has valleys, how deep they are, and which of them are more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class TopologyStatus(Status):
    """What the basins were found in."""

    COMPLETE = ("Every cell is finite and belongs to a basin.",)
    HOLES = (
        "Cells that are NaN or infinite are holes: they join nothing and belong to no basin.",
        "A smaller half-width keeps to the finite part.",
    )
    EMPTY = ("No cell is finite, so there is no basin.", "Draw the slice with a smaller half-width.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Topology(Record):
    """Basins of {f ≤ t} on the grid of a slice as t rises, the most persistent first.

    Arrays: ``births``, ``deaths`` [k], the levels at which a basin appears and at which it meets an elder
    one (+inf where it never does); ``areas`` [k], cells of the component of {f < death} around its minimum,
    basins inside it included; ``parents`` [k], the basin it falls into or −1; ``minima``, ``saddles``
    [k, d], grid indices (−1 for no saddle); ``places`` [k, d], coefficients of the minima; ``labels``
    [*grid], the eldest basin that a cell is connected to at its own level, −1 for holes.

    ``margins`` [k]: the rise that is sure to be left of each basin when every value may be wrong by its
    error, +inf for the surely lowest of a piece; ``errors`` as given, a number or [*grid]. With q marked points,
    ``mark_cells`` [q, d], their nearest cells, or −1 where that lies outside or is a hole; ``mark_levels``
    [q, q], the lowest level at which two are connected (NaN without a cell, +inf without a path); and
    ``path_i_j`` [L, d] for i < j, the cells of a path that never rises above it. ``values`` [*grid] and
    ``coordinates`` [*grid, d] are those of the source, whose directions are called ``axes``.

    ``connectivity`` counts the neighbours of an inner cell. ``error`` is the largest error of any cell, and
    ``error_source`` says whether it was "given", or is what the source states of itself: its "rounding", its
    "interpolation" (an estimate, no bound) or its "intervals" (widened to hold at all cells at once).
    """

    record_type: ClassVar[str] = "topology"
    required: ClassVar[tuple[str, ...]] = (
        "births", "deaths", "areas", "parents", "minima", "saddles", "labels", "margins", "values", "coordinates",
    )  # fmt: skip

    status: TopologyStatus
    source: str
    field: str
    connectivity: int
    error: float
    error_source: str
    marks: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()

    @property
    def guarantee(self) -> Guarantee | None:
        """SAMPLED: exact for the values on the grid, which only compares them; nothing is claimed between cells."""
        return None if self.status is TopologyStatus.EMPTY else Guarantee.SAMPLED

    @property
    def count(self) -> int:
        """How many basins there are, those of noise included."""
        return int(self.data["births"].size)

    @property
    def pieces(self) -> int:
        """How many basins never die: 1, or more where holes cut the grid apart."""
        return int(np.count_nonzero(np.isinf(self.data["deaths"])))

    @property
    def holes(self) -> int:
        """How many cells are NaN or infinite."""
        return int(np.count_nonzero(self.data["labels"] < 0))

    @property
    def persistence(self) -> np.ndarray:
        """Rise from birth to death, [k], descending; +inf for a basin that never dies."""
        with np.errstate(over="ignore"):
            return self.data["deaths"] - self.data["births"]

    @property
    def survives(self) -> np.ndarray:
        """Which basins are more than the error, [k].

        If every value is within its error, the true values on this grid have at least that many basins
        (Cohen-Steiner, Edelsbrunner & Harer 2007).
        """
        return self.data["margins"] > 0

    @property
    def surviving(self) -> int:
        """How many basins are more than the error, those that never die included."""
        return int(np.count_nonzero(self.survives))

    @property
    def territories(self) -> np.ndarray:
        """The labels when every basin that does not survive is left to the nearest of its elders that does."""
        heir = np.arange(self.count)
        for b in np.flatnonzero(~self.survives).tolist():  # parents come before their children
            parent = int(self.data["parents"][b])
            heir[b] = heir[parent] if parent >= 0 else b
        return np.append(heir, -1)[self.data["labels"]]  # a hole's label, −1, reads the last entry

    def region(self, basin: int) -> np.ndarray:
        """Which cells hold together with a basin's minimum below its death, bool [*grid]; basins inside included."""
        inside = np.arange(self.count + 1) == basin
        for b, parent in enumerate(self.data["parents"].tolist()):
            inside[b] |= parent >= 0 and inside[parent]
        return inside[self.data["labels"]]  # the last entry is that of holes

    @property
    def joined(self) -> list[tuple[int, int, float, np.ndarray]]:
        """Each pair i < j of marked points that a path joins: its level, the coefficients [L, d] of its cells."""
        found = []
        for i in range(len(self.marks)):
            for j in range(i + 1, len(self.marks)):
                cells = self.data.get(f"path_{i}_{j}")
                if cells is not None and len(cells):
                    level = float(self.data["mark_levels"][i, j])
                    found.append((i, j, level, self.data["coordinates"][tuple(cells.T)]))
        return found

    @property
    def basins(self) -> list[dict[str, Any]]:
        """Each basin as {birth, death, persistence, area, survives}, the most persistent first, as JSON can hold it.

        Death and persistence are None for one that never dies.
        """
        columns = {
            "birth": self.data["births"].tolist(),
            "death": [d if np.isfinite(d) else None for d in self.data["deaths"].tolist()],
            "persistence": [p if np.isfinite(p) else None for p in self.persistence.tolist()],
            "area": self.data["areas"].tolist(),
            "survives": self.survives.tolist(),
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    @property
    def summary(self) -> str:
        """How many basins there are, how many survive the error, and how far the second one rises."""
        shape = "×".join(str(n) for n in self.data["labels"].shape)
        cells = f"{shape} cells with {self.connectivity} neighbours"
        if not self.count:
            return f"{cells}, none of them finite."
        error = _ERRORS[self.error_source]
        said = f"{_basins(self.count)} on {cells}, {self.surviving} more than {error} {self.error:.2g}"
        if self.pieces > 1:
            said += f", in {self.pieces} pieces that holes cut apart"
        mortal = self.persistence[np.isfinite(self.data["deaths"])]
        return f"{said}; {f'the deepest that ends rises {mortal[0]:.4g}' if mortal.size else 'none ends in another'}."


_ERRORS = {
    "rounding": "rounding",
    "given": "the error given,",
    "interpolation": "the estimated error of interpolation,",
    "intervals": "the error of sampling, at most",
}


def _basins(count: int) -> str:
    return "1 basin" if count == 1 else f"{count:,} basins"
