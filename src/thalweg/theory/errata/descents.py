"""Local minima to nearly the precision of float64, by a quasi-Newton method from given starts."""

from __future__ import annotations

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from thalweg.core.function import Function


def descents(fn: Function, starts: Tensor) -> tuple[Tensor, Tensor]:
    """L-BFGS-B from ``starts`` [B, P]: where each ends [B, P], and its largest |∂F| there [B]."""

    def both(theta: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.tensor(theta, requires_grad=True)
        value = fn.scalar(leaf)
        return float(value.detach()), torch.autograd.grad(value, leaf)[0].numpy()

    runs = [
        optimize.minimize(both, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-16})
        for start in starts.numpy()
    ]
    ends = torch.tensor(np.stack([run.x for run in runs]))
    return ends, torch.tensor([float(np.abs(run.jac).max()) for run in runs], dtype=torch.float64)
