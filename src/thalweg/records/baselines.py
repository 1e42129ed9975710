"""Runs of optimisers that are not ours, with the stopping rules that they came with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class BaselineStatus(Status):
    """How the runs ended, by their own account."""

    CONVERGED = (
        "Every run says that it converged: by its gradient or its progress, and none looks at negative curvature.",
        "Certify where it ended before calling it a minimum.",
    )
    STOPPED = (
        "At least one run ended without saying that it converged; its message says why.",
        "Read the messages; raise limit where it ended the run.",
    )
    BUDGET = ("The budget ended before the runs did.", "Raise the budget; what was reached is kept.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Baseline(Record):
    """B runs of one optimiser of SciPy or torch.

    Arrays: ``starts`` and ``thetas`` [B, P]; ``loss`` and ``gradient_norm`` [B] at the end; ``steps`` [B] by its own
    count; ``gradients``, ``forwards`` and ``products`` [B], evaluations; ``converged`` [B], by its own account;
    ``reached`` [B], where F at the end is what the run was to stop at.
    ``stops`` are its stopping rules and their values, the library's defaults where they were not set; ``messages`` its
    own words, one a run.
    """

    record_type: ClassVar[str] = "baseline"
    required: ClassVar[tuple[str, ...]] = (
        "starts", "thetas", "loss", "gradient_norm", "steps", "gradients", "forwards", "products", "converged",
        "reached",
    )  # fmt: skip

    status: BaselineStatus
    method: str
    library: str
    stops: dict[str, float]
    messages: tuple[str, ...]

    @property
    def guarantee(self) -> Guarantee:
        """SAMPLED: the values are those of F where the runs ended."""
        return Guarantee.SAMPLED

    @property
    def converged(self) -> np.ndarray:
        """Which runs say that they converged, [B]."""
        return self.data["converged"]

    @property
    def summary(self) -> str:
        """How many converged by their own account, at which gradients, and by which rules."""
        norms, said = self.data["gradient_norm"], ", ".join(f"{name} = {x:.3g}" for name, x in self.stops.items())
        return (
            f"{self.method} of {self.library} ({said}): {int(self.converged.sum())} of {len(norms)} say that they "
            f"converged, with gradient norms up to {norms.max():.3g} after up to {int(self.data['steps'].max()):,} "
            "steps."
        )
