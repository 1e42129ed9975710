"""Saddles for second-order rules: quadratic ones with known eigenvalues, and a function with a known constant."""

from __future__ import annotations

import torch

import thalweg as tw


def quadratic(values: torch.Tensor, seed: int | None = None) -> tuple[tw.Function, torch.Tensor]:
    """xᵀHx/2 with these eigenvalues, in coordinates or turned at random; and its eigenvectors as rows."""
    size = len(values)
    frame = torch.eye(size, dtype=torch.float64)
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        frame = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
    hessian = frame.T @ torch.diag(values.double()) @ frame
    return tw.Function(lambda x: x @ hessian @ x / 2, size), frame


def waves(size: int) -> tw.Function:
    """Σ cos x_i: the Hessian is diagonal with entries −cos x_i, whose Lipschitz constant is 1."""
    return tw.Function(lambda x: x.cos().sum(), size)


def starts(count: int, size: int, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(count, size, generator=generator, dtype=torch.float64)
