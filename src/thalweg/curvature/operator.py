"""A curvature matrix at one point, as products: Hessian, Gauss–Newton, their difference, empirical Fisher."""

from __future__ import annotations

from typing import Any, Literal, final, get_args

import numpy as np
import torch
from torch import Tensor

from thalweg.core import krylov
from thalweg.core.objective import Objective, theta_of
from thalweg.core.space import Point
from thalweg.errors import InputError

Kind = Literal["hessian", "ggn", "residual", "fisher"]

NAMES: dict[str, str] = {
    "hessian": "Hessian",
    "ggn": "Gauss–Newton matrix",
    "residual": "residual H − G",
    "fisher": "empirical Fisher matrix",
}

DEFINITE = ("ggn", "fisher")
"""Kinds that are positive semidefinite; the Gauss–Newton matrix is where the loss is convex in the outputs."""


@final
class Operator:
    """Products with a symmetric matrix at one point: vectors [k, n] -> float64 [k, n] on the CPU.

    Use it as a context, or call ``close``: it keeps the gradient's graph between products. "hessian" H of F;
    "ggn" G = Σ JᵀH_ℓJ / Z (Schraudolph 2002); "residual" H − G; "fisher" Σ ∇ℓ_i ∇ℓ_iᵀ / Z.

    Raises
    ------
    InputError
        If the kind is unknown, or the objective has no outputs where they are needed.
    """

    def __init__(self, objective: Objective, theta: Tensor | Point | np.ndarray, kind: Kind = "hessian") -> None:
        if kind not in get_args(Kind):
            raise InputError(f"operator={kind!r}: choose one of {', '.join(map(repr, get_args(Kind)))}")
        point = objective.point(theta)
        self.objective, self.kind = objective.at(point), kind
        self._linear = self.objective.linearized(self.objective.space.check(theta_of(point))[None])

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the graphs."""
        self._linear.close()

    @property
    def name(self) -> str:
        """What the matrix is called."""
        return NAMES[self.kind]

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return self.objective.space.size

    @property
    def definite(self) -> bool:
        """Whether the matrix is known to be positive semidefinite."""
        return self.kind in DEFINITE

    def __call__(self, vectors: Tensor) -> Tensor:
        """Products: [k, P] -> float64 [k, P]; vectors are rounded to the dtype of the space."""
        given = vectors.to(device=self.objective.space.device, dtype=self.objective.space.dtype)[None]
        if self.kind == "residual":
            found = self._linear.hvp(given).double() - self._linear.ggn(given).double()
        else:
            take = {"hessian": self._linear.hvp, "ggn": self._linear.ggn, "fisher": self._linear.fisher}[self.kind]
            found = take(given)
        return found[0].to("cpu", torch.float64)

    def dense(self) -> Tensor:
        """The matrix, float64 [P, P], symmetrised; P products."""
        return krylov.dense(self, self.size)

    def block(self, rows: str, columns: str | None = None) -> Tensor:
        """The dense block between two layers (or of one with itself), float64 [n, m]; m products.

        Raises
        ------
        InputError
            With the layers there are, if there is no such layer.
        """
        where = {block.name: block.index for block in self.objective.space.blocks("layer")}
        columns = rows if columns is None else columns
        for name in (rows, columns):
            if name not in where:
                raise InputError(f"layer {name!r} is unknown: choose one of {', '.join(map(repr, where))}")
        index = where[columns]
        found = []
        for part in index.split(64):
            units = torch.zeros(len(part), self.size, dtype=torch.float64)
            units[torch.arange(len(part)), part] = 1.0
            found.append(self(units)[:, where[rows]])
        return torch.cat(found).T

    def to_scipy(self) -> Any:
        """A view as ``scipy.sparse.linalg.LinearOperator``, float64; valid until this one is closed."""
        from scipy.sparse.linalg import LinearOperator

        def matmat(columns: np.ndarray) -> np.ndarray:
            return self(torch.from_numpy(np.ascontiguousarray(columns.T))).T.numpy()

        def matvec(vector: np.ndarray) -> np.ndarray:
            return matmat(vector.reshape(-1, 1))[:, 0]

        return LinearOperator((self.size, self.size), matvec=matvec, rmatvec=matvec, matmat=matmat, dtype=np.float64)
