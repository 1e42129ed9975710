"""Whether the negative gradient points to where a run ends: on the run, about it, and where minibatches take it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream


def towards(gradient: Tensor, here: Tensor, end: Tensor) -> np.ndarray:
    """Whether ⟨−gradient, end − here⟩ is positive, 1 or 0, float64 [B] of [B, P]; one-point convexity asks for it."""
    return ((-gradient * (end - here)).sum(1) > 0).double().numpy()


def towards_end(
    objective: Objective,
    path: Tensor,
    lr: float,
    batch: int,
    *,
    around: int = 16,
    radius: float = 0.5,
    rng: int | Stream = 0,
) -> dict[str, np.ndarray]:
    """Shares [T − 1, B] of positive inner products with the way to the end of runs [T, B, P], one-point convexity.

    ``along``: of −∇F at every point. ``smoothed``: of the mean of −∇F over where ``around`` steps of size ``lr`` on
    ``batch`` rows each, drawn with replacement, would lead, which is the gradient of F smoothed by them (Kleinberg, Li
    & Yuan 2018). ``about``: at ``around`` points of the sphere of that radius. ``other``: as along, but to the end of
    another run, as a control.
    """
    source, end, other = stream(rng), path[-1], path[-1].roll(1, 0)
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("along", "smoothed", "about", "other")}
    for t, here in enumerate(path[:-1]):
        slope = objective.value_and_grad(here)[1]
        found["along"].append(towards(slope, here, end))
        found["other"].append(towards(slope, here, other))
        draws, many = source("picture", t), around * len(here)
        index = torch.randint(objective.row_count, (many, batch), generator=draws("rows").torch())
        wide = here.repeat(around, 1)
        landed = wide - lr * objective.rows(index).value_and_grad(wide)[1]
        mean = objective.value_and_grad(landed)[1].reshape(around, *here.shape).mean(0)
        found["smoothed"].append(towards(mean, here - lr * slope, end))
        away = torch.randn(wide.shape, generator=draws("away").torch(), dtype=wide.dtype)
        near = wide + radius * away / away.norm(dim=1, keepdim=True)
        there = towards(objective.value_and_grad(near)[1], near, end.repeat(around, 1))
        found["about"].append(there.reshape(around, -1).mean(0))
    return {name: np.stack(x) for name, x in found.items()}
