"""How F is evaluated at many points: the loop, which is the reference, and vmap over points.

A backend other than the loop is checked against it at two points before it is used; when it differs or
refuses, the loop runs instead and the record says why.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.data import Table
from thalweg.core.quiet import unbatched_nodes
from thalweg.core.rows import RowBlocks
from thalweg.core.space import ParameterSpace
from thalweg.errors import InputError

Buffers = Mapping[str, Tensor] | None
Sums = Callable[[Mapping[str, Tensor], Buffers, Table], Tensor]
"""sums(named parameters, buffers, block) -> the block's sums of loss and metrics, float64 [q]."""

VMAP_POINTS = 16
"""Points in one vmapped call: enough to amortise dispatch, few enough to stay in cache."""


@dataclass(frozen=True)
class Work:
    """What a backend needs: the sums over a block, how parameters and buffers are had, and the rows."""

    space: ParameterSpace
    blocks: RowBlocks
    sums: Sums
    buffers: Callable[[Mapping[str, Tensor] | None], Buffers]
    shared_buffers: bool


class Backend(ABC):
    """Base: sums over all rows at each point."""

    name: ClassVar[str]

    @abstractmethod
    def totals(self, work: Work, thetas: Tensor) -> Tensor:
        """Loss and metric sums over all rows, float64 [B, q]."""

    @abstractmethod
    def gradients(self, work: Work, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """The loss sum over all rows, float64 [B], and its gradient, float64 [B, P]."""


class Loop(Backend):
    """One point at a time; always there, and the oracle of every other backend."""

    name: ClassVar[str] = "loop"

    def totals(self, work: Work, thetas: Tensor) -> Tensor:
        """Loss and metric sums, float64 [B, q]."""
        found = []
        with torch.no_grad():
            for theta in thetas:
                named = work.space.unravel(theta)
                buffers = work.buffers(named)
                found.append(work.blocks.total(lambda block, n=named, b=buffers: work.sums(n, b, block)))  # type: ignore[misc]
        return torch.stack(found)

    def gradients(self, work: Work, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """Loss sums and gradients, a backward pass per row block."""
        values, gradients = [], []
        for theta in thetas:
            leaf = theta.detach().requires_grad_()
            buffers = work.buffers(work.space.unravel(leaf.detach()))

            def both(block: Table, leaf: Tensor = leaf, buffers: Buffers = buffers) -> Tensor:
                with torch.enable_grad():
                    value = work.sums(work.space.unravel(leaf), buffers, block)[0]
                    gradient = _gradient(value, leaf)
                return torch.cat([value.detach().reshape(1), gradient.double()])

            total = work.blocks.total(both)
            values.append(total[0])
            gradients.append(total[1:])
        return torch.stack(values), torch.stack(gradients)


class Vmap(Backend):
    """Points in chunks through torch.func.vmap."""

    name: ClassVar[str] = "vmap"

    def totals(self, work: Work, thetas: Tensor) -> Tensor:
        """Loss and metric sums, float64 [B, q]."""
        buffers = work.buffers(None)
        found = []
        with torch.no_grad(), unbatched_nodes():
            for chunk in thetas.split(VMAP_POINTS):

                def over_points(block: Table, chunk: Tensor = chunk) -> Tensor:
                    return torch.func.vmap(lambda t: work.sums(work.space.unravel(t), buffers, block))(chunk)

                found.append(work.blocks.total(over_points))
        return torch.cat(found)

    def gradients(self, work: Work, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """Loss sums and gradients; the points' losses are added and differentiated together."""
        buffers = work.buffers(None)
        values, gradients = [], []
        for chunk in thetas.split(VMAP_POINTS):
            leaf = chunk.detach().requires_grad_()

            def both(block: Table, leaf: Tensor = leaf) -> Tensor:
                with torch.enable_grad(), unbatched_nodes():
                    value = torch.func.vmap(lambda t: work.sums(work.space.unravel(t), buffers, block)[0])(leaf)
                    gradient = _gradient(value.sum(), leaf)
                return torch.cat([value.detach().unsqueeze(1), gradient.double()], dim=1)

            total = work.blocks.total(both)
            values.append(total[:, 0])
            gradients.append(total[:, 1:])
        return torch.cat(values), torch.cat(gradients)


def _gradient(value: Tensor, leaf: Tensor) -> Tensor:
    if not value.requires_grad:
        return torch.zeros_like(leaf)
    return torch.autograd.grad(value, leaf, materialize_grads=True)[0]


BACKENDS: dict[str, type[Loop] | type[Vmap]] = {Loop.name: Loop, Vmap.name: Vmap}


def choose(name: str, work: Work, probes: Tensor, tolerance: float) -> tuple[Backend, str]:
    """The backend asked for, or the loop with the reason, after a check at two points [2, P].

    Raises
    ------
    InputError
        If no backend has that name.
    """
    if name not in BACKENDS:
        raise InputError(f"backend={name!r} is unknown: choose {' or '.join(map(repr, BACKENDS))}")
    loop = Loop()
    if name == Loop.name:
        return loop, "reference"
    if not work.shared_buffers:
        return loop, f"{name} cannot run a statistics policy that differs from point to point"
    other = BACKENDS[name]()
    try:
        found = other.totals(work, probes)
    except Exception as error:  # whatever a user's forward raises under vmap, the loop can still run it
        text = str(error).strip().splitlines()
        return loop, f"{name} refused the model: {text[0] if text else type(error).__name__}"
    expected = loop.totals(work, probes)
    gap = ((found - expected).abs() / (expected.abs() + 1e-300)).nan_to_num(0.0).max()
    if not torch.equal(found.isnan(), expected.isnan()) or float(gap) > 10 * tolerance:
        return loop, f"{name} differs from the loop by {float(gap):.2g} relative at a probe point"
    return other, f"asked for; agrees with the loop to {float(gap):.1g} at two points"
