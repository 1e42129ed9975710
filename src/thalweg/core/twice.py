"""Whether what torch calls a second derivative is one: custom autograd functions may drop it without a word."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from thalweg.core.rng import Stream
from thalweg.errors import InputError

ONCE = "torch::autograd::Error"
"""The node that ``once_differentiable`` leaves. It raises when it is met, and no path to the parameters meets it."""

SLACK = 0.01
"""Relative difference from differences that a product may have, beside ten times what these differ by themselves."""


def refuse_once(gradients: Sequence[Tensor], roots: Sequence[Tensor]) -> None:
    """Refuse gradients made with ``create_graph`` whose graph has a node that may be differentiated once only.

    ``torch.autograd.grad`` skips such a node in silence: every product through it would be wrong.

    Raises
    ------
    InputError
        With the custom functions in the graph of ``roots``, which the gradients are of.
    """
    if any(node.name() == ONCE for node in _nodes(gradients)):
        named = ", ".join(custom(roots)) or "an operation"
        raise InputError(
            f"{named} may be differentiated once only (once_differentiable): curvature needs the derivative of its "
            "backward; write that with torch operations"
        )


def custom(roots: Sequence[Tensor]) -> list[str]:
    """The names of the custom autograd functions in the graph of ``roots``."""
    found = {
        type(node).__name__.removesuffix("Backward") for node in _nodes(roots) if isinstance(node, BackwardCFunction)
    }
    return sorted(found)


def refuse_dropped(
    names: Sequence[str], fn: Callable[[Tensor], Tensor], theta: Tensor, product: Callable[[Tensor], Tensor]
) -> None:
    """Refuse products that differ from central differences of ``fn`` at theta [P] along one random direction.

    Differences over two distances say how far they can be trusted, so that kinks and rounding refuse nothing.

    Raises
    ------
    InputError
        With the custom functions ``names``: their backward is no derivative, or hides one.
    """
    v = torch.randn(len(theta), generator=Stream(0, ("twice",)).torch(), dtype=torch.float64).to(theta)
    v = v / v.norm()
    h = torch.finfo(theta.dtype).eps ** (1 / 3) * (1 + float(theta.norm()))

    def difference(reach: float) -> Tensor:
        return (fn(theta + reach * v) - fn(theta - reach * v)).double() / (2 * reach)

    near, far, found = difference(h), difference(2 * h), product(v).double()
    miss, scale = float((found - near).norm()), max(float(near.norm()), float(found.norm()))
    rounding = torch.finfo(theta.dtype).eps * float(fn(theta).norm()) / h
    if miss > SLACK * scale + 10 * (float((near - far).norm()) + rounding):
        raise InputError(
            f"{', '.join(names)}: products through its backward are {miss / scale:.0%} from differences: backward is "
            "not the derivative of forward, or keeps part of it from torch; compute it from ctx.saved_tensors"
        )


def _nodes(roots: Sequence[Tensor]) -> set[torch.autograd.graph.Node]:
    """Every node of the graph behind ``roots``."""
    stack, seen = [root.grad_fn for root in roots], set()
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack += [after for after, _ in node.next_functions]
    return seen
