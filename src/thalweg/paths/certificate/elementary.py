"""exp, log, roots and reciprocals on Taylor models: their second derivatives are monotone, so its ends bound it.

Where the remainder is wider than the interval between the values at the ends of the range, that interval stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.paths.certificate.model import TINY, UNIT, Model

ULPS = 64
"""Units of rounding allowed for each of these functions and what is done with its values."""


@dataclass(frozen=True)
class Monotone:
    """A monotone function with its first two derivatives, the second monotone too.

    ``floor`` of a call is a number below which the real argument cannot lie, whatever its model says.
    """

    value: Callable[[Tensor], Tensor]
    first: Callable[[Tensor], Tensor]
    second: Callable[[Tensor], Tensor]

    def __call__(self, x: Model, floor: Tensor | float | None = None) -> Model:
        """f(p) + f'(p)·(x − p) with p the middle of the range, and between the least and the largest f''·(x − p)²/2."""
        reach = x.reach
        low, high = x.c0 - reach, x.c0 + reach
        if floor is not None:
            low = torch.maximum(low, torch.as_tensor(floor, dtype=low.dtype, device=low.device))
            high = torch.maximum(high, low)
        p = torch.maximum(x.c0, low)
        gap = p - x.c0
        wide = reach + gap
        bends = torch.stack([self.second(low), self.second(high)])
        least, most = bends.amin(0).clamp(max=0), bends.amax(0).clamp(min=0)
        quarter = wide.square() / 4
        here, slope = self.value(p), self.first(p)
        c0 = here - slope * gap + (least + most) * quarter
        r = (most - least) * quarter
        r = r + ULPS * UNIT * (here.abs() + slope.abs() * wide + r) + TINY
        if x.r is not None:
            r = r + slope.abs() * x.r * (1 + 4 * UNIT)
        return clipped(Model(c0, None if x.c1 is None else slope * x.c1, r), *self._ends(low, high))

    def _ends(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        ends = torch.stack([self.value(low), self.value(high)])
        lost = ULPS * UNIT * ends.abs() + TINY
        return (ends - lost).amin(0), (ends + lost).amax(0)


def clipped(x: Model, low: Tensor | float, high: Tensor | float) -> Model:
    """A model of what is known to lie between low and high: the interval where the radius is wider than it.

    What is no number in the model is wider than anything.
    """
    low, high = (torch.as_tensor(v, dtype=x.c0.dtype, device=x.c0.device).expand_as(x.c0) for v in (low, high))
    r = torch.zeros_like(x.c0) if x.r is None else x.r.expand_as(x.c0)
    half = (high - low) / 2 * (1 + 4 * UNIT) + TINY
    middle = low + (high - low) / 2
    keep = (r <= half) & x.c0.isfinite()
    if x.c1 is not None:
        keep = keep & x.c1.isfinite()
    return Model(
        torch.where(keep, x.c0, middle),
        None if x.c1 is None else torch.where(keep, x.c1, 0.0),
        torch.where(keep, r, half + 4 * UNIT * middle.abs()),
    )


EXP = Monotone(torch.exp, torch.exp, torch.exp)
LOG = Monotone(torch.log, torch.reciprocal, lambda x: -x.reciprocal().square())
SQRT = Monotone(torch.sqrt, lambda x: 0.5 * x.rsqrt(), lambda x: -0.25 * x.rsqrt() / x)
RSQRT = Monotone(torch.rsqrt, lambda x: -0.5 * x.rsqrt() / x, lambda x: 0.75 * x.rsqrt() / x.square())
RECIPROCAL = Monotone(torch.reciprocal, lambda x: -x.reciprocal().square(), lambda x: 2 * x.reciprocal() ** 3)


def positive(rule: Monotone) -> Callable[[Model], Model]:
    """The function where the whole range is positive; elsewhere there is no bound, until boxes are narrow enough."""

    def run(x: Model) -> Model:
        found = rule(x)
        assert found.r is not None
        return Model(found.c0, found.c1, torch.where(x.c0 - x.reach > 0, found.r, torch.inf))

    return run


def root(x: Model) -> Model:
    """√x, of an argument that is not negative in real arithmetic."""
    return SQRT(x, 0.0)


def reciprocal(x: Model) -> Model:
    """1/x where the sign of x is known; elsewhere there is no bound, until boxes are narrow enough."""
    sign = torch.where(x.c0 < 0, -1.0, 1.0).to(x.c0)
    found = positive(RECIPROCAL)(Model(sign * x.c0, None if x.c1 is None else sign * x.c1, x.r))
    return Model(sign * found.c0, None if found.c1 is None else sign * found.c1, found.r)
