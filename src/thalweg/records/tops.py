"""The top of a path: where it was highest, where that led, and whether this is a saddle of index 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Bracket, Guarantee
from thalweg.records.status import Status


class TopStatus(Status):
    """What the top of a path led to."""

    INDEX_ONE = ("The gradient is zero up to the tolerance and exactly one eigenvalue is negative: a pass.",)
    HIGHER_INDEX = (
        "A critical point with more than one negative eigenvalue: there are ways around it that are lower.",
        "Relax the path further, and refine its new top.",
    )
    MINIMUM = (
        "The search from the top ended in a minimum, which is no pass.",
        "Use more steps, or a smaller radius, so that the lowest mode is followed to its top.",
    )
    UNDECIDED = (
        "A critical point, but the error bars of the two smallest eigenvalues do not tell how many are negative.",
        "Symmetries make zero eigenvalues: raise products, or dense_below if the Hessian fits into memory.",
    )
    NOT_CRITICAL = (
        "The search ended where the gradient is not zero, so that no saddle was found.",
        "Use more steps; where layers have kinks, F has passes without a zero gradient.",
    )
    BELOW_ENDS = (
        "The search from the top fell to the path's higher end without meeting a saddle: nothing there holds it up.",
        "The top is the path's own: relax the path further.",
    )
    AT_AN_END = ("The path is highest at one of its ends: it has no pass to cross.",)
    UNFINISHED = ("The budget ended before the top was followed and classified.", "Raise the budget.")
    NONFINITE = ("F or a derivative is not finite there, so nothing is claimed.", "Choose another path.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Top(Record):
    """The top of a path, followed to a critical point.

    Arrays: ``start`` [P], the highest point of the path; ``theta`` [P], where the search ended; ``mode`` [P], the
    unit eigenvector of the smallest eigenvalue there; ``eigenvalues`` [k], the smallest one or two, ascending, and
    ``errors`` [k]: an eigenvalue lies within that of each. ``t`` is where on the curve the path is highest, ``before``
    F there; ``value`` and ``gradient_norm`` are those at theta. ``distance`` is how far theta lies from the path's
    top, over the straight distance of the path's ends. ``index`` counts negative eigenvalues and ``nullity`` zero ones.
    From a saddle of index 1 two descents part along its mode: ``sides`` says where each ended, ``descended`` [2, P].
    ``held`` is F at the path's higher end, which a pass lies above; ``ending`` says why the search ended, in words.
    """

    record_type: ClassVar[str] = "top"
    required: ClassVar[tuple[str, ...]] = ("start", "theta", "eigenvalues", "errors")

    status: TopStatus
    t: float
    before: float
    value: float
    gradient_norm: float
    tolerance: float
    distance: float
    index: Bracket
    nullity: Bracket
    steps: int
    sides: tuple[str, ...] = ()
    held: float | None = None
    ending: str = ""

    @property
    def guarantee(self) -> Guarantee | None:
        """That of the index; None where none is claimed."""
        claimed = (TopStatus.INDEX_ONE, TopStatus.HIGHER_INDEX, TopStatus.MINIMUM)
        return self.index.guarantee if self.status in claimed else None

    @property
    def reason(self) -> str:
        """The numbers that decide, in words."""
        if self.status in (TopStatus.AT_AN_END, TopStatus.NONFINITE, TopStatus.UNFINISHED):
            return self.status.sentence
        if self.status is TopStatus.BELOW_ENDS:
            return f"the path's higher end has {self.held:.6g}, and the search met no saddle above it"
        bars = [f"{v:.6g} ± {e:.2g}" for v, e in zip(self.data["eigenvalues"], self.data["errors"], strict=True)]
        said = f"gradient norm {self.gradient_norm:.3g} (zero up to {self.tolerance:g})"
        if self.status is TopStatus.NOT_CRITICAL and self.ending:
            said = f"after {self.steps} step{'s' * (self.steps != 1)} {self.ending}: {said}"
        return f"{said}, smallest eigenvalues {' and '.join(bars)}" if bars else said

    @property
    def summary(self) -> str:
        """What was found, F before and after, and what decides."""
        if self.status is TopStatus.AT_AN_END:
            return f"The path is highest at an end, F = {self.before:.6g}: no pass to cross."
        name = {
            TopStatus.INDEX_ONE: "Index-1 saddle",
            TopStatus.HIGHER_INDEX: "Saddle of higher index",
            TopStatus.MINIMUM: "Minimum",
            TopStatus.UNDECIDED: "Critical point of undecided index",
            TopStatus.NOT_CRITICAL: "No critical point",
            TopStatus.BELOW_ENDS: "No saddle",
            TopStatus.NONFINITE: "Not finite",
            TopStatus.UNFINISHED: "Not classified",
        }[self.status]
        led = f" Its two descents end {' and '.join(self.sides)}." if self.sides else ""
        return (
            f"{name}: F = {self.value:.6g} where the path's top had {self.before:.6g}, "
            f"{self.distance:.3g} of the straight distance away; "
            f"{self.reason.rstrip('.')}.{led}"
        )

    @property
    def theta(self) -> np.ndarray:
        """Where the search ended, [P]."""
        return self.data["theta"]
