"""Curves of networks: segment, polyline and Bézier, each a weighted sum of its knots.

A point of a curve is ``basis(t) @ knots``, so that F along it is F on an affine subspace: theta0 is the first knot, the
directions are the other knots' differences from it, and the fast road of ``objective.restrict`` serves every curve.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from thalweg import limits
from thalweg.core.added import added
from thalweg.errors import InputError

STRIP = 1 << 20
"""Parameters of which inner products take a part at a time."""

QUADRATURE = 64
"""Gauss–Legendre nodes for the length of a Bézier curve."""


class Curve(ABC):
    """Base of every curve: knots [K, P], the first and the last of which are its ends; t runs from 0 to 1.

    Raises
    ------
    InputError
        If there are fewer than two knots, or one holds a value that is not finite.
    """

    kind: ClassVar[str]

    def __init__(self, knots: Tensor) -> None:
        if knots.ndim != 2 or len(knots) < 2:
            raise InputError(f"knots of shape {list(knots.shape)}: a curve has at least 2 knots, as [K, P]")
        if not bool(torch.stack(knots.aminmax()).isfinite().all()):  # without a copy: points may be gigabytes
            bad = int((~knots.isfinite().all(1)).nonzero()[0])
            raise InputError(f"knot {bad} holds values that are not finite: a curve needs finite knots")
        self.knots = knots.detach()

    @abstractmethod
    def basis(self, t: Tensor) -> Tensor:
        """The weights of the knots at t [m], float64 [m, K]; each row adds up to 1."""

    @abstractmethod
    def slope(self, t: Tensor) -> Tensor:
        """The derivative of the weights by t, float64 [m, K]; each row adds up to 0."""

    @abstractmethod
    def length(self, weights: Tensor | None = None) -> float:
        """The length; Euclidean, or with ``weights`` [P] that of the metric Σ w_i dθ_i²."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """What the curve is made again from: the arguments of its class, on the CPU."""

    @abstractmethod
    def resampled(self, count: int) -> Polyline:
        """The polyline through ``count`` points at equal distances along this curve, ends included."""

    def theta(self, t: Tensor | np.ndarray | float) -> Tensor:
        """The points at t [m], [m, P]; exactly the end knots at 0 and 1."""
        return self.basis(times(t)).to(self.knots) @ self.knots

    def velocity(self, t: Tensor | np.ndarray | float) -> Tensor:
        """The derivative of the point by t [m], [m, P]; at a polyline's knot, that of the segment after it."""
        return self.slope(times(t)).to(self.knots) @ self.knots

    @property
    def directions(self) -> Tensor:
        """The knots' differences from the first, [K − 1, P]: with ``basis(t)[:, 1:]`` they make the curve."""
        return self.knots[1:] - self.knots[0]

    @property
    def straight(self) -> float:
        """The Euclidean distance of the ends."""
        return float((self.knots[-1] - self.knots[0]).double().norm())

    def normalised_length(self, weights: Tensor | None = None) -> float:
        """The length over the straight distance of the ends, at least 1; NaN where the ends coincide."""
        ends = Polyline(self.knots[[0, -1]]).length(weights)
        return self.length(weights) / ends if ends > 0 else float("nan")

    def distances(self, t: Tensor) -> Tensor:
        """The length from the first end to the points at t [m], increasing, float64 [m]; along chords between them."""
        s, gram = self.basis(t).diff(dim=0), self._gram(None)
        steps = torch.einsum("mi,ij,mj->m", s, gram, s).clamp(min=0).sqrt()
        return torch.cat([torch.zeros(1, dtype=torch.float64), steps.cumsum(0)])

    def save(self, path: Path | str) -> None:
        """Write the knots, their t and the kind of curve as safetensors."""
        from safetensors.torch import save_file

        save_file(self.tensors(), str(path), metadata={"curve": self.kind})

    def _gram(self, weights: Tensor | None) -> Tensor:
        """Inner products of the knots' differences from the first, float64 [K, K]."""
        gram = torch.zeros(len(self.knots), len(self.knots), dtype=torch.float64, device=self.knots.device)
        for at in range(0, self.knots.shape[1], STRIP):  # of a large network no copy in float64 is ever whole
            moved = (self.knots[:, at : at + STRIP] - self.knots[0, at : at + STRIP]).double()
            gram += moved @ (moved if weights is None else moved * weights[at : at + STRIP].double()).T
        return gram.cpu()


@final
class Polyline(Curve):
    """Straight segments from knot to knot; ``times`` [K], increasing from 0 to 1, are the knots' t (default: equal).

    Raises
    ------
    InputError
        If times do not increase from 0 to 1.
    """

    kind = "polyline"

    def __init__(self, knots: Tensor, times: Tensor | None = None) -> None:
        super().__init__(knots)
        count = len(self.knots)
        given = torch.linspace(0, 1, count, dtype=torch.float64) if times is None else times.double()
        if given.shape != (count,) or given[0] != 0 or given[-1] != 1 or not bool((given.diff() > 0).all()):
            raise InputError(f"times {given.tolist()}: a polyline of {count} knots has {count}, increasing from 0 to 1")
        self.times = given

    def basis(self, t: Tensor) -> Tensor:
        """Hat functions: the two knots of t's segment share it."""
        piece, share, _ = self.located(t)
        found = torch.zeros(len(t), len(self.knots), dtype=torch.float64)
        rows = torch.arange(len(t))
        found[rows, piece] = 1 - share
        found[rows, piece + 1] = share
        return found

    def slope(self, t: Tensor) -> Tensor:
        """−1 and +1 over the segment's share of t."""
        piece, _, width = self.located(t)
        found = torch.zeros(len(t), len(self.knots), dtype=torch.float64)
        rows = torch.arange(len(t))
        found[rows, piece] = -1 / width
        found[rows, piece + 1] = 1 / width
        return found

    def length(self, weights: Tensor | None = None) -> float:
        """The sum of the segments' lengths, exactly."""
        return float(self.segments(weights).sum())

    def segments(self, weights: Tensor | None = None) -> Tensor:
        """The length of each segment, float64 [K − 1]."""
        steps = self.knots.double().diff(dim=0).square()
        return (steps.sum(1) if weights is None else steps @ weights.double()).sqrt().cpu()

    def resampled(self, count: int) -> Polyline:
        """Equal distances along the polyline; where it has no length, its first knot again and again."""
        _at_least_two(count)
        along = torch.cat([torch.zeros(1, dtype=torch.float64), self.segments().cumsum(0)])
        if along[-1] == 0:
            return Polyline(self.knots[:1].repeat(count, 1))
        wanted = torch.linspace(0, 1, count, dtype=torch.float64) * along[-1]
        piece = (torch.searchsorted(along, wanted, right=True) - 1).clamp(0, len(along) - 2)
        width = along[piece + 1] - along[piece]
        share = torch.where(width > 0, (wanted - along[piece]) / torch.where(width > 0, width, 1.0), 0.0)
        share = share.clamp(0, 1).to(self.knots).unsqueeze(1)
        points = self.knots[piece] * (1 - share) + self.knots[piece + 1] * share
        points[0], points[-1] = self.knots[0], self.knots[-1]
        return Polyline(points)

    def tensors(self) -> dict[str, Tensor]:
        """Knots and times."""
        return {"knots": self.knots.contiguous().cpu(), "times": self.times}

    def located(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For each t: its segment, its share of the segment and the segment's width in t."""
        piece = (torch.searchsorted(self.times, t.contiguous(), right=True) - 1).clamp(0, len(self.times) - 2)
        width = self.times[piece + 1] - self.times[piece]
        return piece, (t - self.times[piece]) / width, width


def segment(a: Tensor, b: Tensor) -> Polyline:
    """The straight segment from a [P] to b [P]."""
    return Polyline(torch.stack([a, b]))


@final
class Bezier(Curve):
    """The Bézier curve of its control points [K, P], of degree K − 1 (Garipov et al. 2018, §3.2)."""

    kind = "bezier"

    def basis(self, t: Tensor) -> Tensor:
        """Bernstein polynomials of degree K − 1."""
        return _bernstein(len(self.knots) - 1, t)

    def slope(self, t: Tensor) -> Tensor:
        """Their derivatives: differences of those of one degree less."""
        degree = len(self.knots) - 1
        lower = _bernstein(degree - 1, t)
        edge = torch.zeros(len(t), 1, dtype=torch.float64)
        return degree * (torch.cat([edge, lower], 1) - torch.cat([lower, edge], 1))

    def length(self, weights: Tensor | None = None) -> float:
        """The integral of the speed by Gauss–Legendre quadrature, to rounding where the speed stays away from 0."""
        gram = self._gram(weights)
        nodes, shares = np.polynomial.legendre.leggauss(QUADRATURE)
        s = self.slope(torch.from_numpy((nodes + 1) / 2))
        speed = torch.einsum("mi,ij,mj->m", s, gram, s).clamp(min=0).sqrt()
        return float(speed @ torch.from_numpy(shares / 2))

    def tensors(self) -> dict[str, Tensor]:
        """The control points."""
        return {"knots": self.knots.contiguous().cpu()}

    def resampled(self, count: int) -> Polyline:
        """Equal distances along a fine polyline of this curve."""
        _at_least_two(count)
        fine = self._fine(max(8 * count, 256))
        points = self.theta(fine(torch.linspace(0, 1, count, dtype=torch.float64)))
        points[0], points[-1] = self.knots[0], self.knots[-1]
        return Polyline(points)

    def _fine(self, count: int) -> _Inverse:
        t = torch.linspace(0, 1, count, dtype=torch.float64)
        return _Inverse(t, self.distances(t))


@final
class _Inverse:
    """t as a function of the share of the length, from a table."""

    def __init__(self, t: Tensor, along: Tensor) -> None:
        self.t, self.along = t.numpy(), (along / along[-1] if along[-1] > 0 else t).numpy()

    def __call__(self, share: Tensor) -> Tensor:
        return torch.from_numpy(np.interp(share.numpy(), self.along, self.t))


def _bernstein(degree: int, t: Tensor) -> Tensor:
    """Bernstein polynomials at t [m] by de Casteljau's recurrence, float64 [m, degree + 1]."""
    found = torch.ones(len(t), 1, dtype=torch.float64)
    t = t.unsqueeze(1)
    for _ in range(degree):
        edge = torch.zeros(len(t), 1, dtype=torch.float64)
        found = torch.cat([found * (1 - t), edge], 1) + torch.cat([edge, found * t], 1)
    return found


CURVES: dict[str, type[Curve]] = {"polyline": Polyline, "bezier": Bezier}

GROUP = "thalweg.curves"
"""The entry points by which another package adds curves: each names a class, called after its ``kind``."""


def kinds() -> dict[str, Callable[..., Curve]]:
    """Every kind of curve: ours, and those that installed packages add."""
    return {**CURVES, **added(GROUP, CURVES)}


def load(path: Path | str) -> Curve:
    """A curve that :meth:`Curve.save` wrote.

    Raises
    ------
    InputError
        If the file is not one.
    """
    from safetensors import SafetensorError, safe_open

    try:
        limits.whole(Path(path))
        with safe_open(str(path), framework="pt") as file:
            kind = (file.metadata() or {}).get("curve")
            kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read as a curve: {error}") from error
    if kind is None or "knots" not in kept:
        raise InputError(f"{path} holds no curve: give a file written by Curve.save")
    return _made(kind, kept)


def rebuilt(kind: str, arrays: Mapping[str, np.ndarray]) -> Curve:
    """The curve of a record: its kind and its arrays ``knots`` and, of a polyline, ``times``."""
    kept = {name: torch.from_numpy(np.array(arrays[name])) for name in ("knots", "times") if name in arrays}
    return _made(kind, kept)


def _made(kind: str, kept: Mapping[str, Tensor]) -> Curve:
    known = kinds()
    if kind not in known:
        raise InputError(f"a curve of kind {kind!r} is unknown (there are {', '.join(known)}): install what defines it")
    try:
        inspect.signature(known[kind]).bind(**kept)
    except TypeError as error:
        names = ", ".join(kept)
        raise InputError(f"a curve of kind {kind!r} is not made of {names}: {error}; use another copy") from error
    return known[kind](**kept)


def times(t: Tensor | np.ndarray | float) -> Tensor:
    """Values of t as float64 [m].

    Raises
    ------
    InputError
        If one lies outside [0, 1].
    """
    found = torch.atleast_1d(torch.as_tensor(t, dtype=torch.float64))
    if found.ndim != 1 or not bool(((found >= 0) & (found <= 1)).all()):
        raise InputError(f"t={found.tolist()}: a curve is defined for t from 0 to 1, as [m]")
    return found


def _at_least_two(count: int) -> None:
    if count < 2:
        raise InputError(f"count={count}: a curve is resampled at 2 points or more")
