"""Landscapes whose minima and saddles are known, and trained networks for the tests of this room."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

import thalweg as tw
from thalweg.descent import Adam, Descent

# Müller & Brown 1979, Table 1: amplitudes, the three quadratic coefficients, and the centres of four Gaussians.
_A = torch.tensor([-200.0, -100.0, -170.0, 15.0], dtype=torch.float64)
_a = torch.tensor([-1.0, -1.0, -6.5, 0.7], dtype=torch.float64)
_b = torch.tensor([0.0, 0.0, 11.0, 0.6], dtype=torch.float64)
_c = torch.tensor([-10.0, -10.0, -6.5, 0.7], dtype=torch.float64)
_x = torch.tensor([1.0, 0.0, -0.5, -1.0], dtype=torch.float64)
_y = torch.tensor([0.0, 0.5, 1.5, 1.0], dtype=torch.float64)

MINIMA = {
    "A": ((-0.55822, 1.44173), -146.69952),
    "B": ((0.62350, 0.02804), -108.16672),
    "I": ((-0.05001, 0.46669), -80.76782),
}
"""Minima of the Müller–Brown surface with their energies."""

SADDLES = {"A-I": ((-0.82200, 0.62431), -40.66484), "I-B": ((0.21249, 0.29299), -72.24894)}
"""Its saddles of index 1 with their energies."""


def muller_brown() -> tw.Function:
    """The surface of Müller & Brown 1979: three minima in a row, joined over two saddles."""

    def fn(x: Tensor) -> Tensor:
        u, v = x[0] - _x, x[1] - _y
        return (_A * torch.exp(_a * u * u + _b * u * v + _c * v * v)).sum()

    return tw.Function(fn, 2)


def minimum(name: str) -> Tensor:
    return torch.tensor(MINIMA[name][0], dtype=torch.float64)


def bent_valley() -> tw.Function:
    """10 (y − 1 + x²)² + (x² − 1)²/4: minima (±1, 0), the saddle (0, 1) at 1/4 and a valley y = 1 − x² between them.

    On the straight segment y = 0, F = 10 (x² − 1)² + (x² − 1)²/4 rises to 10.25.
    """
    return tw.Function(lambda x: 10 * (x[1] - 1 + x[0] ** 2) ** 2 + (x[0] ** 2 - 1) ** 2 / 4, 2)


ENDS = (torch.tensor([-1.0, 0.0], dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64))
"""The minima of :func:`bent_valley`."""


@cache
def digits_pair(steps: int = 60, hidden: tuple[int, ...] = (32, 32)) -> tuple[tw.EmpiricalRisk, Tensor, Tensor]:
    """The digits' risk and two networks trained from different starts."""
    found = []
    for seed in (1, 2):
        risk = tw.zoo.digits(seed=seed, hidden=hidden)
        run = Descent(Adam(0.01), steps=steps, every=steps)(risk, risk.initial)
        found.append(torch.from_numpy(run.final[0].copy()))
    return tw.zoo.digits(hidden=hidden), found[0], found[1]
