"""What a critical point is measured by: F, gradient and Hessian in the directions in which one may move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core import krylov
from thalweg.core.function import Function
from thalweg.core.metered import Metered
from thalweg.core.objective import Objective
from thalweg.curvature import Operator


@dataclass(frozen=True)
class Local:
    """F at a point, its gradient and products with its Hessian, float64.

    On the unit sphere both are Riemannian: the gradient's tangential part, and P(H − (θ·∇F) I)P with P the projection
    onto the tangent space (Absil, Mahony & Sepulchre 2008, §5.3), whose dimension ``size`` is one less; ``normal`` is
    the direction that is left out.
    """

    objective: Objective
    theta: Tensor
    value: float
    gradient: Tensor
    matvec: krylov.Matvec
    size: int
    normal: Tensor | None = None

    def dense(self) -> Tensor:
        """The Hessian, float64 [size, size]; on a sphere in an orthonormal basis of the tangent space."""
        full = krylov.dense(self.matvec, len(self.theta))
        if self.normal is None:
            return full
        basis = self.basis()
        return basis @ full @ basis.T

    def basis(self) -> Tensor:
        """Orthonormal rows that span the directions in which one may move, [size, P]."""
        eye = torch.eye(len(self.theta), dtype=torch.float64)
        if self.normal is None:
            return eye
        q = torch.linalg.qr(torch.cat([self.normal[:, None], eye], dim=1)).Q
        return q[:, 1:].T


@contextmanager
def local(objective: Objective, theta: Tensor) -> Iterator[Local]:
    """The local picture at theta [P] in float64; the Hessian's graph is kept inside the context."""
    with Operator(objective, theta) as matrix:
        value, gradient = matrix.objective.value_and_grad(theta[None])
        gradient = gradient[0].double().cpu()
        vector = theta.double().cpu()
        if _manifold(objective) == "sphere":
            normal = vector / vector.norm()
            radial = float(normal @ gradient)

            def riemannian(vectors: Tensor) -> Tensor:
                flat = vectors - (vectors @ normal)[:, None] * normal
                found = matrix(flat) - radial * flat
                return found - (found @ normal)[:, None] * normal

            tangent = gradient - radial * normal
            yield Local(objective, vector, float(value[0]), tangent, riemannian, len(vector) - 1, normal)
        else:
            yield Local(objective, vector, float(value[0]), gradient, matrix, len(vector))


def _manifold(objective: Objective) -> str | None:
    inner = objective.objective if isinstance(objective, Metered) else objective
    return inner.manifold if isinstance(inner, Function) else None
