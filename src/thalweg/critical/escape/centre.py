"""The point that a race is about: what kind of point it is, its spectrum, and the value below which it is left."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.critical.classify import Classify
from thalweg.critical.geometry import local
from thalweg.curvature import Lanczos
from thalweg.errors import InputError
from thalweg.records import PointStatus
from thalweg.zoo.facts import CriticalPoint, Facts

DENSE = 512
"""Up to this many parameters the whole Hessian at the centre is taken, by as many products."""

DEGENERATE = frozenset({PointStatus.DEGENERATE_SADDLE, PointStatus.FLAT, PointStatus.DEGENERATE_MINIMUM})
"""Kinds that a negative eigenvalue does not make."""


@dataclass(frozen=True)
class Centre:
    """A point with what a race needs of it, float64.

    ``spectrum`` ascending and ``vectors`` (columns in rows' order) where the Hessian was small enough; ``lowest``, the
    smallest eigenvalue; ``smoothness``, the landscape's own bound, or else the largest absolute eigenvalue met here and
    at the critical points that are known; ``level``, the value below which the point counts as left, and ``rule``, how
    that was chosen.
    """

    name: str
    theta: Tensor
    value: float
    kind: str
    degenerate: bool
    lowest: float | None
    smoothness: float
    hessian_lipschitz: float | None
    floor: float | None
    level: float
    rule: str
    spectrum: np.ndarray | None
    vectors: Tensor | None

    @property
    def stable(self) -> Tensor:
        """Orthonormal rows [m, P] that span the eigenvectors without negative curvature.

        Raises
        ------
        InputError
            If the Hessian was too large to be taken whole.
        """
        if self.vectors is None or self.spectrum is None:
            raise InputError(f"start='stable' needs the whole Hessian, of at most {DENSE} parameters: use start='near'")
        return self.vectors[torch.from_numpy(self.spectrum >= -1e-9 * np.abs(self.spectrum).max())]

    @property
    def curvature(self) -> float:
        """−λ_min where it is negative, else a hundredth of the smoothness: what practical constants are made for."""
        if self.lowest is not None and self.lowest < -1e-9 * self.smoothness:
            return -self.lowest
        return self.smoothness / 100


def centre(
    objective: Objective, point: Point | Tensor, rng: Stream, *, below: float | None = None, share: float = 0.1
) -> Centre:
    """Look at a point of the objective; ``below`` states the level, ``share`` the fall of F where nothing else does.

    Raises
    ------
    InputError
        If there is no level to be had, or it lies above F at the point.
    """
    given = objective.point(point)
    judged = Classify(dense_below=2000)(objective, given, rng=rng)
    facts = objective.facts if isinstance(objective.facts, Facts) else None
    known = _known(facts, given.theta)
    floor = facts.infimum if facts is not None and math.isfinite(facts.infimum) else None
    level, rule = _level(judged.value, facts, known, floor, below, share)
    if not level < judged.value:
        raise InputError(f"--below {level:g} is not below F = {judged.value:g} at {given.name}: choose a smaller value")
    spectrum, vectors = _spectrum(objective, given)
    edges = [abs(float(x)) for x in (spectrum if spectrum is not None else ())]
    if spectrum is None:
        met = Lanczos(k=1, which="LM", tol=1e-2, max_products=60)(objective, given, rng=rng)
        edges = [abs(float(x)) for x in met.eigenvalues if np.isfinite(x)]
    edges += [abs(x) for near in (facts.critical_points if facts is not None else ()) for x in near.spectrum]
    largest = max(edges, default=0.0)
    smoothness = getattr(facts, "smoothness", None) or (largest if largest > 1e-3 else 1.0)
    lowest = float(spectrum[0]) if spectrum is not None else judged.smallest.upper
    return Centre(
        name=given.name if known is None else known.name,
        theta=given.theta,
        value=judged.value,
        kind=judged.kind,
        degenerate=judged.status in DEGENERATE,
        lowest=lowest,
        smoothness=float(smoothness),
        hessian_lipschitz=getattr(facts, "hessian_lipschitz", None),
        floor=floor,
        level=level,
        rule=rule,
        spectrum=spectrum,
        vectors=vectors,
    )


def _known(facts: Facts | None, theta: Tensor) -> CriticalPoint | None:
    for point in facts.critical_points if facts is not None else ():
        if np.allclose(point.theta, theta.double().numpy(), rtol=0, atol=1e-9):
            return point
    return None


def _level(
    value: float,
    facts: Facts | None,
    known: CriticalPoint | None,
    floor: float | None,
    below: float | None,
    share: float,
) -> tuple[float, str]:
    """What F must fall below: as asked; what is known of the point; midway to the infimum; or a share of F."""
    if below is not None:
        return below, "as asked"
    own = getattr(known, "level", None)
    if own is not None:
        return float(own), "the point's own"
    if floor is not None and floor < value:
        return (value + floor) / 2, "midway to the infimum"
    if facts is None and value > 0:
        return (1 - share) * value, f"{share:.0%} below the start"
    raise InputError(f"F is {value:g} at the start and its infimum is unknown: state the level to fall below, --below")


def _spectrum(objective: Objective, point: Point) -> tuple[np.ndarray | None, Tensor | None]:
    """Every eigenvalue and its vector in a row, on a manifold those of the tangent space."""
    if objective.space.size > DENSE:
        return None, None
    double = objective if objective.space.dtype == torch.float64 else objective.to(torch.float64)
    with local(double.at(point), point.theta.double()) as here:
        matrix = here.dense()
        basis = here.basis()
    if not bool(matrix.isfinite().all()):
        return None, None
    values, vectors = torch.linalg.eigh(matrix)
    return values.numpy(), vectors.T @ basis
