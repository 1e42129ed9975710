"""Gradients of the outputs in chosen directions: Jᵀu without the Jacobian."""

from __future__ import annotations

import torch
from torch import Tensor

from thalweg.core.objective import theta_of
from thalweg.core.products import differentiable_twice
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.space import Point
from thalweg.errors import InputError


def pulled(risk: EmpiricalRisk, theta: Tensor | Point, cotangents: Tensor) -> Tensor:
    """Jᵀu for cotangents u [k, rows, *outputs] of a network with one output tensor: float64 [k, P].

    One backward pass per cotangent and row block; the graph of a block is kept between them.

    Raises
    ------
    InputError
        If the outputs are not one tensor, or the cotangents have another shape.
    """
    vector = risk.space.check(theta_of(theta)).detach()
    found = torch.zeros(len(cotangents), risk.space.size, dtype=torch.float64)
    low = 0
    for block in risk._parts.blocks:
        leaf, term = vector.clone().requires_grad_(), risk._parts.term(block)
        assert term.outputs is not None
        with differentiable_twice():
            outputs = term.outputs(leaf)
        if len(outputs) != 1:
            raise InputError(f"the network returns {len(outputs)} tensors: wrap it so that it returns one")
        z = outputs[0]
        if cotangents.shape[2:] != z.shape[1:]:
            wanted = f"[k, {risk.row_count}, {', '.join(map(str, z.shape[1:]))}]"
            raise InputError(f"cotangents have shape {list(cotangents.shape)}: they must be {wanted}")
        for j, u in enumerate(cotangents[:, low : low + block.count].to(z)):
            (gradient,) = torch.autograd.grad(z, leaf, u, retain_graph=True, materialize_grads=True)
            found[j] += gradient.double().cpu()
        low += block.count
    return found
