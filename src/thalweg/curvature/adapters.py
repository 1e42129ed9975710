"""Curvature matrices from and to curvlinops, which neither this package nor an extra of it installs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from thalweg.core.krylov import Matvec
from thalweg.curvature.operator import Operator
from thalweg.errors import InputError


def from_curvlinops(linear: Any) -> Matvec:
    """Products with a symmetric linear operator of curvlinops: vectors [k, n] -> float64 [k, n] on the CPU.

    What :func:`thalweg.core.krylov.lanczos` and :func:`thalweg.core.quadrature.gauss` take. Anything with ``shape``,
    ``dtype``, ``device`` and ``@`` on a matrix [n, k] will do.

    Raises
    ------
    InputError
        If it is not square.
    """
    shape = tuple(linear.shape)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InputError(f"the linear operator has shape {list(shape)}: a spectrum takes a square one")

    def matvec(vectors: Tensor) -> Tensor:
        columns = vectors.T.to(device=linear.device, dtype=linear.dtype)
        return (linear @ columns).T.to("cpu", torch.float64)

    return matvec


def to_curvlinops(operator: Operator) -> Any:
    """The same matrix as a linear operator of curvlinops, for its inverses, sketches and estimators.

    Its blocks are the parameter tensors in the order of the space. It is valid until ``operator`` is closed.

    Raises
    ------
    InputError
        If curvlinops is not installed.
    """
    try:
        from curvlinops._torch_base import PyTorchLinearOperator
    except ImportError:
        raise InputError("curvlinops is not installed: pip install curvlinops-for-pytorch") from None
    space = operator.objective.space
    shapes = [tuple(entry.shape) for entry in space.entries]

    class Curvature(PyTorchLinearOperator):
        """A curvature matrix as its products."""

        SELF_ADJOINT = True
        dtype, device = space.dtype, space.device

        def _matmat(self, tensors: list[Tensor]) -> list[Tensor]:
            """Each [*shape, k], the columns last, as curvlinops lays them out."""
            columns = torch.cat([x.reshape(-1, x.shape[-1]) for x in tensors])
            found = operator(columns.T).T.to(device=space.device, dtype=space.dtype)
            parts = found.split([entry.size for entry in space.entries])
            return [part.reshape(*shape, -1) for part, shape in zip(parts, shapes, strict=True)]

        def _adjoint(self) -> Any:
            return self

    return Curvature(shapes, shapes)
