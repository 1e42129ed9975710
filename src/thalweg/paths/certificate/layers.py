"""Rules by which Taylor models pass through the layers and functions of a traced forward pass."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.paths.certificate import activations
from thalweg.paths.certificate.model import UNIT, Model, Uncertified, bilinear, model, plus, rounded, times

Local = Mapping[str, Model]


def linear(layer: nn.Linear, own: Local, x: Model) -> Model:
    """Outputs x Wᵀ + b."""
    found = bilinear(F.linear, x, own["weight"], layer.in_features, lambda w: torch.ones_like(w[:1]))
    return plus(found, own["bias"]) if "bias" in own else found


def conv2d(layer: nn.Conv2d, own: Local, x: Model) -> Model:
    """A convolution with zero padding."""
    if layer.padding_mode != "zeros":
        raise Uncertified(f"Conv2d pads by {layer.padding_mode!r}: only zeros are bounded")
    options: dict[str, Any] = {k: getattr(layer, k) for k in ("stride", "padding", "dilation", "groups")}
    found = bilinear(
        lambda a, w: F.conv2d(a, w, **options),
        x,
        own["weight"],
        own["weight"].c0[0].numel(),
        lambda w: torch.ones_like(w if layer.groups > 1 else w[:1]),
    )
    return plus(found, _channels(own["bias"], found)) if "bias" in own else found


def frozen_norm(layer: Any, own: Local, x: Model) -> Model:
    """BatchNorm with fixed statistics: a scale and a shift of each channel."""
    if "running_mean" not in own:
        raise Uncertified(f"{type(layer).__name__} normalises by the batch at hand: freeze its statistics")
    variance = own["running_var"].c0 + layer.eps
    scale = rounded(torch.rsqrt(variance), None, None, 8)
    centred = plus(x, _channels(own["running_mean"], x), -1)
    if "weight" in own:
        scale = times(scale, own["weight"])
    found = times(centred, _channels(scale, x))
    return plus(found, _channels(own["bias"], x)) if "bias" in own else found


def embedding(layer: nn.Embedding, own: Local, index: Tensor) -> Model:
    """Rows of the weight."""
    if layer.max_norm is not None:
        raise Uncertified(f"Embedding rescales its weight (max_norm={layer.max_norm}): set it to None")
    return own["weight"].linear(lambda w: F.embedding(index, w))


LAYERS: Mapping[type[nn.Module], Callable[..., Model]] = {
    nn.Linear: linear,
    nn.Conv2d: conv2d,
    nn.BatchNorm1d: frozen_norm,
    nn.BatchNorm2d: frozen_norm,
    nn.Embedding: embedding,
}
"""Layers with parameters."""

IDENTITIES = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)


def module(layer: nn.Module, own: Local, x: Any) -> Any:
    """A leaf module of the user's network on one argument.

    Raises
    ------
    Uncertified
        If it has no rule; the message names it.
    """
    kind = type(layer)
    if kind in LAYERS:
        return LAYERS[kind](layer, own, x)
    if kind in activations.MODULES:
        return activations.MODULES[kind](layer)(x)
    if isinstance(layer, IDENTITIES):
        return x
    if isinstance(layer, nn.Flatten):
        return x.linear(layer)
    if isinstance(layer, (nn.AvgPool2d, nn.AdaptiveAvgPool2d)):
        return _average(x, layer)
    if isinstance(layer, nn.ZeroPad2d):
        return x.linear(layer)
    if kind is nn.MaxPool2d:
        options = {k: getattr(layer, k) for k in ("kernel_size", "stride", "padding", "dilation", "ceil_mode")}
        return max_pool(x, **options)
    raise Uncertified(f"{kind.__name__} has no rule: {COVERED}")


def function(target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """A function or method of the forward pass.

    Raises
    ------
    Uncertified
        If it has no rule; the message names it.
    """
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    first = args[0] if args else None
    if target is operator.getitem and isinstance(first, (tuple, list, dict)):
        return first[args[1]]
    models = [a for a in _flat((args, tuple(kwargs.values()))) if isinstance(a, Model)]
    if not models:
        return _call(target, args, kwargs)
    if target in (torch.cat, torch.concat, torch.stack):
        return _joined(target, first, *args[1:], **kwargs)
    sign = {operator.add: 1, torch.add: 1, "add": 1, operator.iadd: 1, operator.sub: -1, torch.sub: -1, "sub": -1}
    if target in sign and len(args) == 2 and not kwargs:
        return plus(model(first), model(args[1]), sign[target])
    if target in (operator.mul, torch.mul, "mul", operator.imul) and len(args) == 2 and not kwargs:
        return times(model(first), model(args[1]))
    if not isinstance(first, Model) or len(models) > 1:
        raise Uncertified(f"{name} of what moves has no rule: {COVERED}")
    if target in ("size", "dim", "numel") or (target is getattr and args[1] in ("shape", "ndim", "dtype", "device")):
        return _call(target, (first.c0, *args[1:]), kwargs)
    if target in (operator.truediv, torch.div, "div") and isinstance(args[1], (int, float)):
        share = model(1 / args[1])
        return times(first, Model(share.c0.to(first.c0), None, 2 * UNIT * share.c0.abs().to(first.c0)))
    if target in (operator.neg, torch.neg, "neg"):
        return Model(-first.c0, None if first.c1 is None else -first.c1, first.r)
    if target in (operator.pow, torch.pow, "pow") and args[1] == 2:
        return activations.SQUARE(first)
    if target in activations.FUNCTIONS:
        return activations.FUNCTIONS[target](*args[1:], **kwargs)(first)
    if target in (F.dropout, F.dropout2d) and not kwargs.get("training", args[2] if len(args) > 2 else True):
        return first
    if target is F.max_pool2d:
        return max_pool(first, *args[1:], **kwargs)
    if target is F.pad and (kwargs.get("value") or any(args[3:])):
        raise Uncertified("padding by another value than 0 has no rule: pad by zeros")
    if target in MOVES:
        return first.linear(lambda p: _call(target, (p, *args[1:]), kwargs))
    if target in SUMS:
        return _average(first, lambda p: _call(target, (p, *args[1:]), kwargs))
    raise Uncertified(f"{name} of what moves has no rule: {COVERED}")


COVERED = (
    "Linear, Conv2d, frozen BatchNorm, Embedding, (leaky) ReLU, tanh, sigmoid, GELU, SiLU, softplus, sums, products, "
    "average and max pooling and reshapes have; method='adaptive' estimates instead"
)

MOVES = {
    torch.flatten, torch.reshape, torch.permute, torch.transpose, torch.squeeze, torch.unsqueeze, F.pad,
    "flatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze", "contiguous", "expand",
    operator.getitem, "unflatten", torch.unflatten,
}  # fmt: skip
"""Functions that only move entries."""

SUMS = {torch.mean, torch.sum, "mean", "sum", F.avg_pool2d, F.adaptive_avg_pool2d}
"""Functions that add entries up with coefficients that are not negative."""


def max_pool(
    x: Model,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Model:
    """The entry that is largest at u = 0, plus as much as another of its window may lie above it."""
    if ceil_mode or return_indices or x.c0.ndim != 4:
        raise Uncertified("MaxPool2d has a rule for batches of images without ceil_mode and indices")
    stride = kernel_size if stride is None or stride == [] else stride
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    c0, at = F.max_pool2d(x.c0, kernel_size, **options, return_indices=True)

    def picked(part: Tensor | None) -> Tensor | None:
        return None if part is None else part.expand_as(x.c0).flatten(2).gather(2, at.flatten(2)).view_as(c0)

    c1, r = picked(x.c1), picked(x.r)
    n, channels, height, width = c0.shape

    def windows(part: Tensor) -> Tensor:
        """Every entry of each window, [n·C, entries, H, W]; zero where it is padded."""
        images = part.flatten(0, 1).unsqueeze(1)
        return F.unfold(images, kernel_size, dilation, padding, stride).unflatten(2, (height, width))

    def against(part: Tensor) -> Tensor:
        return part.reshape(n * channels, 1, height, width)

    above = windows(x.c0) - against(c0)
    size = above.abs()
    for part, own, fold in ((x.c1, c1, torch.sub), (x.r, r, torch.add)):
        if part is not None and own is not None:
            moved = fold(windows(part), against(own)).abs()
            above, size = above + moved, size + moved
    inside = windows(torch.ones_like(x.c0[:1, :1])).bool()
    places = windows(torch.arange(x.c0[0, 0].numel()).to(x.c0).view(1, 1, *x.c0.shape[2:]))
    rivals = torch.where(inside & (places != against(at.to(c0))), above + 16 * UNIT * size, 0.0)
    lead = rivals.amax(1).clamp(min=0).view_as(c0)
    return rounded(c0 + lead / 2, c1, lead / 2 if r is None else r + lead / 2, 8)


def _average(x: Model, fn: Callable[[Tensor], Tensor]) -> Model:
    return x.linear(fn, terms=2 + x.c0.numel() // (len(x.c0) if x.c0.ndim > 1 else 1))


def _joined(target: Any, parts: Any, *args: Any, **kwargs: Any) -> Model:
    models = [model(p) for p in parts]
    columns: list[Tensor | None] = []
    for name in ("c0", "c1", "r"):
        column = [getattr(m, name) for m in models]
        if all(p is None for p in column):
            columns.append(None)
        else:
            filled = [
                torch.zeros_like(m.c0) if p is None else p.expand_as(m.c0) for m, p in zip(models, column, strict=True)
            ]
            columns.append(target(filled, *args, **kwargs))
    assert columns[0] is not None
    return Model(columns[0], columns[1], columns[2])


def _channels(parameter: Model, x: Model) -> Model:
    """One number per channel against an activation [n, C, …]."""
    lead = (1, -1) + (1,) * (x.c0.ndim - 2)
    parts = (parameter.c1, parameter.r)
    return Model(parameter.c0.reshape(lead), *(p if p is None or not p.ndim else p.reshape(lead) for p in parts))


def _call(target: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    if isinstance(target, str):
        name = "reshape" if target == "view" else target
        return getattr(args[0], name)(*args[1:], **kwargs)
    return target(*args, **kwargs)


def _flat(tree: Any) -> list[Any]:
    if isinstance(tree, (tuple, list)):
        return [leaf for item in tree for leaf in _flat(item)]
    return [tree]
