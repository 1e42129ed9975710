"""Convex problems over positive semidefinite matrices, factored: M = XXᵀ with X of few columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.theory.shallow.problem import Problem


@final
@dataclass(frozen=True, eq=False, repr=False)
class Factored(Problem):
    """F(X) = Σ_k (<A_k, XXᵀ> − y_k)²/(4m) + ½·decay·‖X‖² over X [d, columns], times ``scale``.

    ``operators`` [m, d, d] symmetric float64, ``measured`` [m]; ``planted`` [d, s] with y_k = <A_k, planted plantedᵀ>
    where there is no noise, else None. Over M = XXᵀ it is convex. Theta is X row after row, or, for ``units`` (the
    rows of a layer's weight [columns, d]), Xᵀ row after row.

    Raises
    ------
    InputError
        If the operators are not symmetric, or the shapes do not fit.
    """

    operators: Tensor
    measured: Tensor
    columns: int
    decay: float = 0.0
    planted: Tensor | None = None
    scale: float = 1.0
    units: bool = False

    def __post_init__(self) -> None:
        a = self.operators
        if a.ndim != 3 or a.shape[1] != a.shape[2] or self.measured.shape != a.shape[:1] or self.columns < 1:
            raise InputError(
                f"operators {list(a.shape)}, measured {list(self.measured.shape)}, columns={self.columns}: "
                "give [m, d, d], [m] and at least 1 column"
            )
        if not torch.equal(a, a.mT):
            raise InputError("an operator is not symmetric: XXᵀ sees its symmetric part alone, so give (A + Aᵀ)/2")

    @classmethod
    def planting(cls, operators: Tensor, planted: Tensor, columns: int, decay: float = 0.0) -> Factored:
        """The problem whose numbers are those of planted plantedᵀ, without noise."""
        measured = torch.einsum("kij,ir,jr->k", operators, planted, planted)
        return cls(operators, measured, columns, decay, planted)

    @property
    def vectors(self) -> Tensor | None:
        """The a_k [m, d] of operators a_k a_kᵀ, up to sign; None where one is not such."""
        values, axes = torch.linalg.eigh(self.operators)
        if bool((values[:, :-1].abs() > 1e-10 * values[:, -1:].abs()).any()) or bool((values[:, -1] < 0).any()):
            return None
        return axes[:, :, -1] * values[:, -1:].sqrt()

    @property
    def dimension(self) -> int:
        """The rows of X, d."""
        return self.operators.shape[1]

    @property
    def size(self) -> int:
        """The entries of X."""
        return self.dimension * self.columns

    def __call__(self, theta: Tensor) -> Tensor:
        """F at X."""
        x = self.matrix(theta)
        images = torch.einsum("kij,jr->kir", self.operators.to(theta), x)
        misfit = (images * x).sum((1, 2)) - self.measured.to(theta)
        return self.scale * (misfit.square().mean() / 4 + self.decay * x.square().sum() / 2)

    def matrix(self, theta: Tensor) -> Tensor:
        """X [d, columns]."""
        if self.units:
            return theta.reshape(self.columns, self.dimension).T
        return theta.reshape(self.dimension, self.columns)

    def slope(self, x: Tensor) -> Tensor:
        """S = dF/dM at M = XXᵀ, symmetric [d, d]: ∇F(X) = 2SX, and S ⪰ 0 certifies a global minimum where it is 0."""
        misfit = torch.einsum("kij,ir,jr->k", self.operators, x, x) - self.measured
        eye = torch.eye(self.dimension, dtype=x.dtype)
        back = torch.einsum("k,kij->ij", misfit, self.operators) / (2 * len(misfit))
        return self.scale * (back + self.decay * eye / 2)

    def isometry(self) -> float:
        """The restricted isometry constant δ over every symmetric matrix, for the best multiple of the operators.

        It bounds that over matrices of any rank from above, and is it where the rank may be d: (λ_max − λ_min)/(λ_max +
        λ_min) of the Gram matrix of M ↦ <A_k, M> on an orthonormal basis of the symmetric matrices.
        """
        rows, columns = torch.triu_indices(self.dimension, self.dimension)
        weights = 1 + (2.0**0.5 - 1) * (rows != columns).to(self.operators)
        flat = self.operators[:, rows, columns] * weights
        values = torch.linalg.eigvalsh(flat.T @ flat)
        low, high = max(float(values[0]), 0.0), float(values[-1])
        return (high - low) / (high + low)
