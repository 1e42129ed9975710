"""F, its gradients and its products over all rows, at many points or at points of a subspace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from thalweg.core.backends.base import Backend
from thalweg.core.backends.loop import Loop
from thalweg.core.empirical.base import Held
from thalweg.core.products import GRAPH_BYTES, Linearization, Term, graph_bytes
from thalweg.core.rows import BLOCK_ROWS, RowBlocks
from thalweg.core.sharing import Shared
from thalweg.core.statistics import Freeze
from thalweg.core.subspace import Located
from thalweg.errors import InputError, ThalwegError

T = TypeVar("T")

REGULARISED = 64
"""Points formed at once where a regulariser has to see them."""

MERGED_ROWS = 4 * BLOCK_ROWS
"""Most rows of a block through which products are taken."""

PROBE_ROWS = 16
"""Rows by which, and by twice as many, the bytes of a row's graph are estimated."""


class Values(Held):
    """Evaluation of F = Σ_i ℓ_i(theta) / Z + R(theta)."""

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """F at thetas [B, P] as ``loss``, and every metric's mean over rows: float64 [B]."""
        thetas = self.space.check(thetas).detach()
        chosen = self._roads.of("values", len(thetas))
        with self._parts.asked("totals", chosen, points=thetas, metrics=metrics):
            totals = chosen.backend.totals(self._parts.work(metrics), thetas)
        return self._values(totals, [thetas], metrics)

    def along(self, points: Located) -> dict[str, Tensor]:
        """F and every metric at points of a subspace, which need not be formed: float64 [B]."""
        chosen = self._roads.on(points.subspace)
        with self._parts.asked("totals", chosen, points=points, metrics=True):
            totals = chosen.backend.totals(self._parts.work(metrics=True), points)
        return self._values(totals, (chunk.thetas() for chunk in points.split(REGULARISED)), metrics=True)

    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """F float64 [B] and its gradient [B, P], accumulated in float64 over row blocks."""
        self._derivatives("gradients")
        thetas = self.space.check(thetas).detach()
        chosen = self._roads.of("gradients", len(thetas))
        with self._parts.asked("gradients", chosen, points=thetas):
            sums, gradients = chosen.backend.gradients(self._parts.work(metrics=False), thetas)
        return self._regularised(thetas, sums / self.z, gradients / self.z)

    def paired(self, thetas: Tensor, index: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """As :meth:`evaluate` where point b sees the rows index[b]; index is [B, n]."""
        thetas = self.space.check(thetas).detach()
        work = self._parts.paired(index, metrics)
        totals = self._own_rows("values", len(thetas), lambda backend: backend.totals(work, thetas))
        z, n = self._parts.weigh(index).to(totals.device), totals.new_full((len(index),), float(index.shape[1]))
        totals = totals / torch.stack([z, *[n] * (totals.shape[1] - 1)], dim=1)
        loss = self._regularised(thetas, totals[:, 0], torch.zeros_like(thetas))[0]
        return {"loss": loss} | dict(zip(self.metrics if metrics else (), totals[:, 1:].T, strict=True))

    def paired_gradients(self, thetas: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`value_and_grad` where point b sees the rows index[b]; index is [B, n]."""
        self._derivatives("gradients")
        thetas = self.space.check(thetas).detach()
        work = self._parts.paired(index, metrics=False)
        sums, gradients = self._own_rows("gradients", len(thetas), lambda backend: backend.gradients(work, thetas))
        z = self._parts.weigh(index).to(sums.device)
        return self._regularised(thetas, sums / z, gradients / z.unsqueeze(1))

    def _own_rows(self, kind: str, points: int, run: Callable[[Backend], T]) -> T:
        """By the backend for that many points; by the loop where it cannot have rows of each point's own."""
        try:
            return run(self._roads.of(kind, points).backend)
        except ThalwegError:
            raise
        except Exception:  # it was tried on shared rows; what a forward fills in place may not be batched by row too
            return run(Loop())

    def linearized(self, thetas: Tensor) -> Linearization:
        """Products with the Hessian and the Gauss–Newton matrix at thetas [B, P]."""
        self._derivatives("Hessian products")
        shared = None if self._parts.regulariser is None else Term(self._parts.regularised)
        thetas = self.space.check(thetas)
        terms = [self._parts.term(block) for block in self._product_blocks(thetas)]
        if self._parts.split:
            return Shared(self._parts, terms, thetas, shared=shared)
        kept = 0 if self.table.streamed else GRAPH_BYTES  # a graph holds its rows
        return Linearization(terms, thetas, shared=shared, graph_bytes=kept)

    def scalar(self, theta: Tensor) -> Tensor:
        """F at theta [P] as a differentiable scalar."""
        self._derivatives("derivatives")
        if self._parts.split:
            raise InputError("F as one differentiable scalar needs all rows here: use value_and_grad or linearized")
        total = self._parts.regularised(theta)
        for block in self._parts.blocks:
            total = total + self._parts.term(block).value(theta)
        return total

    def _product_blocks(self, thetas: Tensor) -> RowBlocks:
        """The row blocks, or longer ones where their graphs are small: fewer passes over the parameters.

        A few rows tell how many bytes a row's graph has. Blocks that were asked for, and blocks that are normalised
        each by itself, stay as they are.
        """
        parts, blocks = self._parts, self._parts.blocks.here
        apart = parts.network.normalised and not isinstance(parts.policy, Freeze)
        if parts.split or len(blocks) == 1 or blocks.most != BLOCK_ROWS or apart or not len(thetas):
            return blocks
        few, more = (
            graph_bytes(parts.term(blocks.table.at(slice(0, n))), thetas[0]) for n in (PROBE_ROWS, 2 * PROBE_ROWS)
        )
        fits = (more - few) / PROBE_ROWS * MERGED_ROWS <= GRAPH_BYTES / 4
        return replace(blocks, most=MERGED_ROWS) if fits else blocks

    def _values(self, totals: Tensor, thetas: Iterable[Tensor], metrics: bool) -> dict[str, Tensor]:
        loss = totals[:, 0] / self.z
        if self._parts.regulariser is not None:
            with torch.no_grad():
                loss = loss + torch.stack([self._parts.regularised(t) for chunk in thetas for t in chunk]).double()
        names = self.metrics if metrics else ()
        return {"loss": loss} | {name: totals[:, i + 1] / self._parts.count for i, name in enumerate(names)}

    def _regularised(self, thetas: Tensor, values: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
        if self._parts.regulariser is not None:
            leaf = thetas.clone().requires_grad_()
            with torch.enable_grad():
                extra = torch.stack([self._parts.regularised(theta) for theta in leaf])
                values = values + extra.detach().double()
                if extra.requires_grad:
                    gradients = gradients + torch.autograd.grad(extra.sum(), leaf, materialize_grads=True)[0]
        return values, gradients.to(self.space.dtype)
