"""Every measure of sharpness at one point in one table, and which of them a rescaling changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.quadrature import NotFinite
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.curvature import measures, rescaling
from thalweg.curvature.located import located
from thalweg.curvature.measures import Found, Place
from thalweg.errors import InputError
from thalweg.records import Measure, SharpnessStatus, SharpnessTable

AGREE = 0.01
"""Relative difference under which a measure counts as unchanged."""

UNKNOWN = Found(None, note="F, its gradient or a product is not finite here")


@dataclass(frozen=True)
class Sharpness:
    """Eleven measures of sharpness, each once more at a rescaled point that computes the same function.

    ``epsilon``: half-width of Keskar's box. ``rho``: radius of the worst case (Foret et al. 2021: .05). ``sigma``: of
    the adaptive average. ``rise``: the rise in F that defines the PAC-Bayes σ. ``gamma``: the scope of the local
    entropy, whose Gaussian has variance 1/γ. ``draws``: random points for averages. ``batch``: rows of a batch of
    m-sharpness. ``only``: names of the measures wanted (all).

    Raises
    ------
    InputError
        If an option is not positive or a name is unknown.
    """

    epsilon: float = 1e-3
    rho: float = 0.05
    sigma: float = 0.1
    rise: float = 0.1
    gamma: float = 1e4
    draws: int = 32
    batch: int = 128
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("epsilon", "rho", "sigma", "rise", "gamma", "draws", "batch"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise InputError(f"{name}={value}: it must be positive and finite")
        unknown = [name for name in self.only if name not in measures.MEASURES]
        if unknown:
            raise InputError(f"only={unknown[0]!r} is unknown: choose among {', '.join(measures.MEASURES)}")

    def __call__(
        self,
        objective: Objective,
        theta: Point | Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> SharpnessTable:
        """Compute the table."""
        here = located(objective, theta, "sharpness", rng, budget)
        counted = here.objective
        twin, words = rescaling.rescaled(counted, here.theta)
        value = float(counted.losses(here.theta[None])[0])
        lines = []
        chosen = {n: m for n, m in measures.MEASURES.items() if not self.only or n in self.only}
        for i, (name, (definition, measure)) in enumerate(chosen.items()):
            found = self._taken(measure, counted, here.theta, here.rng) if np.isfinite(value) else UNKNOWN
            again = None if twin is None else self._taken(measure, counted, twin, here.rng)
            lines.append(_line(name, definition, found, again))
            if evaluate is not None:
                evaluate.progress(i + 1, len(chosen))
        whole = all(line.value is not None for line in lines)
        return SharpnessTable(
            data={},
            status=SharpnessStatus.COMPLETE if whole else SharpnessStatus.PARTIAL,
            **here.told(self),
            value=value,
            measures=tuple(lines),
            rescaling=words,
        )

    def _taken(self, measure: Callable[[Place], Found], objective: Objective, theta: Tensor, rng: Stream) -> Found:
        try:
            found = measure(Place(objective, theta, self, rng))
        except (measures.Undefined, NotFinite) as reason:
            return Found(None, note=str(reason))
        known = found.value is not None and np.isfinite(found.value)
        return found if known else UNKNOWN


def _line(name: str, definition: str, found: Found, again: Found | None) -> Measure:
    line = Measure(name, definition, found.value, found.error, found.guarantee, found.bound, note=found.note)
    if found.value is None or again is None or again.value is None:
        return line
    slack = AGREE * max(abs(found.value), abs(again.value)) + 3 * ((found.error or 0.0) + (again.error or 0.0))
    return replace(line, rescaled=again.value, invariant=abs(found.value - again.value) <= slack)
