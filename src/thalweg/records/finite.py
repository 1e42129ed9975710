"""How the gradient changes over a stated distance: a quantity of its own, and no Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class FiniteScaleStatus(Status):
    """How a finite-scale curvature ended."""

    COMPUTED = ("Every difference of gradients was computed, up to rounding.",)
    NONFINITE = ("A gradient was NaN or infinite.", "Take a smaller h.")


@dataclass(frozen=True, kw_only=True, eq=False)
class FiniteScale(Record):
    """(∇F(θ + hv) − ∇F(θ))/h along unit vectors v.

    Arrays: ``directions`` [k, P], ``changes`` [k, P], the quotients; ``curvatures`` [k], v·change. ``rounding``
    estimates what rounded gradients leave in a change: it grows as ``h`` falls. The quotient is that of the steps
    taken, not the derivative: a kink that lies within h counts in it, and the Hessian at θ knows nothing of it.
    """

    record_type: ClassVar[str] = "finite_scale"
    required: ClassVar[tuple[str, ...]] = ("directions", "changes", "curvatures")

    status: FiniteScaleStatus
    h: float
    rounding: float

    @property
    def guarantee(self) -> Guarantee | None:
        """EXACT for these directions and this h, up to ``rounding``."""
        return None if self.status is FiniteScaleStatus.NONFINITE else Guarantee.EXACT

    @property
    def summary(self) -> str:
        """The extremes among the directions."""
        found = self.data["curvatures"]
        if self.status is FiniteScaleStatus.NONFINITE:
            return f"No finite-scale curvature at h = {self.h:g}: {self.status.message}"
        return (
            f"Finite-scale curvature at h = {self.h:g} along {len(found)} directions: {found.min():.4g} to "
            f"{found.max():.4g}, mean {found.mean():.4g}, rounding about {self.rounding:.1g}."
        )
