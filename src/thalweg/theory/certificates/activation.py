"""What is known of an activation: by its name where its values are those of a known one, otherwise by tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.paths.construct.chain import Activation

GRID = torch.cat([torch.linspace(-30, 30, 601, dtype=torch.float64), torch.linspace(-1, 1, 201, dtype=torch.float64)])
"""Where two activations are compared."""

SHIFTS, POINTS = 6, 400
"""Shifts of itself by which an activation is fitted, and where."""

DEPENDENT = 1e-9
"""Relative residual below which it counts as a sum of its shifts."""


@dataclass(frozen=True)
class Traits:
    """Facts about a function φ of one variable: strictly increasing or decreasing, onto ℝ, real analytic."""

    monotone: bool
    onto: bool
    analytic: bool


_SQUASHED = Traits(monotone=True, onto=False, analytic=True)
_WAVY = Traits(monotone=False, onto=False, analytic=True)
_BENT = Traits(monotone=False, onto=False, analytic=False)

KNOWN: Mapping[str, tuple[Callable[[Tensor], Tensor], Traits]] = {
    "tanh": (torch.tanh, _SQUASHED),
    "sigmoid": (torch.sigmoid, _SQUASHED),
    "softplus": (F.softplus, _SQUASHED),
    "log-sigmoid": (F.logsigmoid, _SQUASHED),
    "exp": (torch.exp, _SQUASHED),
    "softsign": (F.softsign, Traits(monotone=True, onto=False, analytic=False)),
    "gelu": (F.gelu, _WAVY),
    "gelu (tanh)": (lambda x: F.gelu(x, approximate="tanh"), _WAVY),
    "silu": (F.silu, _WAVY),
    "mish": (F.mish, _WAVY),
    "sin": (torch.sin, _WAVY),
    "cos": (torch.cos, _WAVY),
    "square": (torch.square, _WAVY),
    "relu": (F.relu, _BENT),
    "abs": (torch.abs, _BENT),
    "relu6": (F.relu6, _BENT),
    "hardtanh": (F.hardtanh, _BENT),
    "hardswish": (F.hardswish, _BENT),
    "elu": (F.elu, Traits(monotone=True, onto=False, analytic=False)),
    "selu": (F.selu, Traits(monotone=True, onto=False, analytic=False)),
}
"""Activations by name, with their default constants, and facts about them."""


@dataclass(frozen=True)
class Known:
    """An activation's name, None where it is unknown, and its traits: tested on a grid where the name is unknown."""

    name: str | None
    traits: Traits

    @property
    def how(self) -> str:
        """The name, or how its traits were found."""
        return self.name or "tested on a grid, not known by name"


def known(activation: Activation | None) -> Known:
    """Which activation this is. The identity is None."""
    if activation is None:
        return Known("the identity", Traits(monotone=True, onto=True, analytic=True))
    with torch.no_grad():
        values = activation(GRID.clone())
        for name, (fn, traits) in KNOWN.items():
            if torch.allclose(values, fn(GRID.clone()), rtol=1e-12, atol=1e-14):
                return Known(name, traits)
        slope = float(-activation(torch.tensor([-1.0], dtype=torch.float64)))
        if slope > 0 and torch.allclose(values, F.leaky_relu(GRID.clone(), slope), rtol=1e-12, atol=1e-14):
            return Known(f"leaky relu of slope {slope:g}", Traits(monotone=True, onto=True, analytic=False))
        line = activation(torch.linspace(-8, 8, 4001, dtype=torch.float64))
        steps = line[1:] - line[:-1]
        far = activation(torch.tensor([-1e12, 1e12], dtype=torch.float64))
        onto = bool(far.abs().min() > 1e3) and bool(far.sign().sum() == 0)
    return Known(None, Traits(bool((steps > 0).all() or (steps < 0).all()), onto, analytic=False))


def shift_residual(activation: Activation | None, rng: Stream) -> float:
    """How far φ is from a sum of :data:`SHIFTS` random shifts of itself, ‖φ − Σ λ_i φ(· − μ_i)‖/‖φ‖ on a grid."""
    t = torch.linspace(-6, 6, POINTS, dtype=torch.float64)
    shifts = 4 * torch.rand(SHIFTS, generator=rng.torch(), dtype=torch.float64) - 2

    def at(x: Tensor) -> Tensor:
        return x if activation is None else activation(x)

    with torch.no_grad():
        columns, wanted = torch.stack([at(t - mu) for mu in shifts], 1), at(t)
        found = torch.linalg.lstsq(columns, wanted.unsqueeze(1), driver="gelsd").solution
        return float((columns @ found[:, 0] - wanted).norm() / wanted.norm())


def derivatives(activation: Activation, place: float, order: int) -> list[float]:
    """φ(t), φ'(t), … up to ``order`` at one place, by nested backward passes."""
    t = torch.tensor(place, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        value = activation(t.reshape(1)).sum()
        found = [float(value.detach())]
        for _ in range(order):
            if not value.requires_grad:
                return found + [0.0] * (order + 1 - len(found))
            (value,) = torch.autograd.grad(value, t, create_graph=True, materialize_grads=True)
            found.append(float(value.detach()))
    return found
