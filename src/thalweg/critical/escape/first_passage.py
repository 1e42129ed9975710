"""When a random rule first arrives somewhere, for many walkers at once; those that have arrived walk no further."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.descent import Noise, Rule


def first_passages(
    objective: Objective,
    rule: Rule,
    starts: Tensor,
    arrived: Callable[[Tensor], Tensor],
    *,
    limit: int | None = None,
    rng: int | Stream = 0,
) -> np.ndarray:
    """Steps of the rule from starts [N, P] until ``arrived`` of points [n, P], bool [n], first holds; float64 [N].

    Infinite where ``limit`` steps were not enough; without a limit every walker is followed until it arrives, and a
    budget of the objective ends the walk. For rules whose state is the point alone. Walker i draws from stream i.
    """
    left, steps = np.arange(len(starts)), np.full(len(starts), np.inf)
    state, noise = rule.init(objective, starts), Noise.numbered(stream(rng), 0, len(starts))
    while len(left) and (limit is None or state.count < limit):
        state, _ = rule.step(objective, replace(state, noise=noise))
        there = arrived(state.theta).cpu().numpy()
        if there.any():
            steps[left[there]] = state.count
            stay = np.flatnonzero(~there)
            left, noise = left[stay], noise.some(stay)
            state = replace(state, theta=state.theta[torch.from_numpy(stay)])
    return steps
