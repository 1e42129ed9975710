"""Where the starts of a race lie: at the point, on its stable side, near it, or anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.critical.escape.centre import Centre


def saddle(objective: Objective, at: Centre, radius: float, count: int, rng: Stream) -> Tensor:
    """Exactly the point, N times: only a rule's own randomness can leave it."""
    return at.theta.expand(count, -1).clone()


def stable(objective: Objective, at: Centre, radius: float, count: int, rng: Stream) -> Tensor:
    """Uniform in the ball of ``radius`` inside the eigenvectors without negative curvature: tangent to the stable set.

    Where F is even along the others, as a factorisation is, the stable set is flat and these starts lie on it.
    """
    rows = at.stable
    inside = _ball(rows.shape[0], radius, count, rng)
    return at.theta + (inside @ rows).to(at.theta)


def near(objective: Objective, at: Centre, radius: float, count: int, rng: Stream) -> Tensor:
    """Uniform in the ball of ``radius`` about the point."""
    return at.theta + _ball(at.theta.numel(), radius, count, rng).to(at.theta)


def random(objective: Objective, at: Centre, radius: float, count: int, rng: Stream) -> Tensor:
    """Normal about the origin, as long on average as the point, or of length 1 where that is the origin."""
    size = at.theta.numel()
    length = float(at.theta.norm()) or 1.0
    draws = torch.randn(count, size, generator=rng.torch(), dtype=torch.float64)
    return (draws * length / size**0.5).to(at.theta)


Start = Callable[[Objective, Centre, float, int, Stream], Tensor]
"""(objective, centre, radius, N, stream) -> starts [N, P]."""

STARTS: Mapping[str, Start] = {"saddle": saddle, "stable": stable, "near": near, "random": random}
"""Every distribution of starts by name; each is followed by the objective's retraction."""


def _ball(size: int, radius: float, count: int, rng: Stream) -> Tensor:
    """Uniform in a ball: radius·U^{1/n} along a uniform direction, float64 [count, size]."""
    generator = rng.torch()
    along = torch.randn(count, size, generator=generator, dtype=torch.float64)
    length = torch.rand(count, 1, generator=generator, dtype=torch.float64) ** (1 / size)
    return radius * length * along / along.norm(dim=1, keepdim=True)
