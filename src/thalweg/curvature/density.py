"""The spectral density by stochastic Lanczos quadrature, with bounds of the spectral distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.quadrature import Rule, gauss
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.curvature import probes
from thalweg.curvature.located import located
from thalweg.curvature.operator import Kind, Operator
from thalweg.errors import InputError
from thalweg.records import EstimateStatus, SpectralDensity


@dataclass(frozen=True)
class Density:
    """The distribution of the eigenvalues from ``probes`` unit vectors and ``steps`` products with each.

    Each probe gives a Gauss rule of its spectral measure (Lin, Saad & Yang 2016, §3.2) and the Chebyshev–Markov–
    Stieltjes bounds of its distribution function; the mean over probes, widened by what the law of their mass allows,
    bounds the share of eigenvalues at or below each of ``points`` values. The bounds are honest rather than sharp:
    near 0, where the density of a network's Hessian peaks, they are wide.

    Raises
    ------
    InputError
        If probes < 2, steps < 2 or points < 2.
    """

    probes: int = 10
    steps: int = 80
    operator: Kind = "hessian"
    points: int = 401

    def __post_init__(self) -> None:
        for name in ("probes", "steps", "points"):
            if getattr(self, name) < 2:
                raise InputError(f"{name}={getattr(self, name)}: a density takes at least 2")

    def __call__(
        self,
        objective: Objective,
        theta: Point | Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> SpectralDensity:
        """Estimate the density."""
        here = located(objective, theta, "density", rng, budget)
        rules: list[Rule] = []
        with Operator(here.objective, here.point, self.operator) as matrix:
            for vector in probes.sphere(matrix.size, self.probes, here.rng):
                rules.append(gauss(matrix, vector, self.steps))
                if evaluate is not None:
                    evaluate.progress(len(rules), self.probes)
        nodes, weights = _padded(rules)
        grid = self._grid(nodes)
        bounds = [rule.mass(torch.from_numpy(grid)) for rule in rules]
        low = np.mean([b[0].numpy() for b in bounds], axis=0)
        high = np.mean([b[1].numpy() for b in bounds], axis=0)
        lower, upper = probes.share(low, high, matrix.size, self.probes)
        return SpectralDensity(
            data={"nodes": nodes, "weights": weights, "grid": grid, "lower": lower, "upper": upper},
            status=EstimateStatus.ESTIMATED,
            **here.told(self),
            operator=matrix.name,
            size=matrix.size,
            probes=self.probes,
            steps=self.steps,
            level=probes.LEVEL,
        )

    def _grid(self, nodes: np.ndarray) -> np.ndarray:
        """Points from below to above all nodes, with 0 among them."""
        low, high = np.nanmin(nodes), np.nanmax(nodes)
        margin = 0.05 * (high - low) or 1.0
        return np.unique(np.append(np.linspace(low - margin, high + margin, self.points), 0.0))


def _padded(rules: list[Rule]) -> tuple[np.ndarray, np.ndarray]:
    most = max(len(rule.nodes) for rule in rules)
    nodes, weights = np.full((len(rules), most), np.nan), np.zeros((len(rules), most))
    for i, rule in enumerate(rules):
        nodes[i, : len(rule.nodes)] = rule.nodes.numpy()
        weights[i, : len(rule.nodes)] = rule.weights.numpy()
    return nodes, weights
