"""One network's units brought into another's order: what moved, and what that does to the segment between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.errors import InputError
from thalweg.records.base import Record
from thalweg.records.bracket import Bracket, Guarantee
from thalweg.records.status import Status


class AlignmentStatus(Status):
    """Whether units were moved."""

    ALIGNED = ("The second point is the same network with its units in another order.",)
    UNCHANGED = (
        "No better order of the second point's units was found; this does not show that there is none.",
        "Give restarts, or ask for another method.",
    )


@dataclass(frozen=True, slots=True)
class Matched:
    """One group: ``size`` units, in each member of ``within`` where it is not None; ``moved`` of them changed place.

    ``places`` are the axes of tensors on which the group acts.
    """

    name: str
    size: int
    within: str | None
    moved: int
    places: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment(Record):
    """The second of two points with its units exchanged, and F on the straight segment before and after.

    Arrays: ``theta`` [P], the aligned second point; ``statistics.NAME`` its statistics; ``permutation.GROUP`` int64
    [size] (or [members, size]): the unit that came to each place; ``sign.GROUP`` and ``scale.GROUP`` [size] where
    asked for. ``t`` [m]; ``before_loss``, ``after_loss`` and each metric so prefixed, float64 [m]; with test rows
    ``before_test_loss`` and so on. What a method adds is described where it is made.

    ``output_change`` is the largest change of an output over the largest output; distances are Euclidean, before and
    after; ``before`` and ``after`` bracket how far F rises above the worse end along the segment.
    """

    record_type: ClassVar[str] = "alignment"
    required: ClassVar[tuple[str, ...]] = ("theta", "t", "before_loss", "after_loss")

    status: AlignmentStatus
    method: str
    output_change: float
    tolerance: float
    distance_before: float
    distance_after: float
    before: Bracket
    after: Bracket
    ends: tuple[float, float]
    groups: tuple[Matched, ...]
    left: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()

    @property
    def guarantee(self) -> Guarantee:
        """The weaker one of the two barriers; that the outputs stay is measured on the data, within ``tolerance``."""
        return min((self.before.guarantee, self.after.guarantee), key=lambda g: g.strength)

    @property
    def barrier_before(self) -> float:
        """How far F was seen to rise above the worse end on the segment to the second point as it was."""
        return float("nan") if self.before.lower is None else self.before.lower

    @property
    def barrier_after(self) -> float:
        """As :attr:`barrier_before`, on the segment to the aligned point."""
        return float("nan") if self.after.lower is None else self.after.lower

    @property
    def moved(self) -> int:
        """How many units changed place."""
        return sum(group.moved for group in self.groups)

    @property
    def units(self) -> int:
        """How many units could have."""
        return sum(self.data[f"permutation.{group.name}"].size for group in self.groups)

    def permutation(self, group: str) -> np.ndarray:
        """The unit that came to each place of a group.

        Raises
        ------
        InputError
            If there is no such group.
        """
        if f"permutation.{group}" not in self.data:
            raise InputError(f"group {group!r} is unknown: there are {', '.join(g.name for g in self.groups)}")
        return self.data[f"permutation.{group}"]

    @property
    def summary(self) -> str:
        """What moved, and the barrier before and after."""
        groups = f"{len(self.groups)} group{'s' * (len(self.groups) != 1)}"
        return (
            f"{self.method}: {self.moved} of {self.units} units in {groups} changed place; outputs "
            f"changed by {self.output_change:.1e} of their size; the distance went from {self.distance_before:.4g} to "
            f"{self.distance_after:.4g}, the barrier on the segment from {self.barrier_before:.4g} to "
            f"{self.barrier_after:.4g} ({self.guarantee})."
        )
