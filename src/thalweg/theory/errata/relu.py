"""Two-layer ReLU networks, as several entries need them, and the most that paths between random ones rise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.paths import SparsifyCopySwap
from thalweg.records import PathStatus


def relu(inputs: Tensor, targets: Tensor, units: int, bias: bool = True) -> EmpiricalRisk:
    """(1/n) Σ_i ‖W_2 max(W_1 x_i + b, 0) − y_i‖² for inputs [n, d] and targets [n, 1], float64; b if ``bias``."""
    first, last = nn.Linear(inputs.shape[1], units, bias=bias), nn.Linear(units, targets.shape[1], bias=False)
    return EmpiricalRisk(nn.Sequential(first, nn.ReLU(), last).double(), nn.MSELoss(), (inputs, targets))


def rows(count: int, inputs: int, seed: int) -> tuple[Tensor, Tensor]:
    """Standard normal inputs [count, inputs] and targets [count, 1]."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, inputs, generator=generator, dtype=torch.float64)
    return x, torch.randn(count, 1, generator=generator, dtype=torch.float64)


def excess(risk: EmpiricalRisk, starts: Tensor, ends: Tensor) -> float:
    """The largest rise of a constructed path above the worse of its ends; ∞ where a path rises above its level."""
    most = 0.0
    for a, b in zip(starts, ends, strict=True):
        path = SparsifyCopySwap()(risk, a, b)
        worse, top = float(risk.losses(torch.stack([a, b])).max()), path.maximum.upper
        if path.status is not PathStatus.CONNECTED or top is None:
            return float("inf")
        most = max(most, top - worse)
    return most
