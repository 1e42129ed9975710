"""What F is along a segment: a polynomial in t, a piecewise quartic, or neither and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.core.data import Table
from thalweg.core.exact.form import NotExactError
from thalweg.core.exact.held import constants
from thalweg.core.exact.watch import Watch, named_layers
from thalweg.core.function import Function
from thalweg.core.objective import Objective
from thalweg.core.parts import Parts
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.tree import Tree, tree_map

MOST_DEGREE = 64
"""A polynomial of higher degree costs more evaluations than an adaptive search."""

PASSES = 1
"""Passes over the rows that knowing the structure takes."""


@dataclass(frozen=True)
class Structure:
    """F along the segment is a polynomial of this degree; a piecewise one where ``kinks`` names their layer."""

    degree: int
    kinks: str | None = None


def structure(objective: Objective, a: Tensor, b: Tensor) -> Structure:
    """What F is from a to b, both [P], float64.

    Raises
    ------
    NotExactError
        If it is neither; the message is the reason.
    """
    if isinstance(objective, Function):
        found = Structure(_of_function(objective, a, b))
    elif isinstance(objective, EmpiricalRisk):
        found = _of_risk(objective._parts, a, b)
    else:
        raise NotExactError(f"nothing is known of what a {type(objective).__name__} computes")
    if found.degree > MOST_DEGREE:
        raise NotExactError(f"F has degree {found.degree} in t, above {MOST_DEGREE}")
    return found


def moved(parts: Parts, a: Tensor, b: Tensor) -> frozenset[str]:
    """The tensors in which the ends of the segment differ."""
    return frozenset(e.name for e in parts.space.entries if not torch.equal(a[e.span], b[e.span]))


def forward(parts: Parts, theta: Tensor, moving: frozenset[str], block: Table) -> tuple[Tree, Watch]:
    """The outputs of a row block at theta, under watch.

    Raises
    ------
    NotExactError
        If an output is neither polynomial in t nor behind one layer of kinks.
    """
    named = parts.space.unravel(theta)
    buffers = parts.buffers(named)
    watch = Watch("the forward pass", kinks=True)
    network = parts.network
    for held in (network.module, network._batch, buffers or {}, block.inputs):
        watch.know(constants(held))
    for name, tensor in named.items():
        watch.know(tensor, int(name in moving))
    with named_layers(network.module, watch), named_layers(network._batch, watch):
        return _watched(lambda: network(named, buffers, block.inputs), watch), watch


def _of_risk(parts: Parts, a: Tensor, b: Tensor) -> Structure:
    if parts.per_point:
        raise NotExactError(f"under the policy {parts.policy} the statistics of normalising layers depend on t")
    moving = moved(parts, a, b)
    found = {_of_block(parts, b, moving, block) for block in parts.blocks}
    if len({s.kinks for s in found}) > 1:
        raise NotExactError("one row block runs through kinks that move and another does not")
    penalty = _of_regulariser(parts, b, moving)
    top = max(found, key=lambda s: s.degree)
    if top.kinks is not None and penalty > 4:
        raise NotExactError(f"beside the kinks of {top.kinks} the regulariser has degree {penalty} in t, above 4")
    return Structure(max(top.degree, penalty), top.kinks)


def _of_block(parts: Parts, theta: Tensor, moving: frozenset[str], block: Table) -> Structure:
    outputs, watch = forward(parts, theta, moving, block)
    kinks = watch.kinks(outputs)
    if kinks is None:
        return Structure(_of_loss(parts, outputs, watch.degree, block))
    if kinks.weight is None:
        raise NotExactError(f"no linear layer follows the kinks of {kinks.layer}")
    if parts.split:
        raise NotExactError("other processes hold rows as well")
    in_outputs = _of_loss(parts, outputs, lambda x: 1, block)
    if in_outputs > 2:
        raise NotExactError(
            f"after the kinks of {kinks.layer} the loss has degree {in_outputs} in the outputs, above 2"
        )
    return Structure(4, kinks.layer)


def _of_loss(parts: Parts, outputs: Tree, degree_of: Callable[[Tensor], int], block: Table) -> int:
    """The degree of the loss where its outputs have the degrees given."""
    watch = Watch("the loss")
    watch.know([*constants(parts.loss), *constants(block.targets)])

    def known(x: Tensor) -> Tensor:
        copy = x.detach().clone()
        watch.know(copy, degree_of(x))
        return copy

    copied = tree_map(known, outputs)
    return watch.degree(_watched(lambda: parts.loss.sum(copied, block.targets), watch))


def _of_regulariser(parts: Parts, theta: Tensor, moving: frozenset[str]) -> int:
    if parts.regulariser is None:
        return 0
    fn, named = parts.regulariser, parts.space.unravel(theta)
    watch = Watch("the regulariser")
    watch.know(constants(fn))
    for name, tensor in named.items():
        watch.know(tensor, int(name in moving))
    return watch.degree(_watched(lambda: fn(named), watch))


def _of_function(function: Function, a: Tensor, b: Tensor) -> int:
    watch = Watch("fn")
    watch.know(constants(function.fn))
    watch.know(b, int(not torch.equal(a, b)))
    return watch.degree(_watched(lambda: function.fn(b), watch))


def _watched(work: Callable[[], Any], watch: Watch) -> Any:
    """What the work returns; whatever it raises under watch is a reason."""
    try:
        with torch.no_grad(), watch:
            found = work()
    except NotExactError:
        raise
    except Exception as error:  # a forward that runs unwatched may still refuse a torch function mode
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise watch.refused or NotExactError(f"{watch.where} cannot be watched: {line}") from error
    if watch.refused is not None:
        raise watch.refused
    return found
