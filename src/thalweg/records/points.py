"""Points judged: what kind of critical point a point is, with its index and how far it is from critical."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Bracket, Guarantee
from thalweg.records.status import Status


class PointStatus(Status):
    """What kind of point it is."""

    STRICT_MINIMUM = ("The Hessian is positive definite beyond its rounding: a strict local minimum.",)
    DEGENERATE_MINIMUM = (
        "The Hessian has null directions and no negative ones, and F rises along them at fourth order wherever it was "
        "looked at: a local minimum as far as four derivatives show.",
    )
    FLAT = (
        "The Hessian has no negative eigenvalue, and along its null space F is constant up to fourth order: a flat "
        "minimum, or a saddle that four derivatives do not show.",
        "Compare F at points along the null space, or look at which symmetries explain it.",
    )
    STRICT_MAXIMUM = ("The Hessian is negative definite beyond its rounding: a strict local maximum.",)
    STRICT_SADDLE = ("The Hessian has a negative eigenvalue beyond its rounding: a strict saddle.",)
    DEGENERATE_SADDLE = (
        "The Hessian has no negative eigenvalue, and F falls along its null space at third or fourth order: a saddle "
        "that second derivatives do not show.",
    )
    UNDECIDED = (
        "What was computed does not decide: neither a negative eigenvalue was shown nor a minimum.",
        "Raise products, or dense_below if the matrix fits into memory.",
    )
    GRADIENT_FLAT = (
        "The gradient is not zero, and it lies almost in the null space of the Hessian: a gradient-flat region, where "
        "Newton's method stalls without a critical point nearby.",
        "Its index says nothing about critical points: descend further, or search from elsewhere.",
    )
    NOT_CRITICAL = (
        "The gradient is not zero: the index is that of the Hessian here, not of a critical point.",
        "Search from here, or raise the tolerance if this gradient is rounding.",
    )
    NONFINITE = (
        "F, its gradient or a product with its Hessian is NaN or infinite here, so nothing is claimed.",
        "Choose another point.",
    )

    @property
    def kind(self) -> str:
        """The kind in words, such as "strict saddle"."""
        return self.name.lower().replace("_", " ")


CRITICAL = frozenset(PointStatus) - {PointStatus.GRADIENT_FLAT, PointStatus.NOT_CRITICAL, PointStatus.NONFINITE}
"""The kinds of which the gradient is zero up to the tolerance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Classification(Record):
    """What kind of critical point a point is.

    Arrays: ``eigenvalues`` [k], those computed, ascending; ``descent`` [P], a unit direction along which F falls, for
    the saddles. ``index`` counts eigenvalues below −``threshold``, present for every kind; ``nullity`` those within it.
    ``smallest`` encloses the smallest eigenvalue. ``r`` = ‖Hp + g‖/(‖H‖_F‖p‖ + ‖g‖) with p the Newton step of least
    norm, and ``r_hessian`` = ‖H(Hp + g)‖/(‖H‖_F‖Hp + g‖) (Frye et al. 2021, §3.2); r near 1 with a small r_hessian
    says that the gradient lies in the null space. ``distance`` = ‖p‖ is how far the nearest critical point lies, to
    first order. ``order`` is that of the derivative that decided, or None. ``explained`` counts null directions by the
    symmetry that makes them.
    """

    record_type: ClassVar[str] = "classification"
    required: ClassVar[tuple[str, ...]] = ("eigenvalues",)

    status: PointStatus
    size: int
    value: float
    gradient_norm: float
    tolerance: float
    index: Bracket
    nullity: Bracket
    smallest: Bracket
    threshold: float
    r: float | None
    r_hessian: float | None
    distance: float | None
    order: int | None
    decisive: float | None = None
    explained: dict[str, int] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What kind of point it is, in words, such as "strict saddle"."""
        return self.status.kind

    @property
    def guarantee(self) -> Guarantee | None:
        """That of the index; SAMPLED where a degenerate kind rests on directions that were looked at."""
        if self.status is PointStatus.NONFINITE:
            return None
        if self.status in (PointStatus.DEGENERATE_MINIMUM, PointStatus.FLAT):
            return Guarantee.SAMPLED
        if self.status is PointStatus.STRICT_MINIMUM:
            return self.index.guarantee
        return self.index.lower_guarantee or self.index.guarantee

    @property
    def critical(self) -> bool:
        """Whether the gradient is zero up to the tolerance."""
        return self.status in CRITICAL

    @property
    def index_fraction(self) -> Bracket:
        """The index over the number of directions."""
        i = self.index
        low = None if i.lower is None else i.lower / self.size
        high = None if i.upper is None else i.upper / self.size
        return Bracket(low, high, i.lower_guarantee, i.upper_guarantee)

    @property
    def eigenvalues(self) -> np.ndarray:
        """The eigenvalues computed, ascending, [k]."""
        return self.data["eigenvalues"]

    @property
    def summary(self) -> str:
        """The kind, the index, the gradient and the smallest eigenvalue."""
        if self.status is PointStatus.NONFINITE:
            return "Nothing is known of this point."
        i = self.index
        index = f"{i.lower:.0f}" if i.lower == i.upper else f"between {i.lower:.0f} and {i.upper:.0f}"
        null = self.nullity
        zero = f", nullity {null.lower:.0f}" if null.lower == null.upper and null.lower else ""
        if zero and self.explained:
            zero += f" of which {sum(self.explained.values())} by symmetry"
        return (
            f"{self.kind.capitalize()}: F = {self.value:.6g}, gradient norm {self.gradient_norm:.3g}, index "
            f"{index} of {self.size:,}{zero}, smallest eigenvalue in {self.smallest}."
        )
