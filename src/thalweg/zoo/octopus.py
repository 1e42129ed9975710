"""Du et al.'s octopus: gradient descent passes one saddle after another, each for longer than all before it.

Coordinates are freed in order. On 0 <= x_i <= τ the i-th is a saddle −γx_i², on τ <= x_i <= 2τ a polynomial joins it to
the well L(x_i − 4τ)², and while one coordinate is at its saddle the later ones are pulled to 0, so that the next saddle
is entered with an exponentially small push (Du et al. 2017, §4 and Appendix; the constants are those of the code of
Huang & Becker's "perturbed proximal descent", which were found to join twice continuously differentiably).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from thalweg.core.function import Function
from thalweg.core.rng import Stream, stream
from thalweg.errors import InputError
from thalweg.zoo.facts import CriticalPoint, Facts

TAU = math.e
"""τ, the length of one piece, of the published experiments."""


@dataclass(frozen=True)
class Octopus:
    """Du et al.'s octopus: a chain of saddles that gradient descent takes exponentially long to pass.

    Critical points are all known: for k = 0 … dimension, k coordinates at ±4τ and the others at 0, with F = −kν; the
    last are the 2^dimension minima. F is infinite outside the region that descent from |x_j| <= τ stays in.
    """

    __name__: ClassVar[str] = "octopus"

    def __call__(self, dimension: int = 5, L: float = 1.0, gamma: float = 1.0, seed: int = 0) -> Function:
        """The landscape with curvature 2L in the wells and −2·gamma at the saddles; starts uniformly in [−1, 1].

        Raises
        ------
        InputError
            If dimension is below 1, or not L >= gamma > 0.
        """
        pieces = _Pieces(dimension, L, gamma)
        start = 2 * torch.rand(dimension, generator=Stream(seed, ("initial",)).torch(), dtype=torch.float64) - 1
        return Function(pieces.value, dimension, pieces.facts(), initial=start)

    def ratio(self, L: float = 1.0, gamma: float = 1.0, step: float | None = None) -> float:
        """By which factor q the steps to pass grow from one saddle to the next under gradient descent.

        q = 1 + ln(1/(1 − 2·step·L)) / ln(1 + 2·step·gamma): while saddle i is passed in T steps, the next coordinate
        falls by (1 − 2·step·L)^T, which the growth at the next saddle has to make good. ``step`` is 1/(4L) by default.
        """
        step = _step(L, gamma, step)
        return 1 - math.log1p(-2 * step * L) / math.log1p(2 * step * gamma)

    def passage_steps(
        self,
        dimension: int = 5,
        L: float = 1.0,
        gamma: float = 1.0,
        step: float | None = None,
        starts: int | Tensor = 1000,
        rng: int | Stream = 0,
    ) -> np.ndarray:
        """Steps of gradient descent until each coordinate has passed 2τ, int64 [starts, dimension].

        An event at a time: coordinates at a saddle or waiting for theirs are multiplied by a constant, so their
        logarithms move by multiples of it, and only the joints are walked step by step. The plain loop gives the same
        while its numbers last; in float64 a waiting coordinate becomes 0 after some thousand steps and never passes.
        ``starts`` many are drawn uniformly from [−1, 1], or given as a tensor [B, dimension]; ``step`` is 1/(4L) by
        default.

        Raises
        ------
        InputError
            If step is not in (0, 1/(2L)), a start is not within τ, or a coordinate leaves the region where F is finite.
        """
        pieces, step = _Pieces(dimension, L, gamma), _step(L, gamma, step)
        logs = torch.log(_starts(starts, dimension, rng).abs()).numpy()
        passed = np.zeros(logs.shape, dtype=np.int64)
        now = np.zeros(len(logs), dtype=np.int64)
        grow, fall = math.log1p(2 * step * gamma), math.log1p(-2 * step * L)
        for i in range(dimension):
            # The first step count at which the coordinate is above τ.
            waited = np.maximum(np.floor((math.log(TAU) - logs[:, i]) / grow).astype(np.int64) + 1, 0)
            waited[logs[:, i] > math.log(TAU)] = 0
            x = np.exp(logs[:, i] + waited * grow)
            following = logs[:, i + 1] + waited * fall if i + 1 < dimension else np.full(len(logs), -np.inf)
            walked = pieces.walk(x, following, step)
            if (following > math.log(TAU)).any():
                raise InputError(f"step={step}: coordinate {i + 2} leaves |x| <= τ while the one before it is passing")
            now += waited + walked
            passed[:, i] = now
            logs[:, i + 2 :] += ((waited + walked) * fall)[:, None]
            if i + 1 < dimension:
                logs[:, i + 1] = following
        return passed


octopus = Octopus()


@dataclass(frozen=True)
class _Pieces:
    """The polynomials, for one dimension, L and γ."""

    dimension: int
    L: float
    gamma: float

    def __post_init__(self) -> None:
        if self.dimension < 1 or not 0 < self.gamma <= self.L < math.inf:
            raise InputError(
                f"dimension={self.dimension}, L={self.L}, gamma={self.gamma}: at least 1 coordinate, and L >= gamma > 0"
            )

    @property
    def drop(self) -> float:
        """ν: by how much F falls from each saddle to the next."""
        return (37 * self.L + 13 * self.gamma) / 6 * TAU**2

    def value(self, x: Tensor) -> Tensor:
        """F at x [dimension]; squares stay squares of x, so that second derivatives at 0 are right."""
        size, squares = x.abs(), x * x
        past = torch.cumprod((size > 2 * TAU).to(x), 0)  # 1 for every coordinate before the first that has not passed
        before = torch.cat([torch.ones_like(past[:1]), past[:-1]])
        first = before - past
        joining = first * (size > TAU)
        pulled = torch.cat([torch.zeros_like(past[:1]), joining[:-1]])  # the coordinate after one that is at its joint
        curvature = self._coupling(torch.cat([torch.zeros_like(size[:1]), size[:-1]]))
        value = (
            past * (self.L * (size - 4 * TAU) ** 2 - self.drop)
            + (first - joining) * -self.gamma * squares
            + joining * self._joint(size)
            + (1 - before - pulled) * self.L * squares
            + pulled * curvature * squares
        ).sum()
        outside = (past * (size >= 6 * TAU) + (1 - before) * (size > TAU)).sum() > 0
        return torch.where(outside, torch.inf, value)

    def facts(self) -> Facts:
        """Every critical point up to signs."""
        n, low, high = self.dimension, -2 * self.gamma, 2 * self.L
        level = (
            -n * self.drop + 4 * self.L * TAU**2
        )  # what F is where the last coordinate passes 2τ; no other way leads below
        saddles = [
            CriticalPoint(
                f"saddle {k + 1}", (4 * TAU,) * k + (0.0,) * (n - k), -k * self.drop, 1, "strict saddle",
                (low,) + (high,) * (n - 1), level,
            )
            for k in range(n)
        ]  # fmt: skip
        minimum = CriticalPoint("minimum", (4 * TAU,) * n, -n * self.drop, 0, "global minimum", (high,) * n)
        return Facts(
            infimum=-n * self.drop,
            critical_points=(*saddles, minimum),
            source="Du et al. 2017, §4",
            note=f"{2**n:,} minima and 2^k copies of saddle k + 1, by the signs of the coordinates at 4τ.",
            count=2 ** (n + 1) - 1,
        )

    def walk(self, x: np.ndarray, following: np.ndarray, step: float) -> np.ndarray:
        """Steps from the joint's start past 2τ; x [B] and the logarithm of the next coordinate [B] are moved along."""
        count = np.zeros(len(x), dtype=np.int64)
        while (moving := x <= 2 * TAU).any():
            at, next_log = x[moving], following[moving]
            t = (at - TAU) / TAU
            slope = -2 * self.gamma * at + TAU * (self._cubic * 3 * t**2 + self._quartic * 4 * t**3)
            s = t - 1
            bend = -30 * (self.L + self.gamma) * s**2 * (1 + s) ** 2 / TAU
            following[moving] += np.log1p(-2 * step * self._coupling(at))
            x[moving] = at - step * (slope + bend * np.exp(2 * next_log))
            count[moving] += 1
        return count

    @property
    def _cubic(self) -> float:
        return (-14 * self.L + 10 * self.gamma) / 3

    @property
    def _quartic(self) -> float:
        return (5 * self.L - 3 * self.gamma) / 2

    def _joint(self, x: Tensor) -> Tensor:
        """g₁ on [τ, 2τ]."""
        t = (x - TAU) / TAU
        return -self.gamma * x**2 + TAU**2 * (self._cubic * t**3 + self._quartic * t**4)

    def _coupling(self, x):  # type: ignore[no-untyped-def]  # a tensor or an array
        """g₂ on [τ, 2τ]: L falls to −γ."""
        s = x / TAU - 2
        return -self.gamma - (self.L + self.gamma) * s**3 * (10 + 15 * s + 6 * s**2)


def _step(L: float, gamma: float, step: float | None) -> float:
    _Pieces(1, L, gamma)
    chosen = 1 / (4 * L) if step is None else step
    if not 0 < chosen < 1 / (2 * L):
        raise InputError(f"step={chosen}: it lies between 0 and 1/(2L) = {1 / (2 * L)}, where no coordinate overshoots")
    return chosen


def _starts(starts: int | Tensor, dimension: int, rng: int | Stream) -> Tensor:
    if isinstance(starts, int):
        if starts < 1:
            raise InputError(f"starts={starts}: at least 1 is needed")
        generator = stream(rng)("starts").torch()
        return 2 * torch.rand(starts, dimension, generator=generator, dtype=torch.float64) - 1
    given = torch.as_tensor(starts, dtype=torch.float64)
    if given.ndim != 2 or given.shape[1] != dimension or not bool((given.abs() <= TAU).all()):
        raise InputError(f"starts of shape {list(given.shape)}: [B, {dimension}] with entries between −τ and τ = {TAU}")
    return given
