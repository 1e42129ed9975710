"""How many eigenvalues are negative, zero and positive: two shifted factorisations, with their rounding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import ldl
from torch import Tensor

from thalweg.errors import InputError


@dataclass(frozen=True)
class Inertia:
    """Eigenvalues below −threshold, within ±threshold, and above it.

    The counts are those of a matrix within ``rounding`` (Frobenius norm, measured) of the one given: an eigenvalue
    that close to ±threshold may be counted on its other side. ``certain`` says that none is that close.
    """

    negative: int
    zero: int
    positive: int
    threshold: float
    rounding: float
    certain: bool


def inertia(matrix: Tensor, threshold: float | None = None, values: Tensor | None = None) -> Inertia:
    """The inertia of a symmetric float64 matrix [n, n] by LDLᵀ at ±threshold (Sylvester's law; Bunch & Kaufman 1977).

    Without a shift, exact zero modes are counted by the sign of their rounding. ``threshold`` is by default
    10 n ε ‖A‖_F, above what rounding makes of a zero eigenvalue. ``values`` are the eigenvalues where they are known.

    Raises
    ------
    InputError
        If the matrix is not finite, or the threshold not positive.
    """
    a = matrix.double().numpy()
    if not np.isfinite(a).all():
        raise InputError("the matrix holds values that are not finite: its inertia is not defined")
    size = len(a)
    if threshold is not None and not 0 < threshold < float("inf"):
        raise InputError(f"threshold={threshold}: it must be positive and finite, or None")
    tau = rounding_of(matrix) if threshold is None else threshold
    below, first = _negative(a, tau)
    upto, second = _negative(a, -tau)
    rounding = max(first, second)
    near = torch.linalg.eigvalsh(matrix.double()) if values is None else values
    # Computed eigenvalues are off by about nε‖A‖ themselves; none may lie within that and the factors' own error.
    margin = rounding + rounding_of(matrix) / 5
    certain = bool(((near.abs() - tau).abs() > margin).all())
    return Inertia(below, upto - below, size - upto, tau, rounding, certain)


def rounding_of(matrix: Tensor) -> float:
    """What rounding may make of a zero eigenvalue: 10 n ε ‖A‖_F, and never 0."""
    return max(10 * len(matrix) * np.finfo(float).eps * float(matrix.double().norm()), np.finfo(float).tiny)


def _negative(a: np.ndarray, shift: float) -> tuple[int, float]:
    """The number of negative eigenvalues of the factors of A + shift·I, and how far their product is from it."""
    shifted = a + shift * np.eye(len(a))
    lower, diagonal, _ = ldl(shifted, hermitian=True)
    error = float(np.linalg.norm(lower @ diagonal @ lower.T - shifted))
    d, off = np.diag(diagonal), np.diag(diagonal, -1)
    count, i = 0, 0
    while i < len(d):
        if i < len(off) and off[i] != 0:  # a 2×2 pivot: by Bunch and Kaufman's choice it has one negative eigenvalue
            count += int((np.linalg.eigvalsh(diagonal[i : i + 2, i : i + 2]) < 0).sum())
            i += 2
        else:
            count += int(d[i] < 0)
            i += 1
    return count, error
