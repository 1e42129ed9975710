"""The matrix problem behind a deep linear network's squared error: α‖W_N … W_1 − Φ‖² on whitened data."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.theory.subject import Subject

WHITE = 1e-8
"""Data count as whitened up to this Frobenius norm."""


@dataclass(frozen=True)
class Problem:
    """F = ½·scale·‖W − Φ‖_F² + least where data are whitened.

    ``target`` is Φ [d_N, d_0], float64; ``unwhitened`` is ‖XᵀX/α − I‖_F with α the mean of the diagonal of XᵀX.
    """

    target: Tensor
    scale: float
    unwhitened: float


def target_of(subject: Subject) -> Problem | None:
    """The problem at hand; None where F is no squared error of a deep linear network."""
    if not subject.deep_linear or subject.squares is None:
        return None
    x, y = subject.squares.inputs, subject.squares.targets
    gram = x.T @ x
    alpha = float(gram.diagonal().mean())
    if not alpha > 0:
        return None
    away = float((gram / alpha - torch.eye(len(gram), dtype=gram.dtype)).norm())
    return Problem(torch.linalg.lstsq(x, y, driver="gelsd").solution.T, 2 * alpha, away)
