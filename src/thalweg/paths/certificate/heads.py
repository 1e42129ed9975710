"""Upper bounds of a loss over rows whose outputs are Taylor models, at both ends of the box.

Cross-entropy, logistic and entrywise losses are convex in the outputs, hence in u once the radius is spent: the
largest value of Σ ℓ is at u = −1 or u = 1. A loss given as a callable is a weighted sum of squares, or is itself
traced and bounded like a forward pass.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from thalweg.core.data import Table
from thalweg.core.exact import structure
from thalweg.core.exact.form import NotExactError
from thalweg.core.exact.hidden import squares
from thalweg.core.loss import PerEntry, Reduced
from thalweg.core.parts import Parts
from thalweg.paths.certificate import functions
from thalweg.paths.certificate.model import UNIT, Model, Uncertified, gamma

Head = Callable[[Model], Tensor]
"""Outputs of some rows to upper bounds of Σ ℓ_i over them at u = −1 and u = 1, float64 [2]."""

ENTROPIES = (nn.CrossEntropyLoss, F.cross_entropy)
LOGISTIC = (nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits, nn.SoftMarginLoss, F.soft_margin_loss)
DISTANCES = (
    nn.MSELoss, F.mse_loss, nn.L1Loss, F.l1_loss, nn.SmoothL1Loss, F.smooth_l1_loss, nn.HuberLoss, F.huber_loss,
)  # fmt: skip
"""Losses that are convex and rise with the distance from the target, entry by entry."""


def head(parts: Parts, rows: Table, outputs: Tensor) -> Head:
    """The bound for these rows; ``outputs`` are some outputs of theirs, for shape.

    Raises
    ------
    Uncertified
        If the loss is of no known kind; the message names it.
    """
    kind = kind_of(parts.loss)
    if kind in ENTROPIES:
        return _entropy(parts, rows, outputs)
    if kind in LOGISTIC:
        return _logistic(parts, rows, outputs)
    if kind in DISTANCES and rows.targets.shape == outputs.shape:
        return functools.partial(_distance, parts, rows)
    found = _squared(parts, rows, outputs)
    return found or _traced(parts, rows, kind)


def kind_of(loss: Any) -> Any:
    """The class or function of torch, or the callable, behind a row loss."""
    fn = loss.fn if isinstance(loss, (Reduced, PerEntry)) else loss
    while isinstance(fn, functools.partial):
        fn = fn.func
    return type(fn) if isinstance(fn, nn.Module) and isinstance(loss, (Reduced, PerEntry)) else fn


def convex(parts: Parts, rows: Table, outputs: Tensor) -> bool:
    """Whether the loss is known to be convex in the outputs of each row."""
    kind = kind_of(parts.loss)
    if kind in (*ENTROPIES, *LOGISTIC, *DISTANCES):
        return True
    try:
        return _squared(parts, rows, outputs) is not None
    except Uncertified:
        return False


def _entropy(parts: Parts, rows: Table, outputs: Tensor) -> Head:
    """Q·log Σ_k exp z_k − q·z: Q and q of each row from the gradient at two places, whatever weights are in them.

    Outputs that move by at most r_k each give a value of at most that at z_k + (1 − q_k/Q) r_k + Σ_{j≠k} (q_j/Q) r_j.
    """
    classes = outputs.shape[1]
    if classes < 2:
        raise Uncertified("cross-entropy of one class is no cross-entropy")
    first = torch.zeros_like(outputs)
    first[:, 0] = 1
    at_zero, at_first = (_gradient(parts, rows, z) for z in (torch.zeros_like(outputs), first))
    rise = math.e / (math.e + classes - 1) - 1 / classes
    total = ((at_first - at_zero)[:, :1] / rise).clamp(min=0)
    share = (total / classes - at_zero).clamp(min=0)
    total = share.sum(1, keepdim=True)
    even = share / torch.where(total > 0, total, 1.0)

    def value(z: Tensor, lift: Tensor) -> Tensor:
        rows_ = total.squeeze(1) * torch.logsumexp(z + lift, 1) - (share * z).sum(1)
        slip = 64 * (classes + 4) * UNIT * total.squeeze(1) * (1 + (z.abs() + lift).amax(1))
        return rows_ + slip

    probe = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).to(outputs).view_as(outputs)
    _check(parts, rows, probe, float(value(probe, torch.zeros_like(probe)).sum()))

    def bound(x: Model) -> Tensor:
        r = torch.zeros_like(x.c0) if x.r is None else x.r
        mixed = (even * r).sum(1, keepdim=True)
        lift = (r + mixed - 2 * even * r).clamp(min=0)
        return _at_ends(x, lambda z: value(z, lift))

    return bound


def _logistic(parts: Parts, rows: Table, outputs: Tensor) -> Head:
    """α·softplus(−z) + β·softplus(z) in each entry: α and β from the gradient where one of them is saturated."""
    up, down = (_gradient(parts, rows, torch.full_like(outputs, z)).mul(z / 50).clamp(min=0) for z in (50.0, -50.0))

    def value(z: Tensor, r: Tensor) -> Tensor:
        found = up * F.softplus(z + r, threshold=100) + down * F.softplus(-z + r, threshold=100)
        return found + 64 * UNIT * (up + down) * (1 + z.abs() + r)

    probe = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).to(outputs).view_as(outputs)
    _check(parts, rows, probe, float(value(probe, torch.zeros_like(probe)).sum()))

    def bound(x: Model) -> Tensor:
        r = torch.zeros_like(x.c0) if x.r is None else x.r
        return _at_ends(x, lambda z: value(z, r))

    return bound


def _distance(parts: Parts, rows: Table, x: Model) -> Tensor:
    """The loss where every output is moved away from its target by its radius."""
    target = rows.targets.to(x.c0)

    def value(z: Tensor) -> Tensor:
        far = (z - target).abs() + 8 * UNIT * (z.abs() + target.abs())
        return parts.loss.each(target + (far if x.r is None else far + x.r) * (1 + 8 * UNIT), rows.targets)

    return _at_ends(x, value)


def _squared(parts: Parts, rows: Table, outputs: Tensor) -> Head | None:
    """Σ c·(z − y)² with c ≥ 0, for a callable that is of degree 2 in the outputs; None where it is not."""
    try:
        if structure._of_loss(parts, outputs, lambda _: 1, rows) > 2:
            return None
        curvature, lowest, least = squares(parts.loss, outputs, rows)
    except NotExactError:
        return None
    if (curvature < 0).any():
        raise Uncertified("the loss is a sum of squares with a negative weight, which is not convex")
    c, y = (torch.from_numpy(v).to(outputs) for v in (curvature, lowest))

    def bound(x: Model) -> Tensor:
        r = 0.0 if x.r is None else x.r.flatten(1)

        def value(z: Tensor) -> Tensor:
            far = (z.flatten(1) - y).abs() + r + 64 * UNIT * (z.flatten(1).abs() + y.abs())
            return c * far.square()

        return _at_ends(x, value) + least + gamma(len(c)) * abs(least)

    return bound


def _traced(parts: Parts, rows: Table, kind: Any) -> Head:
    """A callable that returns one loss per entry, run on Taylor models step by step."""
    name = getattr(kind, "__name__", type(kind).__name__)
    if not isinstance(parts.loss, PerEntry):
        raise Uncertified(f"the loss {name} is of no kind that has a bound: return one loss per row")
    try:
        graph = fx.Tracer().trace(_Wrapped(parts.loss.fn))
    except Exception as error:  # whatever tracing raises, the loss is not bounded
        raise Uncertified(f"the loss {name} cannot be traced ({str(error).splitlines()[0]})") from error

    def bound(x: Model) -> Tensor:
        values: dict[fx.Node, Any] = dict(zip(graph.find_nodes(op="placeholder"), (x, rows.targets), strict=True))
        for node in graph.nodes:
            if node.op in ("call_function", "call_method"):
                args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: values[n])
                values[node] = functions.function(node.target, args, kwargs)
            elif node.op == "output":
                found = values[node.args[0]]
                return _both(found)
            elif node.op != "placeholder":
                raise Uncertified(f"the loss {name} holds {node.target}, which has no rule")
        raise AssertionError  # a graph ends with its output

    return bound


class _Wrapped(nn.Module):
    """A callable as a module, which is what fx traces."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__()
        self.__dict__["fn"] = fn

    def forward(self, outputs: Tensor, targets: Tensor) -> Any:
        return self.__dict__["fn"](outputs, targets)


def _at_ends(x: Model, value: Callable[[Tensor], Tensor]) -> Tensor:
    """Σ value at u = −1 and u = 1, with what float64 lost; the ends' outputs move outwards by their rounding."""
    ends = [x.c0, x.c0] if x.c1 is None else [x.c0 - x.c1, x.c0 + x.c1]
    found = []
    for z in ends:
        each = value(z)
        found.append(each.sum() + 2 * gamma(z.numel() + 8) * each.abs().sum())
    return torch.stack(found)


def _both(x: Model) -> Tensor:
    """Σ c0 ± Σ c1 + Σ r."""
    slope = torch.zeros_like(x.c0) if x.c1 is None else x.c1
    r = torch.zeros_like(x.c0) if x.r is None else x.r
    lost = 4 * gamma(x.c0.numel() + 8) * (x.size.sum() + r.sum())
    middle, tilt, wide = x.c0.sum(), slope.sum(), r.sum()
    return torch.stack([middle - tilt + wide + lost, middle + tilt + wide + lost])


def _gradient(parts: Parts, rows: Table, z: Tensor) -> Tensor:
    leaf = z.detach().clone().requires_grad_()
    with torch.enable_grad():
        (found,) = torch.autograd.grad(parts.loss.sum(leaf, rows.targets), leaf, materialize_grads=True)
    return found


def _check(parts: Parts, rows: Table, z: Tensor, ours: float) -> None:
    """That the form found is the loss, at outputs of which nothing is special."""
    with torch.no_grad():
        theirs = float(parts.loss.sum(z, rows.targets))
    if not abs(ours - theirs) <= 1e-9 * (1 + abs(theirs)):
        raise Uncertified(
            f"the loss is {theirs:.9g} where its convex form says {ours:.9g}: its options are not covered"
        )
