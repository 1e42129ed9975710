"""What a critical point is measured by: F, gradient and Hessian in the directions in which one may move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core import krylov
from thalweg.core.objective import Objective
from thalweg.curvature import Operator


@dataclass(frozen=True)
class Local:
    """F at a point, its gradient and products with its Hessian, float64.

    On a product of unit spheres both are Riemannian (Absil, Mahony & Sepulchre 2008, §5.3), and ``size`` is the
    dimension of the tangent space; ``normals`` [k, P] are the directions that are left out.
    """

    objective: Objective
    theta: Tensor
    value: float
    gradient: Tensor
    matvec: krylov.Matvec
    size: int
    normals: Tensor | None = None

    def dense(self) -> Tensor:
        """The Hessian, float64 [size, size]; on a manifold in an orthonormal basis of the tangent space."""
        full = krylov.dense(self.matvec, len(self.theta))
        if self.normals is None:
            return full
        basis = self.basis()
        return basis @ full @ basis.T

    def basis(self) -> Tensor:
        """Orthonormal rows that span the directions in which one may move, [size, P]."""
        if self.normals is None:
            return torch.eye(len(self.theta), dtype=torch.float64)
        return torch.linalg.qr(self.normals.T, mode="complete").Q[:, len(self.normals) :].T


@contextmanager
def local(objective: Objective, theta: Tensor) -> Iterator[Local]:
    """The local picture at theta [P] in float64; the Hessian's graph is kept inside the context."""
    with Operator(objective, theta) as matrix:
        value, gradient = matrix.objective.value_and_grad(theta[None])
        vector = theta.double().cpu()
        normals = objective.normals(vector)
        size = len(vector) - (0 if normals is None else len(normals))
        yield Local(objective, vector, float(value[0]), gradient[0].double().cpu(), matrix, size, normals)
