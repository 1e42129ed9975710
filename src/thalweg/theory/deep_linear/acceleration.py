"""Acceleration by depth: ℓ_p regression with one layer and with several (Arora, Cohen & Hazan 2018, §6)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import InputError

ETAS = tuple(10 ** (power / 4) for power in range(-16, 5))
"""Step sizes tried, from 1e-4 to 10."""


@dataclass(frozen=True)
class Race:
    """For each number of layers the loss after each step, ``losses`` [steps + 1], at the best step size tried."""

    losses: dict[int, Tensor]
    etas: dict[int, float]

    def steps_to(self, layers: int, level: float) -> int | None:
        """The first step at or below a loss; None where it is not reached."""
        below = (self.losses[layers] <= level).nonzero()
        return int(below[0]) if len(below) else None


def race(
    inputs: Tensor, targets: Tensor, p: int = 4, layers: tuple[int, ...] = (1, 2, 3), steps: int = 2000,
    etas: tuple[float, ...] = ETAS, start: float = 0.1,
) -> Race:  # fmt: skip
    """(1/n) Σ (w·x_i − y_i)^p / p by gradient descent on w, overparameterised as W_1 times scalars.

    Inputs [n, d], targets [n], p even. Scalar outputs need one vector and N − 1 numbers: hidden layers of one unit.
    Every number of layers starts at the same product, ``start`` along the least-squares direction, balanced, and takes
    the step of ``etas`` that ends lowest: the same tuning for each.

    Raises
    ------
    InputError
        If p is odd or below 2.
    """
    if p < 2 or p % 2:
        raise InputError(f"p={p}: give an even number of at least 2")
    x, y = inputs.double(), targets.double()
    along = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    along = along / along.norm()
    losses, best = {}, {}
    step = torch.tensor(etas, dtype=torch.float64)
    for n in layers:
        root = start ** (1 / n)
        w, scalars = (root * along).repeat(len(etas), 1), torch.full((len(etas), n - 1), root, dtype=torch.float64)
        found = torch.empty(steps + 1, len(etas), dtype=torch.float64)
        for t in range(steps + 1):
            gain = scalars.prod(1)
            error = (w * gain[:, None]) @ x.T - y
            found[t] = (error**p).mean(1) / p
            slope = (error ** (p - 1)) @ x / len(x)
            into = slope * gain[:, None]
            inner = (slope * w).sum(1)
            others = (
                torch.stack(
                    [inner * torch.cat([scalars[:, :j], scalars[:, j + 1 :]], 1).prod(1) for j in range(n - 1)], 1
                )
                if n > 1
                else scalars
            )
            w = w - step[:, None] * into
            scalars = scalars - step[:, None] * others
        last = torch.where(found[-1].isfinite(), found[-1], torch.inf)
        winner = int(last.argmin())
        losses[n], best[n] = found[:, winner], float(step[winner])
    return Race(losses, best)
