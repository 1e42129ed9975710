"""The polynomial through all of its knots, at equal distances of t (Lagrange's interpolation)."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from torch import Tensor

from thalweg.paths.curve import Curve, Polyline

NODES = 64
"""Gauss–Legendre nodes for the length."""


@final
class Through(Curve):
    """Knot k of K lies at t = k/(K − 1); unlike a Bézier curve it passes through every one."""

    kind = "through"

    def basis(self, t: Tensor) -> Tensor:
        """ℓ_k(t) = Π_{j ≠ k} (t − t_j)/(t_k − t_j); exactly 0 and 1 at a knot."""
        at, count = self._at(), len(self.knots)
        columns = []
        for k in range(count):
            others = [j for j in range(count) if j != k]
            columns.append(torch.stack([(t - at[j]) / (at[k] - at[j]) for j in others]).prod(0))
        return torch.stack(columns, dim=1)

    def slope(self, t: Tensor) -> Tensor:
        """Its derivative, by the product rule."""
        at, count = self._at(), len(self.knots)
        columns = []
        for k in range(count):
            others = [j for j in range(count) if j != k]
            factors = torch.stack([(t - at[j]) / (at[k] - at[j]) for j in others])
            parts = []
            for i, j in enumerate(others):
                rest = torch.cat([factors[:i], factors[i + 1 :]])
                parts.append(rest.prod(0) / (at[k] - at[j]))
            columns.append(torch.stack(parts).sum(0))
        return torch.stack(columns, dim=1)

    def length(self, weights: Tensor | None = None) -> float:
        """The integral of the speed by Gauss–Legendre quadrature."""
        nodes, shares = np.polynomial.legendre.leggauss(NODES)
        velocity = self.velocity((nodes + 1) / 2).double()
        scale = torch.ones(velocity.shape[1], dtype=torch.float64) if weights is None else weights.double().sqrt()
        return float((velocity * scale).norm(dim=1) @ torch.from_numpy(shares / 2))

    def tensors(self) -> dict[str, Tensor]:
        """The knots."""
        return {"knots": self.knots.contiguous().cpu()}

    def resampled(self, count: int) -> Polyline:
        """Equal distances along a fine polyline of this curve."""
        return Polyline(self.theta(torch.linspace(0, 1, 2049, dtype=torch.float64))).resampled(count)

    def _at(self) -> Tensor:
        return torch.arange(len(self.knots), dtype=torch.float64) / (len(self.knots) - 1)
