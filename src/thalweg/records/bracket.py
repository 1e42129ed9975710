"""How sure an answer is, and the two-sided bounds that carry it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Guarantee(StrEnum):
    """What stands behind a number, strongest first."""

    EXACT = "exact"
    """Lower and upper bound agree up to the stated rounding."""
    CERTIFIED = "certified"
    """Proved, up to the stated rounding."""
    ADAPTIVE = "adaptive"
    """An estimate refined until its own error estimate was small; not a bound."""
    SAMPLED = "sampled"
    """Evaluated at the listed points; nothing is claimed between them."""

    @property
    def strength(self) -> int:
        """3 for exact down to 0 for sampled, to compare two guarantees."""
        return len(Guarantee) - 1 - list(Guarantee).index(self)


@dataclass(frozen=True, slots=True)
class Bracket:
    """Bounds ``lower <= value <= upper`` that hold up to ``slack``, the stated rounding.

    Either side may be ``None``: a maximum that was only sampled has no upper side. Each side carries its
    own guarantee; :attr:`guarantee` is the weaker of those present.
    """

    lower: float | None
    upper: float | None
    lower_guarantee: Guarantee | None = None
    upper_guarantee: Guarantee | None = None
    slack: float = 0.0

    @property
    def guarantee(self) -> Guarantee:
        """The weaker guarantee of the sides present; SAMPLED where the upper side is missing."""
        if self.upper is None or self.lower is None:
            return Guarantee.SAMPLED
        sides = [g for g in (self.lower_guarantee, self.upper_guarantee) if g is not None]
        return min(sides, key=lambda g: g.strength, default=Guarantee.SAMPLED)

    def __str__(self) -> str:
        low = "-inf" if self.lower is None else f"{self.lower:.6g}"
        high = "inf" if self.upper is None else f"{self.upper:.6g}"
        return f"[{low}, {high}]"
