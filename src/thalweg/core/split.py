"""One set of rows per point of a batch, such as a minibatch of its own for each of B networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.products import Linearization
from thalweg.errors import InputError
from thalweg.records import Fingerprint

if TYPE_CHECKING:
    from thalweg.core.risk import EmpiricalRisk


class PerPoint(Objective):
    """Point b of a batch sees the rows index[b] of a risk; all share one space. ``index`` is [B, n]."""

    def __init__(self, risk: EmpiricalRisk, index: Tensor) -> None:
        self.risk, self.index = risk, index
        self.space, self.initial, self.metrics = risk.space, risk.initial, risk.metrics
        self.row_count, self.tolerance = index.shape[1], risk.tolerance

    def _check(self, thetas: Tensor) -> None:
        if len(thetas) != len(self.index):
            raise InputError(f"{len(thetas)} points for {len(self.index)} sets of rows: give one set per point")

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """Each point over its own rows; float64 [B]."""
        self._check(thetas)
        return self.risk.paired(thetas, self.index, metrics)

    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """Each point over its own rows; float64 [B] and [B, P]."""
        self._check(thetas)
        return self.risk.paired_gradients(thetas, self.index)

    def linearized(self, thetas: Tensor) -> Linearization:
        """Refused: products are taken on a fixed batch shared by the points."""
        raise InputError("products with one set of rows per point are not offered: use rows(index [n])")

    def scalar(self, theta: Tensor) -> Tensor:
        """Refused: which rows a single point sees is not defined."""
        raise InputError("a single point has no set of rows here: use rows(index [n])")

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> PerPoint:
        """The risk moved."""
        return PerPoint(self.risk.to(dtype, device), self.index)

    def fingerprint(self) -> Fingerprint:
        """That of the first point's rows."""
        return self.risk.rows(self.index[0]).fingerprint()
