"""Numbers and distributions estimated from random probes, with their intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class EstimateStatus(Status):
    """Where an estimate comes from."""

    EXACT = ("Computed from the dense matrix, up to rounding.",)
    ESTIMATED = ("Estimated from random probes; the interval holds as often as its level says.",)
    BUDGET = (
        "The budget ended before every product was taken; what is stated rests on those there are.",
        "Raise the budget for a narrower interval.",
    )
    NONFINITE = (
        "A product was NaN or infinite, so nothing is claimed.",
        "Check that F and its gradient are finite at this point.",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate(Record):
    """The trace of a curvature matrix, with its Frobenius norm from the same products.

    Arrays: ``samples`` [m], estimates of the trace whose mean is ``value``; ``squares`` [m], estimates of the squared
    Frobenius norm. ``error`` is the standard error of the mean and [low, high] Student's interval of ``level``.
    """

    record_type: ClassVar[str] = "trace"
    required: ClassVar[tuple[str, ...]] = ("samples", "squares")

    status: EstimateStatus
    what: str
    operator: str
    method: str
    size: int
    value: float
    error: float
    low: float
    high: float
    level: float
    frobenius: float
    frobenius_error: float

    @property
    def guarantee(self) -> Guarantee | None:
        """EXACT from the dense matrix, else SAMPLED; None where nothing is known."""
        if self.status is EstimateStatus.NONFINITE or not self.data["samples"].size:
            return None
        return Guarantee.EXACT if self.status is EstimateStatus.EXACT else Guarantee.SAMPLED

    @property
    def summary(self) -> str:
        """The trace with its interval, and the Frobenius norm."""
        if self.guarantee is None:
            return f"Nothing is known of the {self.what} of the {self.operator}."
        if self.status is EstimateStatus.EXACT:
            return (
                f"The {self.what} of the {self.operator} is {self.value:.6g}, its Frobenius norm {self.frobenius:.6g}."
            )
        return (
            f"The {self.what} of the {self.operator} is {self.value:.4g} ± {self.error:.2g}, in [{self.low:.4g}, "
            f"{self.high:.4g}] at {self.level:.0%} by {self.method}; its Frobenius norm is {self.frobenius:.4g} ± "
            f"{self.frobenius_error:.2g}."
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SpectralDensity(Record):
    """How the eigenvalues of a curvature matrix are distributed, from Lanczos quadrature of random probes.

    Arrays: ``nodes`` [p, m] and ``weights`` [p, m], each probe's Gauss rule, padded with NaN and 0; ``grid`` [q];
    ``lower`` and ``upper`` [q], between which the share of eigenvalues at or below each point of the grid lies at
    ``level`` (each point by itself). All are empty where nothing is known.
    """

    record_type: ClassVar[str] = "density"
    required: ClassVar[tuple[str, ...]] = ("nodes", "weights", "grid", "lower", "upper")

    status: EstimateStatus
    operator: str
    size: int
    probes: int
    steps: int
    level: float

    @property
    def guarantee(self) -> Guarantee | None:
        """SAMPLED: each probe's bounds are proved, the probes are a sample; None where nothing is known."""
        return Guarantee.SAMPLED if self.data["nodes"].size else None

    def density(self, x: np.ndarray, width: float) -> np.ndarray:
        """The density smoothed by a Gaussian of standard deviation ``width`` at x [q]; float64 [q]."""
        nodes, weights = np.nan_to_num(self.data["nodes"]).ravel(), self.data["weights"].ravel() / self.probes
        z = (np.asarray(x)[:, None] - nodes) / width
        return (weights * np.exp(-z * z / 2)).sum(1) / (width * np.sqrt(2 * np.pi))

    def mean(self, fn: Callable[[np.ndarray], np.ndarray] | str) -> tuple[float, float]:
        """The mean of ``fn`` over the eigenvalues and its standard error: "log", or any NumPy function."""
        apply = np.log if fn == "log" else fn
        values = np.where(np.isnan(self.data["nodes"]), self.data["nodes"][:, :1], self.data["nodes"])
        found = (self.data["weights"] * apply(values)).sum(1)  # type: ignore[operator]
        return float(found.mean()), float(found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else float("inf")

    def log_determinant(self, shift: float = 0.0) -> tuple[float, float]:
        """Log |det(A + shift·I)| and its standard error, from the mean of log |λ + shift|.

        Quadrature of a function that is not smooth at λ = −shift: as good as the nodes are dense there.
        """
        value, error = self.mean(lambda x: np.log(np.abs(x + shift)))
        return self.size * value, self.size * error

    @property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest node: inside the spectrum, not bounds of it."""
        return float(np.nanmin(self.data["nodes"])), float(np.nanmax(self.data["nodes"]))

    def share_below(self, x: float) -> tuple[float, float]:
        """Bounds of the share of eigenvalues at or below x, from the points of the grid on either side."""
        grid = self.data["grid"]
        i = int(np.searchsorted(grid, x, side="right")) - 1
        low = 0.0 if i < 0 else float(self.data["lower"][i])
        exact = i >= 0 and grid[i] == x
        j = i if exact else i + 1
        high = 1.0 if j >= len(grid) else float(self.data["upper"][j])
        return low, high

    @property
    def summary(self) -> str:
        """Where the spectrum lies and how much of it is negative."""
        if self.guarantee is None:
            return f"Nothing is known of the spectrum of the {self.operator}."
        (low, high), (few, many) = self.extremes, self.share_below(0.0)
        return (
            f"Eigenvalues of the {self.operator} were met from {low:.4g} to {high:.4g}; {few:.1%} to {many:.1%} of the "
            f"{self.size:,} lie at or below 0 ({self.level:.0%}, {self.probes} probes of {self.steps} products)."
        )
