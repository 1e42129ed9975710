"""Spectra: extremal eigenvalues of a curvature operator with their residuals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class SpectrumStatus(Status):
    """How an eigenvalue computation ended."""

    EXACT = ("Every eigenvalue was computed from the dense matrix, up to rounding.",)
    CONVERGED = ("Every eigenpair asked for has a residual below the tolerance.",)
    BUDGET = (
        "The budget of products, gradients or seconds ended before every residual fell below the tolerance.",
        "Raise max_products or the budget, or trust each eigenvalue only within its residual.",
    )
    ROUNDING = (
        "The iteration settled, but freshly computed residuals stay above the tolerance: rounding sets the floor.",
        "Use float64 or a larger tol; each eigenvalue holds within its residual.",
    )
    NONFINITE = (
        "A product was NaN or infinite, so nothing is claimed about the spectrum.",
        "Check that F and its gradient are finite at this point.",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum(Record):
    """Extremal eigenpairs of a symmetric operator at one point.

    Arrays: ``eigenvalues`` [k], descending; ``residuals`` [k], the norms ‖Av − λv‖ of freshly computed
    products; ``eigenvectors`` [k, P], unit rows. In exact arithmetic the interval λ ± residual holds an
    eigenvalue of A (Parlett 1998, Theorem 4.5.1); ``slack`` is the rounding to add to it.
    """

    record_type: ClassVar[str] = "spectrum"
    required: ClassVar[tuple[str, ...]] = ("eigenvalues", "residuals")

    status: SpectrumStatus
    operator: str
    which: str
    size: int
    slack: float
    products: int

    @property
    def guarantee(self) -> Guarantee | None:
        """EXACT from a dense matrix; CERTIFIED in float64; ADAPTIVE where products are rounded to less.

        CERTIFIED is about each interval: it holds an eigenvalue. That no larger one was missed, or that
        an eigenvalue is simple, is not certified: a Krylov space sees one vector of an eigenspace.
        """
        if self.status is SpectrumStatus.NONFINITE or not self.eigenvalues.size:
            return None
        if self.provenance.dtype != "float64":
            return Guarantee.ADAPTIVE  # the residual is that of a rounded operator
        return Guarantee.EXACT if self.status is SpectrumStatus.EXACT else Guarantee.CERTIFIED

    @property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues, descending, [k]."""
        return self.data["eigenvalues"]

    @property
    def residuals(self) -> np.ndarray:
        """Residual norm of each eigenpair, [k]."""
        return self.data["residuals"]

    @property
    def eigenvectors(self) -> np.ndarray:
        """Unit eigenvectors as rows, [k, P]."""
        return self.data["eigenvectors"]

    @property
    def enclosures(self) -> np.ndarray:
        """λ ± min(residual, residual²/gap), [k, 2]: sharper where an eigenvalue stands apart (Kato 1949; Temple 1928).

        The gap is the distance to what its neighbours' own residuals leave, so that it rests on no eigenvalue having
        been missed between them: an estimate, where λ ± residual is a bound. The last one before those that were not
        computed has no gap.
        """
        values, reach = self.eigenvalues, self.residuals.copy()
        for i in range(len(values)):
            sides = [abs(values[j] - values[i]) - self.residuals[j] for j in (i - 1, i + 1) if 0 <= j < len(values)]
            outer = self.size == len(values) or {"LA": i < len(values) - 1, "SA": i > 0}.get(self.which, False)
            if sides and outer and min(sides) > self.residuals[i]:
                reach[i] = min(reach[i], self.residuals[i] ** 2 / min(sides))
        return np.stack([values - reach, values + reach], axis=1)

    @property
    def summary(self) -> str:
        """The extremes among the eigenvalues found and the largest residual."""
        values = self.eigenvalues
        if not values.size:
            return f"No eigenvalue of the {self.operator} was found."
        return (
            f"{values.size} of the {self.size:,} eigenvalues of the {self.operator}: "
            f"{values[0]:.6g} down to {values[-1]:.6g}, residuals at most {self.residuals.max():.2g}."
        )
