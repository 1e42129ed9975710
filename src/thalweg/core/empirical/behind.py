"""What lies behind the values of F: outputs, features, the loss of every row, the Jacobian."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from thalweg.core.backends import Buffers
from thalweg.core.data import Table
from thalweg.core.empirical.variants import Variants
from thalweg.core.objective import theta_of
from thalweg.core.space import Point
from thalweg.core.tree import Tree, leaves, tree_map
from thalweg.errors import InputError


class Behind(Variants):
    """The network's own quantities at one point, over all rows."""

    def outputs(self, theta: Tensor | Point) -> Tree:
        """The network's outputs over all rows, concatenated block by block; no gradient."""
        named, buffers = self._named(theta)
        with torch.no_grad():
            parts = [self._parts.network(named, buffers, block.inputs) for block in self._parts.blocks]
        if len(parts) == 1:
            return parts[0]
        columns = [[x for _, x in leaves(part)] for part in parts]
        joined = iter([torch.cat(column) for column in zip(*columns, strict=True)])
        return tree_map(lambda _: next(joined), parts[0])

    def features(self, theta: Tensor | Point, layer: str) -> Tensor:
        """The output of a named layer over all rows, [rows, …]; no gradient.

        Raises
        ------
        InputError
            If there is no such layer, or it does not return one tensor.
        """
        seen: list[Any] = []
        with self._parts.network.watched(layer, seen.append):
            self.outputs(theta)
        if not seen or not all(isinstance(x, Tensor) for x in seen):
            raise InputError(f"layer {layer!r} does not return one tensor per call: name another")
        return torch.cat([x.detach() for x in seen])

    def per_sample(self, theta: Tensor | Point) -> Tensor:
        """ℓ_i, the loss of each row before division by Z and without regulariser, [rows]."""
        named, buffers = self._named(theta)
        network, loss = self._parts.network, self._parts.loss
        with torch.no_grad():
            blocks = [loss.each(network(named, buffers, b.inputs), b.targets) for b in self._parts.blocks]
        return torch.cat(blocks)

    def jacobian(self, theta: Tensor | Point) -> Tensor:
        """Derivative of the (single-tensor) outputs with respect to theta, [rows, *outputs, P]; dense."""
        self._derivatives("Jacobians")
        vector = self.space.check(self.point(theta).theta)
        buffers = self._parts.buffers(self.space.unravel(vector))
        found = []
        for block in self._parts.blocks:

            def forward(t: Tensor, block: Table = block) -> Tensor:
                return self._parts.network(self.space.unravel(t), buffers, block.inputs)

            leaf = vector.detach().requires_grad_()
            with torch.enable_grad():
                z = forward(leaf)
                if not isinstance(z, Tensor):
                    raise InputError(f"outputs are a {type(z).__name__}: a Jacobian needs one tensor; wrap the model")
                rows = [
                    torch.autograd.grad(v, leaf, retain_graph=True, materialize_grads=True)[0] for v in z.reshape(-1)
                ]
            found.append(torch.stack(rows).reshape(*z.shape, -1))
        return torch.cat(found)

    def penalty(self, theta: Tensor | Point) -> float:
        """R at theta, the regulariser's value; 0 without one."""
        with torch.no_grad():
            return float(self._parts.regularised(self.space.check(theta_of(theta))))

    def _named(self, theta: Tensor | Point) -> tuple[dict[str, Tensor], Buffers]:
        objective = self.at(theta) if isinstance(theta, Point) else self
        named = self.space.unravel(self.space.check(theta_of(theta)))
        return named, objective._parts.buffers(named)
