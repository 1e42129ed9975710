"""The network replaced by its first-order expansion in the parameters at one point: an objective like any other.

f_lin(theta; x) = f(theta_0; x) + J(theta_0; x)(theta − theta_0) (Lee et al. 2019, §2.2; section recalled, unverified).
The loss, the data, the metrics and the regulariser stay as they are, so that the Hessian of the data term is the
Gauss–Newton matrix of the linear model at every point, and constant for squared errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from thalweg.core.graphs import differentiable_twice
from thalweg.core.objective import Objective, theta_of
from thalweg.core.quiet import differentiable_attention
from thalweg.core.replaced import Replaced, replaced, risk_of
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.core.tree import Tree, leaves, tree_map
from thalweg.errors import InputError, SubjectError, ThalwegError

Push = Callable[[Callable[[dict[str, Tensor]], list[Tensor]], dict[str, Tensor], dict[str, Tensor]], Any]
"""(f, x, v) -> (f(x), J(x) v), differentiable in v."""

PROBED = 2
"""Rows on which the two ways of taking J v are held against each other."""


def linearise(objective: Objective, theta0: Tensor | Point | np.ndarray) -> EmpiricalRisk:
    """F of the network's linear expansion at ``theta0`` [P]: Σ_i ℓ_i(f_0 + J(theta − theta_0)) / Z + R(theta).

    Normalising layers keep the statistics that belong to ``theta0`` (its own, or those estimated there): they are
    constants of the expansion, and no policy applies to it. J v is taken in forward mode, or by differentiating Jᵀu
    with respect to u where an operation has no forward derivative or a wrong one; both are compared at a few rows.
    Integer outputs stay those at theta_0.

    Raises
    ------
    InputError
        If the objective has no outputs, or normalises every batch by itself.
    SubjectError
        If the outputs cannot be differentiated at theta_0.
    """
    risk, point = risk_of(objective, theta0, "linearise")
    network = risk.at(point)._parts.network
    fixed = dict(risk.at(point)._parts.buffers(risk.space.unravel(theta_of(point))) or {})
    named = {name: x.detach().clone() for name, x in risk.space.unravel(risk.space.check(point.theta)).items()}
    module = Expansion(network, named, fixed)
    few = risk._parts.blocks.table.at(slice(0, PROBED)).inputs
    try:
        module._settle(few)
    except ThalwegError:
        raise
    except Exception as error:  # whatever the module raises under differentiation becomes one line
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SubjectError(f"the outputs cannot be differentiated at theta0: {line}; use smooth operations") from error
    return replaced(risk, module, point)


class Expansion(Replaced):
    """The module f(theta_0; ·) + J(theta_0; ·)(theta − theta_0), its parameters named as in the original."""

    _push: Push

    def forward(self, *replaced_inputs: Tree) -> Tree:
        """Outputs of the linear model."""
        origin, now, seen = self._origin, self._current(), list[Tree]()

        def floats(named: dict[str, Tensor]) -> list[Tensor]:
            seen.append(self._called(named, replaced_inputs))
            return _floats(seen[-1])

        moved = {name: now[name] - base for name, base in origin.items()}
        try:
            values, tangents = self._push(floats, origin, moved)
        except NotImplementedError:  # a kernel of this dtype has no forward derivative: oneDNN's LSTM, in float32 alone
            values, tangents = reverse_mode(floats, origin, moved)
        given = iter([z + dz for z, dz in zip(values, tangents, strict=True)])
        return tree_map(lambda x: next(given) if x.is_floating_point() else x, seen[-1])

    def _settle(self, inputs: Tree) -> None:
        """Choose how J v is taken: in forward mode where it agrees with reverse mode in value and derivative."""
        generator = Stream(0, ("linearise",)).torch()
        v = {n: torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x) for n, x in self._origin.items()}

        def tried(push: Push) -> list[Tensor]:
            lifted = {n: x.clone().requires_grad_() for n, x in v.items()}
            with torch.enable_grad():
                _, pushed = push(lambda named: _floats(self._called(named, (inputs,))), self._origin, lifted)
                if not pushed:
                    raise InputError("the network returns no floating-point tensor: there is nothing to linearise")
                total = torch.stack([z.square().sum() for z in pushed]).sum()
                back: tuple[Tensor, ...] = ()
                if total.requires_grad:
                    back = torch.autograd.grad(total, list(lifted.values()), materialize_grads=True)
            return [x.detach() for x in (*pushed, *back)]

        exact = tried(reverse_mode)
        try:
            found = tried(forward_mode)
        except Exception:  # no forward derivative, or a custom function without one: reverse mode is exact
            found = []
        self._push = forward_mode if _agree(found, exact) else reverse_mode


def _floats(tree: Tree) -> list[Tensor]:
    return [x for _, x in leaves(tree) if x.is_floating_point()]


def _agree(found: list[Tensor], exact: list[Tensor]) -> bool:
    if len(found) != len(exact):
        return False
    slack = 1e3 * torch.finfo(exact[0].dtype).eps
    return all(float((a - b).norm()) <= slack * float(b.norm()) + 1e-30 for a, b in zip(found, exact, strict=True))


def forward_mode(
    f: Callable[[dict[str, Tensor]], list[Tensor]], x: dict[str, Tensor], v: dict[str, Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """f(x) and J v with dual numbers: about two forward passes."""
    with sdpa_kernel(SDPBackend.MATH), differentiable_attention():
        found = torch.func.jvp(f, (x,), (v,))
    return found[0], found[1]


def reverse_mode(
    f: Callable[[dict[str, Tensor]], list[Tensor]], x: dict[str, Tensor], v: dict[str, Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """f(x) and J v as the derivative of Jᵀu with respect to u, which is linear in u."""
    leaves_ = {name: base.detach().clone().requires_grad_() for name, base in x.items()}
    with differentiable_twice(), differentiable_attention():
        values = f(leaves_)
        used = [z for z in values if z.requires_grad]
        duals = [torch.zeros_like(z, requires_grad=True) for z in used]
        zeros = [torch.zeros_like(z) for z in values]
        if not used:
            return [z.detach() for z in values], zeros
        pulled = torch.autograd.grad(used, list(leaves_.values()), duals, create_graph=True, materialize_grads=True)
        pairs = [(g, v[name]) for g, name in zip(pulled, leaves_, strict=True) if g.requires_grad]
        if not pairs:
            return [z.detach() for z in values], zeros
        pushed = iter(
            torch.autograd.grad(
                [g for g, _ in pairs], duals, [w for _, w in pairs], create_graph=True, materialize_grads=True
            )
        )
    return [z.detach() for z in values], [next(pushed) if z.requires_grad else 0 * z for z in values]
