"""Curvature at every point of a slice: extreme eigenvalues of the Hessian, their ratio, and the gradient's angle.

Li et al. 2018, §6, map |λ_min/λ_max| over a plane to ask whether what looks convex there is convex. The points of a
row are visited in order, and each starts from the Ritz vectors of the one before it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from thalweg.core.evaluate import Plan
from thalweg.core.rng import Stream
from thalweg.errors import InputError
from thalweg.records import SliceStatus
from thalweg.records.convexity import Convexity, settled
from thalweg.slices.extremes import PROBES, Extremes, extremes
from thalweg.slices.fill import Canvas, Fill, Filled

CHAIN = 8
"""At most this many points are visited one after the other: what is lost when a study is interrupted."""

OUTSIDE = 0.5
"""An extreme eigenvector with less than this share of its square in the neighbour's vectors is one that appeared."""

EXTREMES = ("largest", "smallest", "largest_residual", "smallest_residual", "products", "converged")
GRADIENT = ("gradient_norm", "gradient_inside")


@dataclass(frozen=True)
class CurvatureMap(Fill):
    """Every point is evaluated, and there the extreme eigenvalues of the Hessian and the gradient.

    For a line or a plane as its ``fill``. ``tol`` bounds the residuals ‖Hv − λv‖ relative to the largest |λ| at the
    point; an eigenvalue lies within its residual of each, and by λ the error is of the order of residual²/gap. At most
    ``limit`` products are taken at a point; ``basis`` vectors and their products (2·basis·P float64 numbers) are held.
    ``warm`` starts a point from its neighbour's Ritz vectors, with ``probes`` steps from a fresh random vector in case
    another eigenvalue overtook those; where one did, the neighbours are visited once more with what appeared. Chains
    of points are the tasks of the plan.

    Raises
    ------
    InputError
        If an option is not positive.
    """

    tol: float = 1e-3
    limit: int = 400
    basis: int = 40
    warm: bool = True
    probes: int = PROBES

    def __post_init__(self) -> None:
        if not 0 < self.tol < 1:
            raise InputError(f"tol={self.tol}: a residual relative to the largest |eigenvalue| lies between 0 and 1")
        for name, least in (("limit", 2), ("basis", 12), ("probes", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name}={value!r}: it must be an integer, at least {least}")

    def __call__(self, canvas: Canvas) -> Filled:
        """As one plan over chains of neighbouring points."""
        flat = canvas.mesh.reshape(-1, canvas.mesh.shape[-1])
        chains, length = _chains(canvas.shape)
        names = (*canvas.names, *EXTREMES, *GRADIENT)

        def chain(numbers: Tensor) -> dict[str, Tensor]:
            found = torch.full((len(names), len(numbers), length), float("nan"), dtype=torch.float64)
            for b, number in enumerate(numbers.tolist()):
                cells = chains[int(number)]
                for i, values in enumerate(self._visited(canvas, cells, flat[torch.from_numpy(cells)])):
                    found[:, b, i] = torch.tensor([values[name] for name in names], dtype=torch.float64)
            return dict(zip(names, found, strict=True))

        plan = Plan(
            chain,
            torch.arange(len(chains), dtype=torch.float64),
            names,
            trailing=dict.fromkeys(names, (length,)),
            meter=canvas.objective.meter.read,
            settings={**canvas.settings, "curvature": [self.tol, self.limit, self.basis, self.warm, self.probes]},
            measure=canvas.measured,
            obey=canvas.obey,
        )
        outcome = canvas.evaluate(plan)
        order = np.concatenate(chains)
        values = {}
        for name in names:
            values[name] = np.empty(len(flat))
            # a chain that is shorter than the longest leaves the rest of its row unused
            values[name][order] = np.concatenate(
                [row[: len(c)] for row, c in zip(outcome.values[name], chains, strict=True)]
            )
            values[name] = values[name].reshape(canvas.shape)
        data = {name: values.pop(name) for name in (*EXTREMES, *GRADIENT)}
        slack = float(torch.finfo(canvas.objective.space.dtype).eps) * canvas.objective.space.size**0.5
        return Filled(
            values,
            data,
            {"cost": outcome.cost, "convexity": Convexity("Hessian", self.tol, slack)},
            SliceStatus.COMPLETE if settled(data).all() else SliceStatus.UNSETTLED,
        )

    def _visited(self, canvas: Canvas, cells: np.ndarray, coefficients: Tensor) -> list[dict[str, float]]:
        """Everything at the points of one chain, in order; ``cells`` number them on the grid."""
        values = canvas.values(coefficients)
        thetas = [canvas.subspace.points(c[None]) for c in coefficients]
        rng, found = canvas.rng("curvature"), list[Extremes]()
        there = torch.isfinite(values["loss"]).tolist()  # autograd has finite derivatives even of a NaN
        for i, cell in enumerate(cells.tolist()):
            if not there[i]:
                found.append(_nothing(canvas.objective.space.size))
                continue
            start = found[-1].vectors if self.warm and found and len(found[-1].vectors) else None
            found.append(self._ends(canvas, thetas[i], rng(cell), start, self.probes))
            if start is None or not _appeared(start, found[i].vectors):
                continue
            # a vector that the neighbour did not have: had it only been missed there?
            for j in itertools.takewhile(there.__getitem__, reversed(range(i))):
                again = torch.cat([found[j].vectors, found[j + 1].vectors])
                other = self._ends(canvas, thetas[j], rng(cells[j], "again", i), again, 0)
                better = _beyond(other, found[j])
                found[j] = replace(other if better else found[j], products=found[j].products + other.products)
                if not better:
                    break
        rows = []
        for i, (theta, ends) in enumerate(zip(thetas, found, strict=True)):
            gradient = _gradient(canvas, theta) if there[i] else (float("nan"),) * 2
            rows.append(
                {name: float(values[name][i]) for name in canvas.names}
                | {name: float(getattr(ends, name)) for name in EXTREMES}
                | dict(zip(GRADIENT, gradient, strict=True))
            )
        return rows

    def _ends(self, canvas: Canvas, theta: Tensor, rng: Stream, start: Tensor | None, probes: int) -> Extremes:
        """Both ends of the spectrum at one point [1, P]."""
        objective = canvas.objective
        with objective.linearized(theta) as linear:
            return extremes(
                lambda vectors: linear.hvp(vectors.to(theta)[None])[0],
                objective.space.size,
                rng,
                start=start,
                tol=self.tol,
                basis=self.basis,
                limit=self.limit,
                probes=probes,
            )


def _nothing(size: int) -> Extremes:
    """Of a point where F is not finite: no eigenvalue, and nothing to start a neighbour from."""
    nan = float("nan")
    return Extremes(nan, nan, nan, nan, torch.zeros(0, size, dtype=torch.float64), 0, False)


def _appeared(start: Tensor, found: Tensor) -> bool:
    """Whether an extreme Ritz vector is mostly outside what was started from."""
    ends = found[[0, -1]] if len(found) else found  # ascending: the smallest is the first
    return bool(((ends @ start.T).square().sum(1) < OUTSIDE).any())


def _beyond(one: Extremes, other: Extremes) -> bool:
    """Whether the first reaches further than the second by more than its residuals: it has another eigenvalue."""
    return (
        one.largest > other.largest + other.largest_residual or one.smallest < other.smallest - other.smallest_residual
    )


def _gradient(canvas: Canvas, theta: Tensor) -> tuple[float, float]:
    """The gradient's norm at theta [1, P], and the share of it in the slice: the cosine of its angle to it."""
    _, gradient = canvas.objective.value_and_grad(theta)
    norm = float(gradient.double().norm())
    if not np.isfinite(norm) or norm == 0:
        return norm, float("nan")
    directions = canvas.subspace.directions
    c = directions.project(gradient / norm)
    inside = float((c @ directions.gram() @ c.T).clamp_min(0).sqrt())
    return norm, min(inside, 1.0)


def _chains(shape: tuple[int, ...]) -> tuple[list[np.ndarray], int]:
    """The grid's cells, numbered in order, as chains along its rows of at most CHAIN; and the longest one's length."""
    rows = np.arange(int(np.prod(shape))).reshape(-1, shape[-1])
    parts = -(-shape[-1] // CHAIN)
    chains = [part for row in rows for part in np.array_split(row, parts)]
    return chains, max(len(chain) for chain in chains)
