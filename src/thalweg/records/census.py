"""A census: index against loss over many points, with what says whether they are critical at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class CensusStatus(Status):
    """Whether the points of a census are critical."""

    CRITICAL = ("Every point is critical within the tolerance.",)
    MIXED = (
        "Some points are not critical: their index is that of a Hessian, not of a critical point.",
        "Read the curve over the critical points alone; without that selection it is an artefact (Frye et al. 2021).",
    )
    NONE = (
        "No point is critical: a curve of index against loss over these points is an artefact (Frye et al. 2021).",
        "Search for critical points from here, then take the census of what was found.",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Census(Record):
    """Loss, gradient norm and index of B points.

    Arrays: ``loss`` [B], ``gradient_norm`` [B], ``index_low`` and ``index_high`` [B], ``nullity_low`` [B],
    ``critical`` [B] (bool), ``flat`` [B] (bool: gradient-flat), ``thetas`` [B, P]. ``size`` is the number of
    directions. ``curves`` are theory curves, each as arrays ``NAME.loss`` [q] and ``NAME.share`` [q]. Where the points
    were searched for, ``search`` names the method, ``starts`` [B, P] is where it began and ``start_loss`` [B] the loss
    there.
    """

    record_type: ClassVar[str] = "census"
    required: ClassVar[tuple[str, ...]] = ("loss", "gradient_norm", "index_low", "index_high", "critical")

    status: CensusStatus
    size: int
    tolerance: float
    kinds: dict[str, int]
    curves: tuple[str, ...] = ()
    floor: float = 0.0
    search: str = ""

    @property
    def guarantee(self) -> Guarantee:
        """EXACT where every index is known exactly, else CERTIFIED; of the points given, no others."""
        exact = np.array_equal(self.data["index_low"], self.data["index_high"])
        return Guarantee.EXACT if exact else Guarantee.CERTIFIED

    @property
    def share(self) -> np.ndarray:
        """The index over the number of directions, its lower bound, [B]."""
        return self.data["index_low"] / self.size

    @property
    def summary(self) -> str:
        """How many points are critical, and the range of their index."""
        critical = self.data["critical"]
        count = int(critical.sum())
        points = f"points that {self.search} reached" if self.search else "points"
        said = f"{count} of {critical.size} {points} are critical within ‖∇F‖ ≤ {self.tolerance:g}"
        if count:
            low, high = self.share[critical].min(), (self.data["index_high"][critical] / self.size).max()
            said += f"; their index is between {low:.3g} and {high:.3g} of the {self.size:,} directions"
        flat = int(self.data["flat"].sum())
        return said + (f"; {flat} lie in gradient-flat regions." if flat else ".")
