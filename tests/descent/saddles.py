"""Quadratic saddles and what is known of first passages from them."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

import thalweg as tw

RARE = 1e-4
"""A check by a binomial or normal interval fails by chance this often; seeds are fixed, so it fails always or never."""


def pure(size: int, gamma: float) -> tw.Function:
    """−γx²/2 in the last coordinate and flat in the others: F alone says how far a start has come."""
    return tw.Function(lambda x: -gamma / 2 * x[-1].square(), size)


def saddle(size: int, gamma: float, stiff: float = 1.0) -> tw.Function:
    """stiff·|x|²/2 but −γx²/2 in the last coordinate."""
    return tw.Function(lambda x: stiff / 2 * x[:-1].square().sum() - gamma / 2 * x[-1].square(), size)


class _Rows(nn.Module):
    """F_i(x) = −γx_d²/2 + b_i·x, the value for every row b_i."""

    def __init__(self, size: int, gamma: float) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.zeros(size, dtype=torch.float64))
        self.gamma = gamma

    def forward(self, b: Tensor) -> Tensor:
        return -self.gamma / 2 * self.x[-1].square() + b @ self.x


def finite_sum(size: int, gamma: float, rows: int = 20) -> tw.EmpiricalRisk:
    """A saddle at 0 whose row gradients there are random of mean 0, with ±1 along the unstable direction."""
    b = torch.randn(rows, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    b = b - b.mean(0)
    b[:, -1] = torch.tensor([1.0, -1.0]).repeat(rows // 2)
    data = (b, torch.zeros(rows, dtype=torch.float64))
    return tw.EmpiricalRisk(_Rows(size, gamma), lambda outputs, _: outputs, data)


def agrees(successes: int, trials: int, probability: float) -> bool:
    """Whether the count is in the central 1 − RARE of its binomial law."""
    return bool(stats.binomtest(int(successes), trials, probability).pvalue > RARE)


def follows(times: np.ndarray, law) -> None:  # type: ignore[no-untyped-def]
    """Check integer first-passage times against P(T <= t) = law(t), at five of its quantiles."""
    grid = np.arange(1, int(times.max()) + 2)
    cumulative = np.array([law(t) for t in grid])
    for q in (0.1, 0.25, 0.5, 0.75, 0.9):
        t = grid[np.searchsorted(cumulative, q)]
        p = cumulative[np.searchsorted(cumulative, q)]
        assert agrees((times <= t).sum(), len(times), p), f"P(T <= {t}): {(times <= t).mean():.3f}, law {p:.3f}"
