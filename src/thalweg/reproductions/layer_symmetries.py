"""Convolutions and attention: copies of a point by orders of channels, heads and units, each visited; the funnel."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream
from thalweg.descent import Descent, Momentum
from thalweg.paths.align import symmetries
from thalweg.paths.align.orbit import orbit
from thalweg.records import Finding
from thalweg.trajectories import Funnel

HEADS, UNITS = 2, 2
"""Of the attention: heads, and units in each."""

CHANNELS = (3, 2)
"""Of the convolutions: the first go through tanh, the second through rectified units."""

COPIES = {
    "convolution": math.prod(math.factorial(c) for c in CHANNELS) * 2 ** CHANNELS[0],
    # heads; in each of them queries with keys, and values; the units that the heads are mapped to
    "attention": math.factorial(HEADS) * math.factorial(UNITS) ** (2 * HEADS) * math.factorial(HEADS * UNITS),
}
"""What is to be found: 3!·2!·2³ orders and signs of channels, and 2!·(2!)²·(2!)²·4! orders of heads and units."""

RUNS, STEPS = 6, 200
"""Runs of the funnel from random starts, and their steps."""

INSIDE = {"convolution": "0.weight", "attention": "attend.in_proj_weight"}
"""Where units are exchanged in one tensor alone."""


class Attention(nn.Module):
    """Self-attention over a sequence, and a linear map of the mean over its places."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(HEADS * UNITS, HEADS, batch_first=True, dtype=torch.float64)
        self.head = nn.Linear(HEADS * UNITS, 1, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        """Of sequences [n, places, units], [n, 1]."""
        found: Tensor = self.head(self.attend(x, x, x, need_weights=False)[0].mean(1))
        return found


def layered(source: Stream, rounding: float) -> list[Finding]:
    """Both networks: copies that differ, the change of F over all, up to ``rounding``, a control, and the funnel."""
    found = []
    for name in COPIES:
        risk = _risk(name, source(name))
        found += [*_rows(name, risk, rounding), _funnel(name, risk, source(name, "starts"))]
    return found


def _risk(name: str, rng: Stream) -> EmpiricalRisk:
    generator = rng.torch()
    if name == "attention":
        model: nn.Module = Attention()
        x = torch.randn(12, 3, HEADS * UNITS, generator=generator, dtype=torch.float64)
    else:
        first, second = nn.Conv2d(1, CHANNELS[0], 2), nn.Conv2d(*CHANNELS, 2)
        model = nn.Sequential(first, nn.Tanh(), second, nn.ReLU(), nn.Flatten(), nn.Linear(4 * CHANNELS[1], 1)).double()
        x = torch.randn(12, 1, 4, 4, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        for p in model.parameters():  # units that differ
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
    y = torch.randn(12, 1, generator=generator, dtype=torch.float64)
    return EmpiricalRisk(model, nn.MSELoss(), (x, y), backend="loop")


def _rows(name: str, risk: EmpiricalRisk, rounding: float) -> list[Finding]:
    found, theta = symmetries(risk, signs=name == "convolution"), risk.initial.theta
    copies, base = orbit(found, risk.space, theta), float(risk.losses(theta[None])[0])
    changes = (risk.losses(copies) / base - 1).abs()
    named = risk.space.unravel(theta)
    alone = risk.space.ravel({n: p.flip(0) if n == INSIDE[name] else p for n, p in named.items()})
    control = abs(float(risk.losses(alone[None])[0]) / base - 1)
    many, change = len(torch.unique(copies, dim=0)), float(changes.max())
    return [
        Finding(f"{name}_copies", f"{name}: copies that differ", COPIES[name], many, None, many == COPIES[name]),
        Finding(f"{name}_change", "F is the same at all of them", 0.0, change, None, change <= rounding),
        Finding(f"{name}_control", "control: units exchanged in one tensor alone", None, control, None, control > 1e-3),
    ]


def _funnel(name: str, risk: EmpiricalRisk, rng: Stream) -> Finding:
    """Spearman's correlation of the loss with the distance to where a run ends: the median over runs and its range."""
    starts = 0.5 * torch.randn(RUNS, risk.space.size, generator=rng.torch(), dtype=torch.float64)
    ranks = Funnel()(Descent(Momentum(0.02), steps=STEPS, every=4)(risk, starts)).data["rank_correlation"]
    said = f"funnel: rank correlation of loss and distance to the end, median and range of {RUNS} runs"
    return Finding(f"{name}_funnel", said, None, float(np.median(ranks)), (float(ranks.min()), float(ranks.max())))
