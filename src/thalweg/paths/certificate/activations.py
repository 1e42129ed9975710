"""Activations on Taylor models: kinks by their chord, smooth ones to first order with a proved remainder.

Elementary functions (tanh, exp, erf, …) are taken to be right to 16 units in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.paths.certificate.elementary import EXP, LOG, RSQRT, clipped, positive, reciprocal, root
from thalweg.paths.certificate.model import TINY, UNIT, Model, model, plus, rounded, times

Rule = Callable[[Model], Model]

PAD = 1e-12
"""Added to bounds of second derivatives, far above the rounding of their formulas."""


def kink(x: Model, slope: float) -> Model:
    """The identity right of 0 and slope·x left of it: exact where the sign is known, else between parallel lines.

    With λ = h/(h − l) on [l, h], max(x, 0) − λx lies between 0 and max(−λl, (1 − λ)h), for any λ in [0, 1].
    """
    reach = x.reach
    low, high = x.c0 - reach, x.c0 + reach
    crosses = (low < 0) & (high > 0)
    chord = torch.where(crosses, high / torch.where(crosses, high - low, 1.0), (low >= 0).to(low)).clamp(0, 1)
    gap = torch.where(crosses, torch.maximum(-chord * low, (1 - chord) * high), 0.0)
    factor, half = slope + (1 - slope) * chord, (1 - slope) / 2 * gap
    r = half.abs() if x.r is None else factor.abs() * x.r + half.abs()
    r = r + 16 * UNIT * (1 + abs(slope)) * (x.c0.abs() + reach)
    return rounded(factor * x.c0 + half, None if x.c1 is None else factor * x.c1, r)


@dataclass(frozen=True)
class Smooth:
    """A function with its first two derivatives, and where the second has local extremes (``turns``)."""

    value: Callable[[Tensor], Tensor]
    first: Callable[[Tensor], Tensor]
    second: Callable[[Tensor], Tensor]
    turns: tuple[float, ...]

    def __call__(self, x: Model) -> Model:
        """f(c0) + f'(c0)·(x − c0), and between the least and the largest f'' on the interval times (x − c0)²/2."""
        reach = x.reach
        low, high = x.c0 - reach, x.c0 + reach
        bends = [self.second(p) for p in (low, high)]
        bends += [self.second(torch.full_like(low, p).clamp(low, high)) for p in self.turns]
        least = torch.stack(bends).amin(0).sub(PAD).clamp(max=0)
        most = torch.stack(bends).amax(0).add(PAD).clamp(min=0)
        quarter = reach.square() / 4
        slope = self.first(x.c0)
        c0 = self.value(x.c0) + (least + most) * quarter
        r = (most - least) * quarter + 64 * UNIT * (1 + x.c0.abs()) * (1 + reach)
        if x.r is not None:
            r = r + slope.abs() * x.r
        return rounded(c0, None if x.c1 is None else slope * x.c1, r + TINY)


def _sigmoid_bend(x: Tensor) -> Tensor:
    s = torch.sigmoid(x)
    return s * (1 - s) * (1 - 2 * s)


def _normal(x: Tensor) -> Tensor:
    return torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)


def _gelu_slope(x: Tensor) -> Tensor:
    return torch.special.ndtr(x) + x * _normal(x)


def _silu_slope(x: Tensor) -> Tensor:
    s = torch.sigmoid(x)
    return s * (1 + x * (1 - s))


def _silu_bend(x: Tensor) -> Tensor:
    s = torch.sigmoid(x)
    return s * (1 - s) * (2 + x * (1 - 2 * s))


TANH = Smooth(
    torch.tanh,
    lambda x: 1 - torch.tanh(x).square(),
    lambda x: -2 * torch.tanh(x) * (1 - torch.tanh(x).square()),
    (-math.atanh(3**-0.5), math.atanh(3**-0.5)),
)
SIGMOID = Smooth(
    torch.sigmoid,
    lambda x: torch.sigmoid(x) * (1 - torch.sigmoid(x)),
    _sigmoid_bend,
    (-math.log(2 + 3**0.5), math.log(2 + 3**0.5)),
)
GELU = Smooth(F.gelu, _gelu_slope, lambda x: _normal(x) * (2 - x.square()), (-2.0, 0.0, 2.0))
SILU = Smooth(F.silu, _silu_slope, _silu_bend, (-3.4358409935351104, 0.0, 3.4358409935351104))
EXPONENTIAL_UNIT = Smooth(
    F.elu,
    lambda x: torch.where(x > 0, 1.0, torch.exp(x.clamp(max=0))),
    lambda x: torch.where(x > 0, 0.0, torch.exp(x.clamp(max=0))),  # at 0 the larger of its two sides
    (0.0,),
)
SQUARE = Smooth(torch.square, lambda x: 2 * x, lambda x: torch.full_like(x, 2.0), ())


def softplus(beta: float) -> Smooth:
    """log(1 + exp(βx))/β, without torch's switch to the identity where that would be seen."""

    def bend(x: Tensor) -> Tensor:
        s = torch.sigmoid(beta * x)
        return beta * s * (1 - s)

    return Smooth(lambda x: F.softplus(x, beta, 100), lambda x: torch.sigmoid(beta * x), bend, (0.0,))


def _softplus(beta: float = 1.0, threshold: float = 20.0) -> Rule:
    rule = softplus(beta)
    switch = math.exp(-threshold) / beta  # what torch leaves off where βx is above its threshold

    def run(x: Model) -> Model:
        found = rule(x)
        assert found.r is not None
        return Model(found.c0, found.c1, found.r + switch)

    return run


def _tanh_gelu(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The argument's first two derivatives and tanh of it."""
    a, b = math.sqrt(2 / math.pi), 0.044715
    return a * (1 + 3 * b * x.square()), 6 * a * b * x, torch.tanh(a * (x + b * x**3))


def _tanh_gelu_slope(x: Tensor) -> Tensor:
    first, _, t = _tanh_gelu(x)
    return (1 + t + x * (1 - t.square()) * first) / 2


def _tanh_gelu_bend(x: Tensor) -> Tensor:
    first, second, t = _tanh_gelu(x)
    return (1 - t.square()) * (first + x / 2 * (second - 2 * t * first.square()))


TANH_GELU = Smooth(
    lambda x: F.gelu(x, approximate="tanh"),
    _tanh_gelu_slope,
    _tanh_gelu_bend,
    (-2.0134807246242481, 0.0, 2.0134807246242481),
)


def _gelu(approximate: str = "none") -> Rule:
    return GELU if approximate == "none" else TANH_GELU


def _elu(alpha: float = 1.0, inplace: bool = False, *, scale: float = 1.0) -> Rule:
    """scale·(α·ELU + (1 − α)·max(x, 0)): a smooth part, and a kink where α is not 1."""

    def run(x: Model) -> Model:
        found = _times(EXPONENTIAL_UNIT(x), scale * alpha)
        return found if alpha == 1 else plus(found, _times(kink(x, 0.0), scale * (1 - alpha)))

    return run


def _celu(alpha: float = 1.0, inplace: bool = False) -> Rule:
    """α·ELU(x/α)."""
    return lambda x: _times(EXPONENTIAL_UNIT(_times(x, 1 / alpha)), alpha)


def _selu(inplace: bool = False) -> Rule:
    return _elu(1.6732632423543772848170429916717, scale=1.0507009873554804934193349852946)


def _hardtanh(min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Rule:
    """The smaller bound + max(x − smaller, 0) − max(x − larger, 0)."""

    def run(x: Model) -> Model:
        low, high = (kink(plus(x, model(x.c0.new_tensor(v)), -1), 0.0) for v in (min_val, max_val))
        return clipped(plus(plus(low, high, -1), model(x.c0.new_tensor(min_val))), min_val, max_val)

    return run


def _logsigmoid() -> Rule:
    rule = softplus(1.0)
    return lambda x: _times(rule(_times(x, -1.0)), -1.0)


def _times(x: Model, factor: float) -> Model:
    """A model times a number that is right to a few units of rounding."""
    number = x.c0.new_tensor(float(factor))
    return times(x, Model(number, None, 4 * UNIT * number.abs()))


MODULES: Mapping[type[nn.Module], Callable[[Any], Rule]] = {
    nn.ReLU: lambda m: lambda x: kink(x, 0.0),
    nn.LeakyReLU: lambda m: lambda x: kink(x, float(m.negative_slope)),
    nn.Tanh: lambda m: TANH,
    nn.Sigmoid: lambda m: SIGMOID,
    nn.GELU: lambda m: _gelu(m.approximate),
    nn.ELU: lambda m: _elu(m.alpha),
    nn.CELU: lambda m: _celu(m.alpha),
    nn.SELU: lambda m: _selu(),
    nn.Hardtanh: lambda m: _hardtanh(m.min_val, m.max_val),
    nn.ReLU6: lambda m: _hardtanh(0.0, 6.0),
    nn.LogSigmoid: lambda m: _logsigmoid(),
    nn.SiLU: lambda m: SILU,
    nn.Softplus: lambda m: _softplus(m.beta, m.threshold),
}
"""Activations as modules."""

FUNCTIONS: Mapping[Any, Callable[..., Rule]] = {
    **dict.fromkeys((F.relu, torch.relu, "relu"), lambda inplace=False: lambda x: kink(x, 0.0)),
    F.leaky_relu: lambda negative_slope=0.01, inplace=False: lambda x: kink(x, float(negative_slope)),
    **dict.fromkeys((torch.abs, "abs"), lambda: lambda x: kink(x, -1.0)),
    **dict.fromkeys((torch.tanh, F.tanh, "tanh"), lambda: TANH),
    **dict.fromkeys((torch.sigmoid, F.sigmoid, "sigmoid"), lambda: SIGMOID),
    F.gelu: _gelu,
    F.elu: _elu,
    F.celu: _celu,
    F.selu: _selu,
    F.hardtanh: _hardtanh,
    F.relu6: lambda inplace=False: _hardtanh(0.0, 6.0),
    F.logsigmoid: _logsigmoid,
    **dict.fromkeys((torch.exp, "exp"), lambda: EXP),
    **dict.fromkeys((torch.log, "log"), lambda: positive(LOG)),
    **dict.fromkeys((torch.sqrt, "sqrt"), lambda: root),
    **dict.fromkeys((torch.rsqrt, "rsqrt"), lambda: positive(RSQRT)),
    **dict.fromkeys((torch.reciprocal, "reciprocal"), lambda: reciprocal),
    F.silu: lambda inplace=False: SILU,
    F.softplus: _softplus,
    **dict.fromkeys((torch.square, "square"), lambda: SQUARE),
}
"""Activations as functions or methods of their first argument; the others are options."""
