"""What is followed along a run: loss, sharpness, balance, ranks, kernel; and sharpness against the step it bears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class AlongStatus(Status):
    """Whether every point of the run could be looked at."""

    COMPLETE = ("Every point asked for was looked at.",)
    BUDGET = (
        "The budget ended before the last point; what is there is complete up to it.",
        "Raise the budget, or follow fewer points.",
    )
    NONFINITE = (
        "F, its gradient or a product is NaN or infinite at a point, and nothing is claimed from there on.",
        "Use a smaller learning rate.",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class AlongRun(Record):
    """What changes along a run, at T of its points.

    Arrays [T]: ``steps``, ``loss``, ``gradient_norm``; ``sharpness``, the largest eigenvalue of the Hessian, with its
    ``residual``; ``from_start`` and ``from_end``, distances in parameters. For each of the L weight ``tensors`` as a
    matrix (all axes but the first together) ``rank`` [T, L], how many singular values are above ``rank_share`` of the
    largest, and ``stable_rank`` [T, L], ‖W‖_F²/‖W‖². For each of the J ``pairs`` of linear layers, one feeding the
    next, ``imbalance`` [T, J] and ``imbalance_change`` [T, J], the norm of what gradient flow conserves and how far it
    has come from its start: the matrix W₂ᵀW₂ − W₁W₁ᵀ − b₁b₁ᵀ where nothing lies between them, its diagonal where a
    ReLU does. Where a tangent kernel over some rows was followed, ``kernel_change``, ‖Θ_t − Θ_0‖/‖Θ_0‖, and
    ``kernel_turn``, 1 − cosine, [T]. NaN where something was not computed; ``kernel`` says why there is none.
    """

    record_type: ClassVar[str] = "along_run"
    required: ClassVar[tuple[str, ...]] = ("steps", "loss", "gradient_norm", "sharpness", "from_start", "from_end")

    status: AlongStatus
    name: str
    tensors: tuple[str, ...]
    pairs: tuple[str, ...]
    rank_share: float
    kernel: str

    @property
    def guarantee(self) -> Guarantee:
        """SAMPLED: each number is that of its point, a sharpness within its residual."""
        return Guarantee.SAMPLED

    @property
    def rises(self) -> float:
        """The sharpness at its greatest over that at the first point; NaN without two positive ones."""
        found = self.data["sharpness"][np.isfinite(self.data["sharpness"])]
        return float(found.max() / found[0]) if found.size > 1 and found[0] > 0 else float("nan")

    @property
    def summary(self) -> str:
        """Loss, sharpness, distance, imbalance and kernel from the first to the last point."""
        d = self.data
        if not d["steps"].size:
            return "No point was looked at."
        found = f"From step {d['steps'][0]:,.0f} to {d['steps'][-1]:,.0f} the loss goes from {d['loss'][0]:.4g} to "
        found += f"{d['loss'][-1]:.4g}"
        if np.isfinite(d["sharpness"]).any():
            found += f", the sharpness from {d['sharpness'][0]:.4g} to {d['sharpness'][-1]:.4g} (at most "
            found += f"{np.nanmax(d['sharpness']):.4g})"
        found += f", {d['from_start'][-1]:.4g} away from the start"
        if self.pairs:
            found += f"; what gradient flow conserves moved by at most {np.nanmax(d['imbalance_change']):.3g}"
        if "kernel_change" in d:
            found += f"; the tangent kernel changed by {d['kernel_change'][-1]:.3g} of its norm"
        return found + "."


class EdgeStatus(Status):
    """How the sharpness of a run compares with what its step bears."""

    BELOW = ("The sharpness stays below the threshold at every point looked at: the run is stable.",)
    REACHED = (
        "The sharpness reaches the threshold, and its median from there is at most the tolerance below it: the edge "
        "of stability.",
    )
    CROSSED = (
        "The sharpness reaches the threshold, and its median from there is below: the run leaves a region that is too "
        "sharp for its step.",
    )
    ABOVE = (
        "The sharpness is beyond the threshold at the last point, and the loss has risen since it was reached: the run "
        "grows as the quadratic model says.",
        "Use a smaller learning rate.",
    )
    UNKNOWN = ("No sharpness is known at any point.", "Raise the budget, or use a smaller learning rate.")


@dataclass(frozen=True, kw_only=True, eq=False)
class EdgeOfStability(Record):
    """The largest eigenvalue λ of the Hessian along a run, against the largest one that the rule bears.

    Arrays [T]: ``steps``, ``loss``, ``sharpness``, ``residual``. ``threshold`` is what a quadratic may have at most
    for the rule's iterates to stay bounded: 2/η for gradient descent, (2 + 2μ)/η with heavy-ball momentum μ and
    (2 + 2μ)/((1 + 2μ)η) with Nesterov's (Cohen et al. 2021, Appendix B). ``tolerance`` is the share of it that counts
    as reached. ``full_batch`` says whether the steps saw every row, which is what the threshold is about.
    """

    record_type: ClassVar[str] = "edge_of_stability"
    required: ClassVar[tuple[str, ...]] = ("steps", "loss", "sharpness", "residual")

    status: EdgeStatus
    name: str
    lr: float
    momentum: float
    nesterov: bool
    threshold: float
    tolerance: float
    full_batch: bool

    @property
    def guarantee(self) -> Guarantee:
        """SAMPLED: nothing is claimed between the points."""
        return Guarantee.SAMPLED

    @property
    def ratio(self) -> np.ndarray:
        """λ over the threshold, [T]."""
        return self.data["sharpness"] / self.threshold

    @property
    def reached(self) -> int | None:
        """The step of the first point at which λ is (1 − tolerance) of the threshold or more; None if there is none."""
        at = np.flatnonzero(self.ratio >= 1 - self.tolerance)
        return int(self.data["steps"][at[0]]) if at.size else None

    @property
    def hovers(self) -> float | None:
        """The median of λ over the threshold from where it is reached; None where it never is."""
        at = np.flatnonzero(self.ratio >= 1 - self.tolerance)
        return float(np.nanmedian(self.ratio[at[0] :])) if at.size else None

    @property
    def falls_unevenly(self) -> float:
        """The share of steps from point to point on which the loss rises, from where the edge is reached."""
        at = np.flatnonzero(self.ratio >= 1 - self.tolerance)
        rises = np.diff(self.data["loss"][at[0] :]) > 0 if at.size else np.empty(0)
        return float(rises.mean()) if rises.size else 0.0

    @property
    def summary(self) -> str:
        """The threshold, when it is reached, and where the sharpness is from then on."""
        rule = f"η = {self.lr:g}" + (f", momentum {self.momentum:g}" if self.momentum else "")
        found = f"{self.name} with {rule} bears a sharpness of {self.threshold:.4g}"
        found += "" if self.full_batch else " (of full steps: on minibatches it is only a scale)"
        if self.reached is None:
            most = np.nanmax(self.ratio) if np.isfinite(self.ratio).any() else float("nan")
            return f"{found}; it is never reached (at most {most:.3g} of it)."
        found += f", which is reached at step {self.reached:,}; from there the median is {self.hovers:.3g} of it"
        return found + "."
