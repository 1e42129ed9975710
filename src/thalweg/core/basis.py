"""Orthonormal vectors that fill most of a large machine's memory: kept once, mixed in place, summed in float64."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

COLUMNS = 2**13
"""Columns that are mixed or converted at once: what is made beside the basis is this wide and no wider."""


@final
class Basis:
    """``rows`` [count, size] of float64 or float32 numbers; every inner product and every sum of rows is float64.

    In float32 a basis takes half of the memory and its vectors are orthonormal to some 1e-7 only, so that what a
    method concludes from it has to be checked by a fresh product, as residuals are.
    """

    def __init__(self, count: int, size: int, dtype: torch.dtype = torch.float64) -> None:
        self.rows = torch.zeros(count, size, dtype=dtype)

    def orthogonal(self, w: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """W [size], float64, less its part along the first ``count`` rows; and that part's coefficients [count]."""
        column, left = torch.zeros(count, dtype=torch.float64), w
        for sweep in range(2):  # twice is enough (Parlett 1998, §6.9)
            h = torch.zeros(count, dtype=torch.float64)
            for low in self._cuts:
                h += self._part(low, count) @ left[low : low + COLUMNS]
            if not sweep:
                left = torch.empty_like(w)  # what came in may be the caller's own, or one of the rows
            source = left if sweep else w
            for low in self._cuts:
                span = slice(low, low + COLUMNS)
                torch.addmv(source[span], self._part(low, count).T, h, alpha=-1, out=left[span])
            column += h
        return left, column

    def mix(self, mix: Tensor) -> None:
        """The first k rows become mix.T @ the first n, where mix [n, k] is float64 and k <= n; in place."""
        n, k = mix.shape
        for low in self._cuts:
            self.rows[:k, low : low + COLUMNS] = mix.T @ self._part(low, n)

    def mixed(self, mix: Tensor) -> Tensor:
        """mix.T @ the first n rows, for mix [n, k]; float64 [k, size]."""
        n, k = mix.shape
        found = torch.empty(k, self.rows.shape[1], dtype=torch.float64)
        for low in self._cuts:
            found[:, low : low + COLUMNS] = mix.T @ self._part(low, n)
        return found

    @property
    def _cuts(self) -> range:
        return range(0, self.rows.shape[1], COLUMNS)

    def _part(self, low: int, count: int) -> Tensor:
        """Some columns of the first rows, float64 [count, COLUMNS]."""
        return self.rows[:count, low : low + COLUMNS].double()
