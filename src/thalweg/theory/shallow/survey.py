"""What random searches find on a landscape: critical points with their exact inertia."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from thalweg.critical import Census, Classify, Search
from thalweg.theory.subject import Subject

MINIMA, SADDLES, STEPS = 16, 8, 80
"""Searches that follow curvature downwards, searches that stop at any critical point, and the steps of each."""


@dataclass(frozen=True)
class Survey:
    """Critical points that were found: F, the index (negative Hessian eigenvalues) and theta of each.

    ``lost`` searches ended at no critical point.
    """

    losses: np.ndarray
    index: np.ndarray
    thetas: np.ndarray
    lost: int

    @property
    def second_order(self) -> np.ndarray:
        """Those without negative curvature, [B] bool: every local minimum is among them."""
        return self.index == 0

    def above(self, value: float, slack: float) -> np.ndarray:
        """Second-order points whose F is above a value, [B] bool: bad minima or saddles that are not strict."""
        return self.second_order & (self.losses > value + slack)

    def told(self, bad: int) -> tuple[str, dict[str, float]]:
        """In words and in numbers, beside how many of them are ``bad``."""
        good, saddles = int(self.second_order.sum()) - bad, int((~self.second_order).sum())
        said = f"of {len(self.losses)} critical points found {good} are global minima, {saddles} strict saddles"
        values = {"minima": float(good), "strict_saddles": float(saddles), "bad": float(bad), "lost": float(self.lost)}
        return f"{said} and {bad} second-order points that are neither", values


def survey(subject: Subject, scale: float = 1.0) -> Survey:
    """Search from the point itself and from normal starts of standard deviation ``scale``, in float64.

    A census of what searches reach is no proof: it can refute a statement about every critical point, not show it.
    """
    generator = subject.rng("survey").torch()
    count, size = MINIMA + SADDLES, len(subject.theta)
    starts = scale * torch.randn(count, size, generator=generator, dtype=torch.float64)
    starts = subject.objective.retract(starts)
    down = torch.cat([subject.theta[None].cpu(), starts[:MINIMA]])
    # A search that has come within rounding of a minimum whose Hessian is singular has a gradient far below this.
    census = Census(Classify(tolerance=1e-7))
    found = [
        Search(method, steps=STEPS, census=census)(subject.objective, points.to(subject.theta), rng=subject.rng(method))
        for method, points in (("saddle_free", down), ("newton_mr", starts[MINIMA:]))
    ]
    every = {
        name: np.concatenate([r.data[name] for r in found]) for name in ("loss", "index_low", "thetas", "critical")
    }
    at = every["critical"]
    return Survey(every["loss"][at], every["index_low"][at], every["thetas"][at], int((~at).sum()))
