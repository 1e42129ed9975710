"""Deep linear networks as objectives and points: what examples and controls are made of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.errors import InputError


def half_sum(outputs: Tensor, targets: Tensor) -> Tensor:
    """½ ‖z − y‖² of every row, [n]; summed over rows by ``normaliser="sum"``."""
    return 0.5 * (outputs - targets).square().sum(1)


def network(widths: Sequence[int], inputs: Tensor, targets: Tensor) -> EmpiricalRisk:
    """½ Σ_i ‖W_N … W_1 x_i − y_i‖² in float64: inputs [n, d_0], targets [n, d_N], no biases.

    Raises
    ------
    InputError
        If the widths do not fit the data.
    """
    if inputs.shape[1] != widths[0] or targets.shape[1] != widths[-1] or len(inputs) != len(targets):
        raise InputError(f"widths={tuple(widths)}: data of {tuple(inputs.shape)} and {tuple(targets.shape)} do not fit")
    model = nn.Sequential(*(nn.Linear(n, m, bias=False) for n, m in itertools.pairwise(widths))).double()
    return EmpiricalRisk(model, nn.MSELoss(reduction="sum"), (inputs * 0.5**0.5, targets * 0.5**0.5))


def whitened(widths: Sequence[int], target: Tensor) -> EmpiricalRisk:
    """½ ‖W_N … W_1 − Φ‖_F² (Arora et al. 2019, eq. 1 on whitened data): the rows are the unit vectors."""
    return network(widths, torch.eye(widths[0], dtype=torch.float64), target.T.double())


def point(objective: EmpiricalRisk, weights: Sequence[Tensor]) -> Tensor:
    """Theta [P] of these weights W_1 … W_N, each [out, in]."""
    return torch.cat([w.reshape(-1) for w in weights]).to(objective.space.dtype)


def product(weights: Sequence[Tensor]) -> Tensor:
    """W_N … W_1."""
    found = weights[0]
    for w in weights[1:]:
        found = w @ found
    return found


def balanced(target: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """W_1 … W_N with product ``target`` [d_N, d_0] and W_{j+1}ᵀW_{j+1} = W_jW_jᵀ (Arora et al. 2019, Procedure 1).

    Raises
    ------
    InputError
        If a hidden layer is narrower than the rank of the target.
    """
    u, s, vh = torch.linalg.svd(target.double(), full_matrices=False)
    rank = int((s > 1e-12 * s[0]).sum()) if float(s[0]) > 0 else 0
    if min(widths) < rank:
        raise InputError(f"widths={tuple(widths)}: the target has rank {rank}, more than the narrowest layer")
    k, count = min(len(s), *widths), len(widths) - 1
    root = s[:k] ** (1.0 / count)
    found = []
    for j, (n, m) in enumerate(itertools.pairwise(widths)):
        w = torch.zeros(m, n, dtype=torch.float64)
        if count == 1:
            w = (u[:, :k] * s[:k]) @ vh[:k]
        elif j == 0:
            w[:k] = root[:, None] * vh[:k]
        elif j == count - 1:
            w[:, :k] = u[:, :k] * root
        else:
            w[:k, :k] = torch.diag(root)
        found.append(w)
    return found
