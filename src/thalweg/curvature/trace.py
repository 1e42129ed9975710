"""Trace and Frobenius norm from products with random vectors, with standard errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.curvature import probes
from thalweg.curvature.located import located
from thalweg.curvature.operator import Kind, Operator
from thalweg.errors import InputError
from thalweg.records import Estimate, EstimateStatus

How = Literal["auto", "hutchinson", "hutch++", "xtrace", "dense"]


@dataclass(frozen=True)
class Trace:
    """The trace and the Frobenius norm of a curvature matrix, from ``products`` products.

    ``method``: "hutchinson" (Hutchinson 1989; unit vectors on the sphere), "hutch++" (Meyer et al. 2021), "xtrace"
    (Epperly, Tropp & Webber 2024, with their scaling of what is left), or "dense". "auto" takes xtrace where the
    matrix is positive semidefinite and its spectrum is caught by few vectors, hutchinson where it is not: on a
    matrix whose trace nearly cancels a low-rank part does not help; and the dense matrix where that costs no more.

    Raises
    ------
    InputError
        If products < 6 or an option is unknown.
    """

    products: int = 100
    operator: Kind = "hessian"
    method: How = "auto"

    def __post_init__(self) -> None:
        if self.products < 6:
            raise InputError(f"products={self.products}: an estimate with an error bar takes at least 6")
        if self.method not in ("auto", "hutchinson", "hutch++", "xtrace", "dense"):
            raise InputError(f"method={self.method!r}: choose 'auto', 'hutchinson', 'hutch++', 'xtrace' or 'dense'")

    def __call__(
        self,
        objective: Objective,
        theta: Point | Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> Estimate:
        """Estimate the trace; the standard error of a dense one is 0."""
        here = located(objective, theta, "trace", rng, budget)
        with Operator(here.objective, here.point, self.operator) as matrix:
            method = self._chosen(matrix)
            samples, square = _METHODS[method](matrix, self.products, here.rng)
        value, error = float(samples.mean()), probes.mean_error(samples)
        if method == "dense":
            error = 0.0
        low, high = probes.interval(value, error, len(samples) - 1)
        known = np.isfinite(value)
        return Estimate(
            data={"samples": samples, "squares": square},
            status=(EstimateStatus.EXACT if method == "dense" else EstimateStatus.ESTIMATED)
            if known
            else EstimateStatus.NONFINITE,
            **here.told(self),
            what="trace",
            operator=matrix.name,
            method=method,
            size=matrix.size,
            value=value,
            error=error,
            low=low,
            high=high,
            level=probes.LEVEL,
            frobenius=float(np.sqrt(square.mean())),
            frobenius_error=0.0
            if method == "dense"
            else float(probes.mean_error(square) / (2 * np.sqrt(square.mean()))),
        )

    def _chosen(self, matrix: Operator) -> str:
        if self.method != "auto":
            return self.method
        if matrix.size <= self.products:
            return "dense"
        return "xtrace" if matrix.definite else "hutchinson"


def _dense(matrix: Operator, products: int, rng: Stream) -> tuple[np.ndarray, np.ndarray]:
    found = matrix.dense()
    return np.array([float(found.trace())]), np.array([float(found.square().sum())])


def _hutchinson(matrix: Operator, products: int, rng: Stream) -> tuple[np.ndarray, np.ndarray]:
    """For every probe v, n·vᵀAv and n·‖Av‖²."""
    n, vectors = matrix.size, probes.sphere(matrix.size, products, rng)
    applied = torch.cat([matrix(v) for v in vectors.split(16)])
    return n * (vectors * applied).sum(1).numpy(), n * applied.square().sum(1).numpy()


def _hutchpp(matrix: Operator, products: int, rng: Stream) -> tuple[np.ndarray, np.ndarray]:
    """The trace on the range of a sketch and Hutchinson's on what is orthogonal to it, a third of the products each."""
    third, n = products // 3, matrix.size
    applied = torch.cat([matrix(v) for v in probes.sphere(n, third, rng("sketch")).split(16)])
    q = torch.linalg.qr(applied.T).Q.T  # [third, n], orthonormal rows
    caught = float((q * matrix(q)).sum())
    vectors = probes.sphere(n, products - 2 * third, rng("rest"))
    rest = vectors - (vectors @ q.T) @ q
    images = torch.cat([matrix(v) for v in rest.split(16)])
    left = n * (rest * images).sum(1).numpy()
    return caught + left, n * applied.square().sum(1).numpy()


def _xtrace(matrix: Operator, products: int, rng: Stream) -> tuple[np.ndarray, np.ndarray]:
    """Every test vector is left out in turn: the others make the sketch, and it estimates what they miss."""
    count, n = products // 2, matrix.size
    omega = probes.sphere(n, count, rng) * n**0.5
    images = torch.cat([matrix(v) for v in omega.split(16)])
    q, r = torch.linalg.qr(images.T)
    applied = torch.cat([matrix(v) for v in q.T.split(16)]).T
    h = q.T @ applied
    size = r.diagonal().abs()
    if bool(size.min() <= 1e-10 * size.max()):  # fewer dimensions than images: almost surely A's whole range
        return np.full(count, float(h.trace())), images.square().sum(1).numpy()
    s = torch.nn.functional.normalize(torch.linalg.solve_triangular(r.T, torch.eye(count).double(), upper=False), dim=0)
    inner = q.T @ omega.T
    inner = inner - s * (s * inner).sum(0)  # coordinates of each test vector in the sketch of the others
    left, image = omega.T - q @ inner, images.T - applied @ inner
    scale = (n - count + 1) / left.square().sum(0)
    caught = h.trace() - (s * (h @ s)).sum(0)
    samples = caught + scale * (left * image).sum(0)
    return samples.numpy(), images.square().sum(1).numpy()


_METHODS: dict[str, Callable[[Operator, int, Stream], tuple[np.ndarray, np.ndarray]]] = {
    "dense": _dense,
    "hutchinson": _hutchinson,
    "hutch++": _hutchpp,
    "xtrace": _xtrace,
}
