"""Taylor models of one parameter: every entry of a tensor lies within r of c0 + c1·u for all u in [−1, 1].

Rounding is kept outside: r also bounds what float64 arithmetic lost, by the a-priori bound γ_k = k·U / (1 − k·U) for a
sum of k products in any order (Higham 2002, §3.1), so that a model speaks of real arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

UNIT = 2.0**-53
"""Unit roundoff of float64."""

TINY = 2.0**-900
"""Added to every radius: more than any sum can lose to underflow."""


class Uncertified(Exception):
    """There is no certificate; the message is the reason, in words that follow "because"."""


@dataclass(frozen=True, slots=True)
class Model:
    """c0 + c1·u ± r, each in the tensor's own shape; a part that is None is zero. r may be one number for all."""

    c0: Tensor
    c1: Tensor | None = None
    r: Tensor | None = None

    @property
    def size(self) -> Tensor:
        """A bound on the absolute value of c0 + c1·u."""
        return self.c0.abs() if self.c1 is None else self.c0.abs().add_(self.c1.abs())

    @property
    def reach(self) -> Tensor:
        """How far from c0 the value can be, rounded up."""
        if self.c1 is None and self.r is None:
            return torch.zeros_like(self.c0)
        found = torch.zeros_like(self.c0)
        for part in (self.c1, self.r):
            if part is not None:
                found = found + part.abs()
        return found + 4 * UNIT * (found + self.c0.abs()) + TINY

    def linear(self, fn: Callable[[Tensor], Tensor], terms: int = 0) -> Model:
        """Through a linear function whose coefficients are not negative and which adds up ``terms`` entries."""
        c0 = fn(self.c0)
        c1 = None if self.c1 is None else fn(self.c1)
        r = None if self.r is None else fn(self.r.expand_as(self.c0))
        if terms > 1:
            g = 4 * gamma(terms + 4)
            lost = g * fn(self.size) + TINY
            r = lost if r is None else r * (1 + g) + lost
        return Model(c0, c1, r)


def gamma(k: int) -> float:
    """γ_k: the relative error of a sum of k products, in whatever order it is formed."""
    return k * UNIT / (1 - k * UNIT)


def model(x: Any) -> Model:
    """A tensor or number as a model of itself."""
    if isinstance(x, Model):
        return x
    return Model(x if isinstance(x, Tensor) else torch.as_tensor(x, dtype=torch.float64))


def rounded(c0: Tensor, c1: Tensor | None, r: Tensor | None, ulps: float = 4) -> Model:
    """A model made by a few elementwise operations, each within U of the size of c0 and c1 (``ulps`` of them)."""
    size = c0.abs() if c1 is None else c0.abs() + c1.abs()
    lost = 2 * ulps * UNIT * size + TINY
    return Model(c0, c1, lost if r is None else r * (1 + 2 * (ulps + 4) * UNIT) + lost)


def plus(a: Model, b: Model, sign: int = 1) -> Model:
    """The sum, or with sign −1 the difference."""
    c0 = a.c0 + sign * b.c0
    c1 = a.c1 if b.c1 is None else sign * b.c1 if a.c1 is None else a.c1 + sign * b.c1
    r = a.r if b.r is None else b.r if a.r is None else a.r + b.r
    return rounded(c0, None if c1 is None else c1.expand_as(c0), None if r is None else r.expand_as(c0))


def bilinear(
    op: Callable[[Tensor, Tensor], Tensor],
    x: Model,
    w: Model,
    terms: int,
    ones: Callable[[Tensor], Tensor] | None = None,
) -> Model:
    """op(x, w), linear in each and a sum of ``terms`` products: u² becomes ½ ± ½, everything else is exact.

    ``ones(w0)`` is a weight of ones whose outcome broadcasts to op's, for a radius of w that is one number.
    """
    c0 = op(x.c0, w.c0)
    parts = [op(*pair) for pair in ((x.c1, w.c0), (x.c0, w.c1)) if pair[0] is not None and pair[1] is not None]
    c1 = None if not parts else parts[0] if len(parts) == 1 else parts[0] + parts[1]
    r = torch.zeros((), dtype=c0.dtype, device=c0.device)
    if x.c1 is not None and w.c1 is not None:
        square = op(x.c1, w.c1)
        c0, r = c0 + square / 2, square.abs() / 2
    g = 4 * gamma(terms + 4)
    size = x.size
    full = size if x.r is None else size + x.r
    r = r + op(g * full if x.r is None else x.r + g * full, w.size)
    if w.r is not None:
        flat = w.r.ndim == 0 and ones is not None
        r = r + (op(full, ones(w.c0)) * w.r if flat and ones is not None else op(full, w.r.expand_as(w.c0)))
    return Model(c0, c1, (r * (1 + g) + TINY).expand_as(c0))


def times(a: Model, b: Model) -> Model:
    """The product, entry by entry."""
    return bilinear(torch.mul, a, b, 1)
