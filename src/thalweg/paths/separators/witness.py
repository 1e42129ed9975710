"""What a separating function says about every path between two points."""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.records import Guarantee


@dataclass(frozen=True)
class Separation:
    """A continuous g with g(a) and g(b) of opposite sign, and the least F on {g = 0}: every path reaches it.

    ``name`` says what g is, ``statement`` why F is at least ``lower`` where g = 0, up to ``slack``.
    """

    name: str
    g: tuple[float, float]
    lower: float
    slack: float
    statement: str
    guarantee: Guarantee = Guarantee.CERTIFIED

    @property
    def bound(self) -> float:
        """What every path must reach, rounding taken off."""
        return self.lower - self.slack

    @property
    def summary(self) -> str:
        """The witness in one sentence with its numbers."""
        one, other = self.g
        return (
            f"Every path reaches F = {self.lower:.6g}: {self.name} goes from {one:.4g} to {other:.4g}, "
            f"and where it is 0 {self.statement}."
        )
