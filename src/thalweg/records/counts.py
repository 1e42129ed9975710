"""Critical points counted by their index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class CountStatus(Status):
    """Whether every critical point is counted."""

    COMPLETE = ("As many critical points of every index were found as are known to exist: all are counted.",)
    FOUND = (
        "These are the different critical points that were found: there may be more, of any index.",
        "Search from more starts until the counts stay.",
    )
    SHORT = (
        "Fewer critical points were found than there are: by their number, or by the Euler characteristic.",
        "Search from more starts; points with small basins are met last.",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Count(Record):
    """How many different critical points of each index were found.

    Arrays: ``count`` [n + 1], by index 0 … n with n = ``size``; ``known`` [n + 1], how many there are, where that is
    known; ``thetas`` [B, P] the points, with ``loss`` [B] and ``index`` [B]. ``reached`` of ``starts`` searches ended
    at a critical point; ``once`` of the points were met once only, so that others may have been missed. With
    ``families``, what is counted are families of points that are not isolated.
    """

    record_type: ClassVar[str] = "count"
    required: ClassVar[tuple[str, ...]] = ("count", "thetas", "loss", "index")

    status: CountStatus
    size: int
    starts: int
    reached: int
    once: int
    families: bool = False

    @property
    def guarantee(self) -> Guarantee:
        """SAMPLED: what was found exists; nothing is claimed of what was not, unless the number is known."""
        return Guarantee.EXACT if self.status is CountStatus.COMPLETE else Guarantee.SAMPLED

    @property
    def saddles_per_minimum(self) -> float:
        """Points of index 1 and more over those of index 0; infinite without minima."""
        count = self.data["count"]
        return float(count[1:].sum() / count[0]) if count[0] else float("inf")

    @property
    def summary(self) -> str:
        """How many, of which kinds."""
        count = self.data["count"]
        known = f" of {int(self.data['known'].sum()):,} known" if "known" in self.data else ""
        by = ", ".join(f"{int(c):,} of index {k}" for k, c in enumerate(count) if c)
        what = "families of critical points" if self.families else "different critical points"
        return (
            f"{int(count.sum()):,} {what}{known}: {by or 'none'}; {self.reached} of {self.starts} "
            f"searches ended at one, and {self.once} of them were met once only."
        )
