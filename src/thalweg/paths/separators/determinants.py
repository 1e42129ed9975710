"""Deep linear networks: the sign of a determinant, and the best map of lower rank where it vanishes.

Where the product of consecutive layers is square, n × n, its determinant changes sign only through rank n − 1. Then the
whole map has rank n − 1 at most, and F is at least what reduced-rank regression leaves: the residual of least squares
and the squares of the singular values of its fit from the n-th on (Eckart & Young 1936; Izenman 1975).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.core.exact import structure
from thalweg.core.exact.form import NotExactError
from thalweg.core.exact.hidden import squares
from thalweg.core.parts import Parts
from thalweg.core.risk import EmpiricalRisk
from thalweg.paths.construct.chain import Chain
from thalweg.paths.separators.witness import Separation

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Regression:
    """F = Σ_i ‖W x_i − y_i‖² + least, with weights and Z worked into inputs [n, d], targets [n, K] and ones [n]."""

    inputs: Tensor
    targets: Tensor
    ones: Tensor
    least: float

    @property
    def fitted(self) -> Tensor:
        """The targets' least-squares fit."""
        u, s, _ = torch.linalg.svd(self.inputs, full_matrices=False)
        u = u[:, s > max(self.inputs.shape) * EPS * float(s[0])]
        return u @ (u.T @ self.targets)

    def smallest(self, rank: int) -> tuple[float, float]:
        """The least F of maps of at most this rank, and its rounding."""
        fit = self.fitted
        left = torch.linalg.svdvals(fit)[rank:]
        size = float(self.targets.square().sum())
        value = float((self.targets - fit).square().sum() + left.square().sum()) + self.least
        return value, 64 * sum(self.targets.shape) * EPS * (size + abs(self.least))

    def best(self, rank: int) -> Tensor:
        """The map [K, d] of at most this rank that attains it."""
        u, s, vh = torch.linalg.svd(self.fitted, full_matrices=False)
        wanted = (u[:, :rank] * s[:rank]) @ vh[:rank]
        return torch.linalg.lstsq(self.inputs, wanted, driver="gelsd").solution.T


def regression(parts: Parts, inputs: Tensor, biased: bool) -> Regression | None:
    """The problem behind a squared error; None for other losses, and where a regulariser is added.

    With ``biased`` a constant is free, which is projected out of inputs and targets.
    """
    like = parts.template
    table = parts.blocks.table
    if parts.regulariser is not None or parts.split or not isinstance(like, Tensor) or like.ndim != 2:
        return None
    outputs = like.new_zeros(table.count, like.shape[1])
    try:
        if structure._of_loss(parts, outputs, lambda _: 1, table) > 2:
            return None
        curvature, lowest, least = squares(parts.loss, outputs, table)
    except NotExactError:
        return None
    c, y = torch.from_numpy(curvature), torch.from_numpy(lowest)
    top = int(c.abs().argmax())
    i, j = divmod(top, c.shape[1])
    rows, columns = c[:, j], c[i] / c[i, j]
    if not bool((c >= 0).all()) or float((c - torch.outer(rows, columns)).abs().max()) > 1e-12 * float(c[i, j]):
        return None
    share = rows.sqrt()[:, None]
    x, y = share * inputs.double().flatten(1), share * y * columns.sqrt()
    if biased:
        axis = share / share.norm()
        x, y = x - axis @ (axis.T @ x), y - axis @ (axis.T @ y)
    root = parts.z**0.5
    return Regression(x / root, y / root, share[:, 0] / root, least / parts.z)


def determinants(risk: EmpiricalRisk, chain: Chain, a: Tensor, b: Tensor) -> list[Separation]:
    """A separation for every square product of consecutive layers whose determinant changes sign."""
    problem = regression(risk._parts, risk.table.inputs, chain.biased)
    if problem is None:
        return []
    found = []
    ends = chain.weights(a), chain.weights(b)
    count = len(chain.layers)
    for first in range(count):
        for last in range(first, count):
            if chain.widths[first] != chain.widths[last + 1]:
                continue
            g = tuple(signed_determinant(ws[first : last + 1]) for ws in ends)
            if g[0] * g[1] >= 0:
                continue
            rank = min(chain.widths[first] - 1, *chain.widths)
            value, slack = problem.smallest(rank)
            which = f"layer {first + 1}" if first == last else f"the product of layers {first + 1} to {last + 1}"
            said = f"the map has rank {rank} at most, which leaves at least that in reduced-rank regression"
            found.append(Separation(f"the determinant of {which}", (g[0], g[1]), value, slack, said))
    return found


def signed_determinant(weights: Sequence[Tensor]) -> float:
    """The determinant of W_last … W_first; 0 where a factor's rounding could have made its sign."""
    product = weights[0]
    size = float(torch.linalg.matrix_norm(weights[0], 2))
    for w in weights[1:]:
        product = w @ product
        size *= float(torch.linalg.matrix_norm(w, 2))
    values = torch.linalg.svdvals(product)
    safe = float(values[-1]) > 64 * sum(max(w.shape) for w in weights) * EPS * size
    return float(torch.linalg.det(product)) if safe else 0.0
