"""Sharpness: many measures of one point, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class SharpnessStatus(Status):
    """How a table of measures ended."""

    COMPLETE = ("Every measure that is defined here was computed.",)
    PARTIAL = ("Some measures could not be computed; each line says why.",)


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table.

    value: None where it is not defined here, which ``note`` then explains. error: standard error of an average over
    draws, else None. bound: "lower" for a maximum that was searched for. rescaled: the value at a point with the same
    function, a hidden layer times 10 and the next divided by 10; invariant: whether the two agree within 1 % and three
    standard errors (None where the network has no such pair of layers).
    """

    name: str
    definition: str
    value: float | None
    error: float | None = None
    guarantee: Guarantee = Guarantee.SAMPLED
    bound: str = ""
    rescaled: float | None = None
    invariant: bool | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class SharpnessTable(Record):
    """Measures of sharpness at one point, with definitions and whether rescaling changes them (Dinh et al. 2017)."""

    record_type: ClassVar[str] = "sharpness"

    status: SharpnessStatus
    value: float
    measures: tuple[Measure, ...]
    rescaling: str

    @property
    def guarantee(self) -> Guarantee:
        """The weakest among the measures."""
        return min((m.guarantee for m in self.measures), key=lambda g: g.strength)

    def __getitem__(self, name: str) -> Measure:
        """The measure of that name; KeyError where there is none."""
        return next((m for m in self.measures if m.name == name), None) or self._missing(name)

    def _missing(self, name: str) -> Measure:
        raise KeyError(f"{name}: there are {', '.join(m.name for m in self.measures)}")

    @property
    def summary(self) -> str:
        """How many measures, and which of them a rescaling that leaves the function alone does not change."""
        kept = [m.name for m in self.measures if m.invariant]
        known = any(m.invariant is not None for m in self.measures)
        said = f"unchanged by {self.rescaling}: {', '.join(kept) or 'none'}" if known else self.rescaling
        return f"{len(self.measures)} measures at F = {self.value:.4g}; {said}."
