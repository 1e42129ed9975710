"""Gradient starvation in closed form: features that compete for the same rows, and features that a penalty couples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import optimize
from scipy.integrate import solve_ivp
from scipy.special import expit
from torch import Tensor, nn

from thalweg.core.function import Function
from thalweg.core.risk import EmpiricalRisk
from thalweg.errors import InputError
from thalweg.zoo.networks import mlp

DECAY, ON_OUTPUTS = 0.01, 1e-3
"""The penalties λ/2·‖θ‖² and κ·Σŷ² of Pezeshki et al. 2021, Figure 6, as the authors' code has them."""


def two_features(
    share: float, rare: float = 0.2, start: float = 0.01, rows: int = 100, together: bool = False
) -> EmpiricalRisk:
    """Two classes y = ±1 of ``rows`` inputs y·(m_1, m_2) each: feature 2 in a share ``rare``, feature 1 in ``share``.

    Feature 1 is in that share of the rows with feature 2 and of those without. Rectified units, a pair for each feature
    which they see alone or, ``together``, a pair for each sign that see both; logistic loss, float64. ``start`` is the
    strength that a feature has at the initial point.

    Raises
    ------
    InputError
        If a share is no multiple of what the rows can hold, does not lie in [0, 1], or start is not positive.
    """
    counts = [rare * rows, share * rare * rows, share * (1 - rare) * rows]
    if not (0 <= share <= 1 and 0 < rare <= 1) or any(abs(c - round(c)) > 1e-9 for c in counts):
        raise InputError(
            f"share={share}, rare={rare}: shares up to 1 that are whole numbers of {rows} rows with and without "
            "feature 2"
        )
    if not start > 0:
        raise InputError(f"start={start}: it must be positive")
    with_second = round(rare * rows)
    second = torch.arange(rows) < with_second
    place = torch.where(second, torch.arange(rows), torch.arange(rows) - with_second)
    many = torch.where(second, round(share * with_second), round(share * (rows - with_second)))
    present = torch.stack([place < many, second], 1).double()
    y = torch.cat([torch.ones(rows), -torch.ones(rows)]).double()
    signs = start**0.5 * torch.tensor([1.0, -1, 1, -1], dtype=torch.float64)
    model = mlp((2, 4, 1), biases=False, dtype=torch.float64) if together else _Apart()
    both = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]], dtype=torch.float64) * signs[:, None]
    with torch.no_grad():
        for p, values in zip(model.parameters(), (both, signs[None]) if together else (signs, signs), strict=True):
            p.copy_(values)
    return EmpiricalRisk(model, _logistic, (torch.cat([present, -present]), y))


def strengths(risk: EmpiricalRisk, thetas: Tensor) -> Tensor:
    """What each feature alone puts out, u [T, 2], at points [T, P] of :func:`two_features`."""
    probes = risk.with_data((torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)))
    return torch.stack([probes.outputs(theta)[:, 0] for theta in thetas])


def mode_equations(share: float, rare: float, start: float, t: np.ndarray) -> np.ndarray:
    """u(t) [T, 2] of du_k/dt = u_k E[m_k σ(−m_1u_1 − m_2u_2)], the strengths under gradient flow, from u_k = start.

    A feature alone follows ln u + Ei(u) = ln u_0 + Ei(u_0) + share·t: an exponential rise, then a logarithm. Written
    out here for :func:`two_features`; the phenomenon is that of Tachet des Combes et al. 2018.
    """
    pattern = np.array([[1, 1], [0, 1], [1, 0]])
    weight = np.array([share * rare, (1 - share) * rare, share * (1 - rare)])

    def speed(_: float, u: np.ndarray) -> np.ndarray:
        found: np.ndarray = u * (pattern.T @ (weight * expit(-pattern @ u)))
        return found

    return solve_ivp(speed, (0.0, t[-1]), [start] * 2, "DOP853", t, rtol=1e-10, atol=1e-12).y.T


def coupled_pair(
    first: Sequence[float], second: float = 2.0, mixing: float = 0.5, on_outputs: bool = False
) -> Function:
    """Logistic loss of two examples with features U diag(s_1, s_2) V^T, for every s_1 in ``first`` at once.

    Of θ [2S], z = sθ the responses and Uz the outputs; U turns by ``mixing``, which couples them. With the penalty of
    weights, or ``on_outputs`` the one that undoes the coupling (Pezeshki et al. 2021, §3). The problems of different
    s_1 do not meet.
    """
    turn, sizes = torch.from_numpy(_turn(mixing)), torch.tensor([[s, second] for s in first], dtype=torch.float64)

    def risk(theta: Tensor) -> Tensor:
        outputs = (sizes * theta.view_as(sizes)) @ turn.T
        penalty = ON_OUTPUTS * outputs.square().sum() if on_outputs else DECAY / 2 * theta.square().sum()
        return nn.functional.softplus(-outputs).sum() + penalty

    return Function(risk, sizes.numel())


def coupled_responses(
    first: Sequence[float], second: float = 2.0, mixing: float = 0.5, on_outputs: bool = False
) -> np.ndarray:
    """The responses z* [S, 2] at the minimum of :func:`coupled_pair`, by root finding.

    z* = S²U^Tα/λ with the penalty of weights, U^Tα/(2κ) with the one on outputs, α = σ(−Uz*) (Pezeshki et al. 2021,
    §3).
    """
    turn, found = _turn(mixing), []
    for s in first:
        gain = np.full(2, 1 / (2 * ON_OUTPUTS)) if on_outputs else np.array([s, second]) ** 2 / DECAY

        def gap(z: np.ndarray, gain: np.ndarray = gain) -> np.ndarray:
            rest: np.ndarray = z - gain * (turn.T @ expit(-turn @ z))
            return rest

        found.append(optimize.root(gap, [5.0, 1.5], tol=1e-13).x)
    return np.stack(found)


class _Apart(nn.Module):
    """Units v·relu(w·x_k), two for each of two features."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(4, dtype=torch.float64))
        self.v = nn.Parameter(torch.ones(4, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """[n, 2] to [n, 1]."""
        return (self.v * torch.relu(self.w * x.repeat_interleave(2, 1))).sum(1, keepdim=True)


def _logistic(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.softplus(-targets * outputs[:, 0])


def _turn(mixing: float) -> np.ndarray:
    """U [2, 2]."""
    other = (1 - mixing**2) ** 0.5
    return np.array([[other, -mixing], [mixing, other]])
