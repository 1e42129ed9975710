"""Certificates of second-order stationarity, and steps that show where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Bracket, Guarantee
from thalweg.records.status import Status


class CertificateStatus(Status):
    """What is known of a point to second order."""

    SECOND_ORDER_STATIONARY = (
        "The gradient is at most the tolerance, and no eigenvalue of the Hessian lies below −curvature, except with "
        "the stated probability over the random starts.",
    )
    ESCAPES = (
        "The gradient is at most the tolerance, and along a direction of negative curvature F falls: the step was "
        "taken and its decrease evaluated.",
        "Go on from the point after that step.",
    )
    NEGATIVE_CURVATURE = (
        "The Hessian has an eigenvalue below −curvature, but no step that was tried along its direction lowers F "
        "beyond rounding.",
        "Evaluate F in float64 and without noise, or raise curvature to what matters.",
    )
    NOT_STATIONARY = (
        "The gradient exceeds the tolerance: the point is not stationary to first order.",
        "Descend further, or raise tolerance to what counts as zero.",
    )
    INCONCLUSIVE = (
        "The products ended before the smallest eigenvalue was bracketed on one side of −curvature.",
        "Raise products (or memory), or certify a larger curvature: the bracket says which.",
    )
    NONFINITE = (
        "F, its gradient or a product with its Hessian is NaN or infinite here, so nothing is claimed.",
        "Choose another point.",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Certificate(Record):
    """Second-order stationarity of a point: ‖∇F‖ ≤ ``tolerance`` and λ_min ≥ −``curvature``.

    Arrays: ``direction`` [P], the Ritz vector of the smallest Ritz value, downhill; ``steps`` [k] along it and
    ``along`` [k], F there, where the curvature is below −``curvature``. ``smallest`` encloses λ_min up to its slack,
    the rounding of the products: the upper side is a Rayleigh quotient and always holds; the lower fails with
    probability at most ``failure`` over the ``starts`` random vectors, whatever the point, and with none where
    ``basis`` is everything. ``residual`` = ‖Hv − θv‖ of the direction. ``step`` and ``decrease``, F before minus F
    after, are those of the escape.
    """

    record_type: ClassVar[str] = "certificate"

    status: CertificateStatus
    size: int
    value: float
    gradient_norm: float
    tolerance: float
    curvature: float
    smallest: Bracket
    residual: float
    failure: float
    starts: int
    basis: int
    products: int
    step: float | None = None
    decrease: float | None = None

    @property
    def guarantee(self) -> Guarantee | None:
        """That of the bracket; of its upper side alone where negative curvature was found."""
        if self.status is CertificateStatus.NONFINITE:
            return None
        if self.status in (CertificateStatus.ESCAPES, CertificateStatus.NEGATIVE_CURVATURE):
            return self.smallest.upper_guarantee
        return self.smallest.guarantee

    @property
    def stationary(self) -> bool:
        """Whether the point is certified."""
        return self.status is CertificateStatus.SECOND_ORDER_STATIONARY

    @property
    def attained(self) -> float | None:
        """The least curvature at which what was computed certifies the point; None where no bound was reached."""
        low = self.smallest.lower
        return None if low is None else max(0.0, self.smallest.slack - low)

    @property
    def direction(self) -> np.ndarray | None:
        """The downhill direction of the smallest Ritz value, [P]."""
        return self.data.get("direction")

    @property
    def summary(self) -> str:
        """The verdict, the gradient, the bracket with its probability, and the escape."""
        if self.status is CertificateStatus.NONFINITE:
            return "Nothing is known of this point."
        words = self.status.name.lower().replace("_", " ").replace("second order", "second-order")
        chance = "exactly" if self.smallest.lower_guarantee is Guarantee.EXACT else f"but for {self.failure:.1g}"
        said = (
            f"{words.capitalize()}: F = {self.value:.6g}, gradient norm {self.gradient_norm:.3g} (tolerance "
            f"{self.tolerance:.3g}), smallest eigenvalue in {self.smallest} ({chance}) against −{self.curvature:.3g}"
        )
        if self.step is not None and self.decrease is not None:
            said += f"; a step of {self.step:.3g} along its direction lowers F by {self.decrease:.3g}"
        return f"{said}; {self.products:,} products from {self.starts} random starts."


class CncStatus(Status):
    """Where a ratio comes from."""

    EXACT = ("Every row's gradient was taken, so that nothing about the noise is estimated.",)
    ESTIMATED = ("Estimated from drawn minibatches, with its standard error.",)
    NONFINITE = (
        "A gradient is NaN or infinite, or all of them are zero, so nothing is claimed.",
        "Choose another point.",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class CncRatio(Record):
    """The share of stochastic gradients along the most negative curvature, over the isotropic share.

    Arrays: ``along`` [m] = (v·g)² and ``squares`` [m] = ‖g‖² of every gradient; ``direction`` [P], v. ``value`` is
    mean(along)·d/mean(squares) with its standard ``error``; ``curvature`` is vᵀHv, which bounds the smallest eigenvalue
    from above, and ``residual`` = ‖Hv − (vᵀHv)v‖.
    """

    record_type: ClassVar[str] = "cnc_ratio"
    required: ClassVar[tuple[str, ...]] = ("along", "squares", "direction")

    status: CncStatus
    size: int
    batch: int
    value: float
    error: float
    curvature: float
    residual: float

    @property
    def guarantee(self) -> Guarantee | None:
        """SAMPLED, and ADAPTIVE where every row was taken: the direction is still the iteration's."""
        if self.status is CncStatus.NONFINITE:
            return None
        return Guarantee.ADAPTIVE if self.status is CncStatus.EXACT else Guarantee.SAMPLED

    @property
    def summary(self) -> str:
        """The ratio with its error, and the curvature along the direction."""
        if self.status is CncStatus.NONFINITE:
            return "Nothing is known of the noise at this point."
        return (
            f"Gradients of {self.batch} row{'s' if self.batch > 1 else ''} have {self.value:.4g} ± {self.error:.2g} "
            f"times the isotropic share along the direction of curvature {self.curvature:.3g} (residual "
            f"{self.residual:.2g})."
        )
