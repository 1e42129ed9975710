"""The spectral density by stochastic Lanczos quadrature, with bounds of the spectral distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.quadrature import NotFinite, Rule, gauss, rule_of
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.curvature import probes
from thalweg.curvature.chart import Chart
from thalweg.curvature.checkpoints import Keeping
from thalweg.curvature.located import Located, located
from thalweg.curvature.operator import Kind, Operator
from thalweg.curvature.watched import Watched
from thalweg.errors import BudgetSpent, InputError
from thalweg.records import EstimateStatus, SpectralDensity

BESIDE = 5
"""Vectors held beside those of the steps: the probe, a product and what it is made of."""


@dataclass(frozen=True)
class Density:
    """The distribution of the eigenvalues from ``probes`` unit vectors and ``steps`` products with each.

    Each probe gives a Gauss rule of its spectral measure (Lin, Saad & Yang 2016, §3.2) and the Chebyshev–Markov–
    Stieltjes bounds of its distribution function; the mean over probes, widened by what the law of their mass allows,
    bounds the share of eigenvalues at or below each of ``points`` values. The bounds are honest rather than sharp:
    near 0, where the density of a network's Hessian peaks, they are wide. Where the budget ends first, they are of the
    probes there are. One probe's ``steps`` vectors of P float64 numbers are held at a time: where they do not fit into
    ``memory`` bytes there are fewer steps, as the record says, and wider bounds.

    Raises
    ------
    InputError
        If probes < 2, steps < 2 or points < 2, or not even two steps fit into memory.
    """

    probes: int = 10
    steps: int = 80
    operator: Kind = "hessian"
    points: int = 401
    memory: int = 2**32

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
        with Operator(here.objective, here.point, self.operator) as matrix:
            chart = Chart(matrix, here.point)
            steps = self.fitting(chart.size)
            rules, status = self._rules(chart, here, evaluate, steps)
        nodes, weights = _padded(rules)
        grid = self._grid(nodes)
        lower, upper = _bounds(rules, grid, chart.size)
        return SpectralDensity(
            data={"nodes": nodes, "weights": weights, "grid": grid, "lower": lower, "upper": upper},
            status=status,
            **here.told(self),
            operator=chart.name,
            size=chart.size,
            probes=len(rules),
            steps=steps,
            level=probes.LEVEL,
        )

    def fitting(self, size: int) -> int:
        """As many steps as were asked for, or as the memory holds in a space of this size.

        Raises
        ------
        InputError
            If not even two are held.
        """
        fits = self.memory // (8 * size) - BESIDE
        if fits < 2:
            raise InputError(
                f"memory={self.memory:,}: a density of {size:,} parameters holds at least {8 * size * (2 + BESIDE):,} "
                "bytes; raise it"
            )
        return min(self.steps, fits)

    def _rules(
        self, chart: Chart, here: Located, evaluate: Evaluator | None, steps: int
    ) -> tuple[list[Rule], EstimateStatus]:
        """A rule of every probe, as far as the budget goes; kept now and then."""
        keeping = Keeping(evaluate, here.objective.meter)
        rules, each = _restored(keeping), min(steps, chart.size)
        products = Watched(chart, evaluate, self.probes * each)
        for i in range(len(rules), self.probes):
            products.taken = i * each  # a probe may have needed fewer
            try:
                rules.append(gauss(products, probes.sphere(chart.size, 1, here.rng, first=i)[0], steps, partial=True))
            except NotFinite:
                return [], EstimateStatus.NONFINITE
            except BudgetSpent:
                return rules, EstimateStatus.BUDGET
            if keeping.due:
                keeping.keep(_state(rules))
        cut = not rules[-1].whole and len(rules[-1].nodes) < each
        return rules, EstimateStatus.BUDGET if cut else EstimateStatus.ESTIMATED

    def _grid(self, nodes: np.ndarray) -> np.ndarray:
        """Points from below to above all nodes, with 0 among them."""
        if not nodes.size:
            return np.empty(0)
        low, high = np.nanmin(nodes), np.nanmax(nodes)
        margin = 0.05 * (high - low) or 1.0
        return np.unique(np.append(np.linspace(low - margin, high + margin, self.points), 0.0))


def _padded(rules: list[Rule]) -> tuple[np.ndarray, np.ndarray]:
    most = max((len(rule.nodes) for rule in rules), default=0)
    nodes, weights = np.full((len(rules), most), np.nan), np.zeros((len(rules), most))
    for i, rule in enumerate(rules):
        nodes[i, : len(rule.nodes)] = rule.nodes.numpy()
        weights[i, : len(rule.nodes)] = rule.weights.numpy()
    return nodes, weights


def _bounds(rules: list[Rule], grid: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    if not rules:
        return np.empty(0), np.empty(0)
    found = [rule.mass(torch.from_numpy(grid)) for rule in rules]
    low, high = (np.mean([bound[side].numpy() for bound in found], axis=0) for side in (0, 1))
    lower, upper = probes.share(low, high, size, len(rules))
    return lower, upper


def _state(rules: list[Rule]) -> dict[str, np.ndarray]:
    """The tridiagonal matrices side by side, from which the rules come again bit for bit."""
    return {
        "alpha": torch.cat([rule.alpha for rule in rules]).numpy(),
        "beta": torch.cat([rule.beta for rule in rules]).numpy(),
        "steps": np.array([len(rule.alpha) for rule in rules]),
        "whole": np.array([rule.whole for rule in rules]),
    }


def _restored(keeping: Keeping) -> list[Rule]:
    kept = keeping.restored("alpha", "beta", "steps", "whole")
    if kept is None:
        return []
    keeping.again(kept)
    steps = kept["steps"].tolist()
    alphas = torch.from_numpy(np.array(kept["alpha"])).split(steps)
    betas = torch.from_numpy(np.array(kept["beta"])).split([m - 1 for m in steps])
    return [rule_of(a, b, bool(w)) for a, b, w in zip(alphas, betas, kept["whole"], strict=True)]
