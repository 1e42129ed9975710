"""Rules for what a forward pass does between its layers: sums, shapes, activations, and everything else by vmap."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.core.quiet import unbatched_nodes
from thalweg.core.stacked.layers import Rule, conv2d, elementwise, frozen_norm, layer_norm, linear, spatial
from thalweg.core.stacked.values import Layout, Stack, Value, fixed, laid, mapped, summed
from thalweg.core.tree import tree_map

LAYERS: dict[type[nn.Module], Rule] = {
    nn.Linear: linear,
    nn.Conv2d: conv2d,
    nn.BatchNorm1d: frozen_norm,
    nn.BatchNorm2d: frozen_norm,
    nn.LayerNorm: layer_norm,
}
"""Layers with parameters, each run by its own rule."""

ACTIVATIONS: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.CELU, nn.SELU, nn.Softplus, nn.Softsign,
    nn.Mish, nn.Hardtanh, nn.ReLU6, nn.Hardsigmoid, nn.Hardswish, nn.LogSigmoid, nn.Tanhshrink, nn.Hardshrink,
    nn.Softshrink, nn.Threshold,
)  # fmt: skip
"""Modules that act on each entry by itself."""

IDENTITIES: tuple[type[nn.Module], ...] = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)
"""Modules that return their input in eval mode."""

POOLINGS: dict[type[nn.Module], bool] = {
    nn.MaxPool2d: False,
    nn.AdaptiveMaxPool2d: False,
    nn.AvgPool2d: True,
    nn.AdaptiveAvgPool2d: True,
    nn.ZeroPad2d: True,
}
"""Modules that act on each channel by itself, and whether they are linear."""

IN_PLACE: dict[Any, Callable[[Tensor], Tensor]] = {
    nn.ReLU: torch.relu_,
    nn.Tanh: torch.tanh_,
    nn.Sigmoid: torch.sigmoid_,
}
"""Activations that may overwrite an input that nothing else reads."""

_ENTRYWISE = {
    F.relu, torch.relu, F.leaky_relu, torch.tanh, F.tanh, torch.sigmoid, F.sigmoid, F.gelu, F.silu, F.elu, F.selu,
    F.softplus, F.softsign, F.mish, F.hardtanh, F.relu6, F.hardswish, F.logsigmoid, torch.exp, torch.sin, torch.cos,
    torch.abs, torch.square, "relu", "tanh", "sigmoid", "exp", "sin", "cos", "abs", "square",
}  # fmt: skip

_LINEAR = {
    torch.flatten, torch.reshape, torch.mean, torch.sum, torch.permute, torch.transpose, torch.squeeze,
    torch.unsqueeze, torch.neg, operator.neg, F.avg_pool2d, F.adaptive_avg_pool2d, F.pad, F.interpolate,
    "flatten", "reshape", "mean", "sum", "permute", "transpose", "squeeze", "unsqueeze", "neg", "contiguous",
    operator.getitem, torch.chunk, torch.split, "chunk", "split",
}  # fmt: skip
"""Linear in their one tensor: an affine value stays affine."""

_SHAPE_OF = {"size", "dim", "numel"}
_ATTRIBUTES = {"shape", "ndim", "dtype", "device", "is_cuda"}


def call(target: Any, args: tuple[Value, ...], kwargs: Mapping[str, Value]) -> Value:
    """A function or method of the forward pass."""
    kwargs = {**kwargs, "inplace": False} if kwargs.get("inplace") else dict(kwargs)
    target = _pure(target)
    first = args[0] if args else None
    if target is operator.getitem and isinstance(first, (tuple, list, dict)):
        return first[args[1]]
    if isinstance(first, Stack):
        if target in _SHAPE_OF:
            return _method(target)(first.natural.select(0, 0), *args[1:], **kwargs)
        if target is getattr and args[1] in _ATTRIBUTES:
            return getattr(first.natural.select(0, 0), args[1])
        alone = not any(isinstance(a, Stack) for a in (*args[1:], *kwargs.values()))
        if target in _ENTRYWISE and alone:
            return elementwise(lambda x: _function(target)(x, *args[1:], **kwargs))(first)
        if target is operator.mul and alone and isinstance(args[1], (int, float)):
            return first.like(first.data * args[1])
        if target in (torch.flatten, "flatten") and args[1:] == (1,) and not kwargs and first.layout is Layout.IMAGES:
            return Stack(first.data.flatten(2).permute(1, 2, 0), Layout.FEATURES, first.which)
        if target in _LINEAR and alone and not kwargs.get("value"):  # padding with a number is not linear
            return over_points(_function(target), args, kwargs, linear=True)
    if target in (operator.add, torch.add) and len(args) == 2 and not kwargs:
        found = _sum(*args)
        if found is not None:
            return found
    return over_points(_function(target), args, kwargs)


def over_points(
    fn: Callable[..., Any], args: tuple[Value, ...], kwargs: Mapping[str, Value], *, linear: bool = False
) -> Value:
    """Any function, by vmap over the points its arguments differ in.

    ``linear`` promises that it is linear in its one stack, so that an affine stack may pass.
    """
    stacks: list[Stack] = []

    def note(value: Any) -> Any:
        if not isinstance(value, Stack):
            return value
        stacks.append(value if linear else fixed(value))
        return _Slot(len(stacks) - 1)

    template = mapped(note, (tuple(args), dict(kwargs)))
    if not stacks:
        return fn(*args, **kwargs)

    def at_one_point(*naturals: Tensor) -> Any:
        given = mapped(lambda v: naturals[v.index] if isinstance(v, _Slot) else v, template)
        return fn(*given[0], **given[1])

    with unbatched_nodes():
        found = torch.func.vmap(at_one_point)(*(s.natural for s in stacks))
    return tree_map(lambda x: Stack.of(x, stacks[0].which), found)


@dataclass(frozen=True)
class _Slot:
    index: int


def _sum(a: Value, b: Value) -> Value | None:
    """The sum where shapes are equal or one is a number; None where vmap should see to it."""
    if isinstance(a, Stack) and isinstance(b, Stack):
        same = a.layout is b.layout and a.natural.shape[1:] == b.natural.shape[1:]
        return summed(a, b) if same else None
    stack, other = (a, b) if isinstance(a, Stack) else (b, a)
    if not isinstance(stack, Stack):
        return None
    if isinstance(other, Tensor):
        if other.shape != stack.natural.shape[1:]:
            return None
        return summed(stack, Stack(laid(other, stack.layout), stack.layout, None if stack.which is None else ()))
    if isinstance(other, (int, float)) and stack.which is None:
        return stack.like(stack.data + other)
    return None


def _pure(target: Any) -> Any:
    """The out-of-place form of an operation; reshape for view, which wants a layout that a stack may not have."""
    if target is operator.iadd:
        return operator.add
    if target is operator.imul:
        return operator.mul
    if target == "view":
        return "reshape"
    if isinstance(target, str) and target.endswith("_") and not target.endswith("__"):
        return target.removesuffix("_")
    return target


def writes(target: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether an operation changes its first argument."""
    named = isinstance(target, str) and target.endswith("_") and not target.endswith("__")
    return named or bool(kwargs.get("inplace")) or target in (operator.iadd, operator.imul, operator.isub, torch.relu_)


def _function(target: Any) -> Callable[..., Any]:
    return _method(target) if isinstance(target, str) else target


def _method(name: str) -> Callable[..., Any]:
    return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


def module_rule(module: nn.Module, alone: bool) -> Rule | None:
    """The rule of a module without parameters that is run natively; ``alone`` says nothing else reads its input."""
    kind = type(module)
    if kind in IDENTITIES:
        return lambda x: x
    if kind in ACTIVATIONS:
        if alone and kind in IN_PLACE:
            return _overwriting(kind, _without_inplace(module))
        return elementwise(_without_inplace(module))
    if kind in POOLINGS and not getattr(module, "return_indices", False):
        return spatial(module, linear=POOLINGS[kind])
    if kind is nn.Flatten and module.start_dim == 1 and module.end_dim == -1:
        return lambda x: call(torch.flatten, (x, 1), {})
    return None


def _without_inplace(module: nn.Module) -> Callable[[Tensor], Tensor]:
    if not getattr(module, "inplace", False):
        return module
    fresh = copy.copy(module)
    fresh.inplace = False  # type: ignore[assignment]
    return fresh


def _overwriting(kind: Any, plain: Callable[[Tensor], Tensor]) -> Rule:
    def rule(x: Value) -> Value:
        if not isinstance(x, Stack):
            return plain(x)
        data = fixed(x).data
        return x.like(plain(data) if data.requires_grad else IN_PLACE[kind](data))

    return rule
