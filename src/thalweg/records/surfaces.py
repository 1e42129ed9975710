"""Slices of a landscape: profiles along a line and surfaces over a plane."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.records.base import Record
from thalweg.records.bracket import Guarantee
from thalweg.records.status import Status


class SliceStatus(Status):
    """How the evaluation of a slice ended."""

    COMPLETE = ("Every point was evaluated and is finite.",)
    INTERPOLATED = ("Some points were evaluated and the others interpolated; all are finite.",)
    ESTIMATED = ("Every point was estimated from some of the rows and is finite.",)
    NONFINITE = (
        "Some values are NaN or infinite and are kept as they are.",
        "A smaller half-width keeps to the finite part.",
    )


@dataclass(frozen=True, slots=True)
class DirectionsSummary:
    """What a slice's directions are: the recipe that makes them again, and their geometry.

    norms: Euclidean norm of each direction. cosines: of each pair (i < j), row by row. explained: share of
    the trajectory's variance along each direction, for principal components only.
    """

    recipe: dict[str, Any]
    norms: tuple[float, ...]
    cosines: tuple[float, ...]
    labels: tuple[str, ...]
    explained: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of interest on a slice; ``distance`` is how far from the slice the true point lies."""

    name: str
    coordinates: tuple[float, ...]
    loss: float
    distance: float = 0.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a slice was estimated from some of the rows, and how often its intervals were seen to hold.

    rows: sampled, of: in all. anchors: points whose F was known and used as control variates. level: what the
    interval is called. covered of checked: points computed from all rows that it covered; all share the sampled rows,
    so that they are far from independent trials. error: median relative error there. tail: share of a sum over all
    rows that the largest 1 % of them carry (median over the points where every row's loss was computed).
    """

    rows: int
    of: int
    anchors: int
    level: float
    covered: int
    checked: int
    error: float
    tail: float

    def __str__(self) -> str:
        return (
            f"estimated from {self.rows:,} of {self.of:,} rows; the interval called {self.level:.0%} covered "
            f"{self.covered} of {self.checked} points computed from all rows (median error {self.error:.2g}), and the "
            f"largest 1 % of the rows carry {self.tail:.0%} of the loss"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice(Record, ABC):
    """Base of profile and surface: F at theta0 + c·D over a grid of coefficients c.

    Arrays: ``loss`` and one per metric, float64, shaped like the grid; ``coordinates`` [*grid, k] (a
    profile's is [steps]). A slice drawn along a trajectory also has ``path`` [T, k] (its projection),
    ``path_loss`` [T] (F at the true points) and ``path_distance`` [T] (how far those lie from the slice).
    ``center`` is the grid index of coefficient zero, or None where the grid does not hold it exactly.

    Where ``interpolation_error`` is not None, only the points of ``evaluated`` (bool) were evaluated and the others
    interpolated; it is the largest error they are estimated to have, from points held back, and no bound. Where
    ``sampling`` is not None, F was estimated from some of the rows and lies in [``lower``, ``upper``] as often as that
    says.
    """

    required: ClassVar[tuple[str, ...]] = ("loss", "coordinates")

    status: SliceStatus
    directions: DirectionsSummary
    center: tuple[int, ...] | None
    center_loss: float
    metrics: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    interpolation_error: float | None = None
    sampling: Sampling | None = None

    @property
    def guarantee(self) -> Guarantee:
        """SAMPLED: values are F at the grid points, or estimates of it; ADAPTIVE where some were interpolated."""
        return Guarantee.SAMPLED if self.evaluated == self.points else Guarantee.ADAPTIVE

    @property
    def evaluated(self) -> int:
        """At how many grid points F was evaluated, or estimated from rows, rather than interpolated."""
        return self.points if self.interpolation_error is None else int(np.count_nonzero(self.data["evaluated"]))

    @property
    def reservation(self) -> str:
        """How the values were had where they were not all computed; empty where they were."""
        if self.sampling is not None:
            return f" F is {self.sampling}."
        if self.evaluated == self.points:
            return ""
        return (
            f" {self.evaluated:,} of {self.points:,} points were evaluated and the others interpolated, with an error "
            f"estimated at {self.interpolation_error:.2g} (no bound)."
        )

    @property
    def loss(self) -> np.ndarray:
        """F on the grid, float64."""
        return self.data["loss"]

    @property
    def loss_min(self) -> float:
        """Smallest finite value of F on the grid, interpolated ones left out; NaN where there is none."""
        return _extreme(self.loss[self._had], np.min)

    @property
    def loss_max(self) -> float:
        """Largest finite value of F on the grid, interpolated ones left out; NaN where there is none."""
        return _extreme(self.loss[self._had], np.max)

    @property
    def _had(self) -> np.ndarray:
        """Where the values are not interpolated."""
        return np.asarray(self.data.get("evaluated", np.ones(self.loss.shape)), dtype=bool)

    @property
    def nonfinite(self) -> int:
        """How many grid points have a NaN or infinite loss."""
        return int(np.count_nonzero(~np.isfinite(self.loss)))

    @property
    def points(self) -> int:
        """How many points the grid has."""
        return self.loss.size

    @property
    def summary(self) -> str:
        """The range of F on the grid and its value at the centre."""
        shape = "×".join(str(n) for n in self.loss.shape)
        place = next((mark.name for mark in self.marks if not any(mark.coordinates)), "the centre")
        return (
            f"F is {self.center_loss:.4g} at {place} and between {self.loss_min:.4g} and "
            f"{self.loss_max:.4g} on a grid of {shape} points.{self.reservation}"
        )


def _extreme(values: np.ndarray, pick: Any) -> float:
    finite = values[np.isfinite(values)]
    return float(pick(finite)) if finite.size else float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile(Slice):
    """F along a line: ``loss`` [steps], ``coordinates`` [steps] in units of the direction."""

    kind: ClassVar[str] = "profile"

    @property
    def barrier(self) -> float | None:
        """Largest sampled rise of F, between the two points, above the straight line of their values.

        None where the profile does not join two points, NaN where a value at an end is not finite. A lower bound
        of the true rise, because the maximum was only sampled; interpolated points are left out. Of an F estimated
        from some of the rows it is an estimate.
        """
        if len(self.marks) != 2:
            return None
        first, second = (mark.loss for mark in self.marks)
        if not np.isfinite([first, second]).all():
            return float("nan")
        t = self.data["coordinates"]
        between = (t >= 0) & (t <= 1) & self._had
        return float(np.max((self.loss - (first + t * (second - first)))[between], initial=0.0))

    @property
    def summary(self) -> str:
        """The range of F; between two points, how far it rises above the straight line of their values."""
        if self.barrier is None:
            return super().summary
        first, second = self.marks
        return (
            f"F is {first.loss:.4g} at {first.name} and {second.loss:.4g} at {second.name}; between them it "
            f"rises {'at least' if self.sampling is None else 'about'} {self.barrier:.4g} above the straight line, at "
            f"{self.evaluated} points.{self.reservation}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface(Slice):
    """F over a plane: ``loss`` [n0, n1], indexed [first direction, second], ``coordinates`` [n0, n1, 2]."""

    kind: ClassVar[str] = "surface"

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """The coefficients along the first and the second direction."""
        coordinates = self.data["coordinates"]
        return coordinates[:, 0, 0], coordinates[0, :, 1]
