"""Rules for the layers that a stack of networks runs natively.

Each takes the module, its parameters by local name and its input, and returns the output. A parameter is a tensor
where all points share it and otherwise a :class:`Stack` in its own shape. Every rule is exact: where it would have
to multiply two values that both depend on the coefficients, it asks for them first (:class:`Late`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.core.stacked.values import Layout, Stack, Value, fixed, lifted, product_of, summed

Rule = Callable[..., Value]
Local = Mapping[str, Value]


class Unsupported(Exception):
    """The network holds something that cannot be stacked; the message says what."""


def linear(module: nn.Linear, own: Local, x: Value) -> Value:
    """Outputs x Wᵀ + b; one product for all points where they share the input."""
    weight, bias = own["weight"], own.get("bias")
    if not isinstance(weight, Stack) and not isinstance(x, Stack):
        if not isinstance(bias, Stack):
            return F.linear(x, weight, bias)
        return _shifted(lifted(F.linear(x, weight), bias), bias, _trailing)
    if not isinstance(x, Stack):
        if x.ndim == 2:
            members, out, inner = weight.data.shape
            product = weight.data.reshape(members * out, inner) @ x.T
            return _biased(Stack(product.reshape(members, out, len(x)), Layout.FEATURES, weight.which), bias)
        x = lifted(x, weight)
    if not isinstance(weight, Stack):
        weight = Stack(weight.unsqueeze(0), Layout.ROWS, () if x.which is not None else None)
    which = product_of(x, weight)
    if x.layout is Layout.FEATURES:
        members = max(x.size, weight.size)
        out = torch.bmm(*(y.data.expand(members, -1, -1) for y in (weight, x)))
        return _biased(Stack(out, Layout.FEATURES, which), bias)
    natural = x.natural
    flat = natural.reshape(len(natural), -1, natural.shape[-1])
    out = torch.matmul(flat, weight.data.transpose(1, 2))
    return _biased(Stack.of(out.reshape(len(out), *natural.shape[1:-1], -1), which), bias, _trailing)


def conv2d(module: nn.Conv2d, own: Local, x: Value) -> Value:
    """A convolution in as many groups as there are points; plain where they share the input or are one."""
    if module.padding_mode != "zeros":
        raise Unsupported(f"Conv2d with padding_mode={module.padding_mode!r}")
    weight, bias = own["weight"], own.get("bias")
    options: dict[str, Any] = {k: getattr(module, k) for k in ("stride", "padding", "dilation")}
    if not isinstance(weight, Stack) and not isinstance(x, Stack):
        if not isinstance(bias, Stack):
            return F.conv2d(x, weight, bias, groups=module.groups, **options)
        return _shifted(lifted(F.conv2d(x, weight, groups=module.groups, **options), bias), bias, _channel)
    if not isinstance(x, Stack):
        x = lifted(x, weight)
    if not isinstance(weight, Stack):
        weight = Stack(weight.unsqueeze(0), Layout.ROWS, () if x.which is not None else None)
    if x.layout is not Layout.IMAGES:
        raise Unsupported("Conv2d on something that is no batch of images")
    which, members = product_of(x, weight), max(x.size, weight.size)
    n, given, channels, *size = x.data.shape
    kernels = weight.data.expand(members, *weight.data.shape[1:]).reshape(-1, *weight.data.shape[2:])
    if given == 1 and module.groups == 1:  # the points differ in their weights alone: more output channels
        out = F.conv2d(x.data.squeeze(1), kernels, **options)
    else:
        images = x.data.expand(n, members, channels, *size).reshape(n, members * channels, *size)
        out = F.conv2d(images, kernels, groups=members * module.groups, **options)
    out = out.unflatten(1, (members, module.out_channels))
    return _biased(Stack(out, Layout.IMAGES, which), bias)


def frozen_norm(module: Any, own: Local, x: Value) -> Value:
    """BatchNorm with fixed mean and variance: a scale and a shift of each channel."""
    scale, shift = scale_and_shift(module, own)
    if not isinstance(x, Stack):
        if not isinstance(scale, Stack) and not isinstance(shift, Stack):
            lead = (1, -1) + (1,) * (x.ndim - 2)
            return x * scale.reshape(lead) + shift.reshape(lead)
        x = lifted(x, scale, shift)
    if x.layout is Layout.ROWS:
        raise Unsupported(f"{type(module).__name__} on inputs that are neither features nor images")
    return _shifted(_scaled(x, scale, _channel), shift, _channel)


def scale_and_shift(module: Any, own: Local) -> tuple[Value, Value]:
    """γ/√(var + ε) and β − mean·γ/√(var + ε), shared or one per point."""
    if own.get("running_mean") is None:
        raise Unsupported(f"{type(module).__name__} that normalises by the batch at hand")
    mean, root = own["running_mean"], torch.rsqrt(own["running_var"] + module.eps)
    gamma, beta = own.get("weight"), own.get("bias")
    scale = root if gamma is None else _outer(gamma, root)
    moved = _outer(scale, -mean)
    return scale, moved if beta is None else _added(beta, moved)


def folded(module: nn.Module, own: Local, norm: Any, inside: Local, x: Value, layer: Rule) -> Value:
    """A layer and the frozen BatchNorm behind it as one layer, so that the activations are touched once."""
    scale, shift = scale_and_shift(norm, inside)
    weight, bias = own["weight"], own.get("bias")
    weight = _outer(weight, scale)
    bias = shift if bias is None else _added(_outer(bias, scale), shift)
    return layer(module, {"weight": weight, "bias": bias}, x)


def layer_norm(module: nn.LayerNorm, own: Local, x: Value) -> Value:
    """Each row by its own mean and variance."""
    given = {name: own[name] for name in ("weight", "bias") if own.get(name) is not None}
    if not isinstance(x, Stack):
        if not any(isinstance(v, Stack) for v in given.values()):
            return F.layer_norm(x, module.normalized_shape, given.get("weight"), given.get("bias"), module.eps)
        x = lifted(F.layer_norm(x, module.normalized_shape, None, None, module.eps), *given.values())
    elif x.layout is Layout.FEATURES:
        data = fixed(x).data
        centred = data - data.mean(1, keepdim=True)
        x = x.like(centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + module.eps))
    else:
        x = Stack.of(F.layer_norm(fixed(x).natural, module.normalized_shape, None, None, module.eps))
    if "weight" in given:
        x = _scaled(x, given["weight"], _trailing)
    return _shifted(x, given["bias"], _trailing) if "bias" in given else x


def elementwise(fn: Callable[[Tensor], Tensor]) -> Callable[[Value], Value]:
    """A function of each entry, in whatever layout."""

    def rule(x: Value) -> Value:
        return fixed(x).like(fn(x.data)) if isinstance(x, Stack) else fn(x)

    return rule


def spatial(fn: Callable[[Tensor], Tensor], *, linear: bool) -> Callable[[Value], Value]:
    """A function of each channel of an image, such as pooling."""

    def rule(x: Value) -> Value:
        if not isinstance(x, Stack):
            return fn(x)
        if x.layout is not Layout.IMAGES:
            raise Unsupported("pooling of something that is no batch of images")
        if not linear:
            fixed(x)
        return x.like(fn(x.data.flatten(1, 2)).unflatten(1, x.data.shape[1:3]))

    return rule


# --- what the rules share ---------------------------------------------------------------------------------

Place = Callable[[Stack, Tensor], Tensor]
"""Puts a parameter [S, …] against the layout of an activation."""


def _channel(x: Stack, data: Tensor) -> Tensor:
    """[S, C]: one number per channel."""
    if x.layout is Layout.FEATURES:
        return data.unsqueeze(2)
    if x.layout is Layout.IMAGES:
        return data.unsqueeze(0)[..., None, None]
    return data.reshape(len(data), *(1,) * (x.data.ndim - 2), -1)


def _trailing(x: Stack, data: Tensor) -> Tensor:
    """[S, *shape]: one number per entry of the last axes."""
    if x.layout is Layout.FEATURES:
        return data.unsqueeze(2)
    axes = 5 if x.layout is Layout.IMAGES else x.data.ndim
    lead = data.reshape(len(data), *(1,) * (axes - data.ndim), *data.shape[1:])
    return lead.transpose(0, 1) if x.layout is Layout.IMAGES else lead


def _scaled(x: Stack, factor: Value, place: Place) -> Stack:
    if not isinstance(factor, Stack):
        return x.like(x.data * place(x, factor.unsqueeze(0)))
    which = product_of(x, factor)  # before the product, whose members need not even match
    return Stack(x.data * place(x, factor.data), x.layout, which)


def _shifted(x: Stack, term: Value, place: Place) -> Stack:
    if not isinstance(term, Stack):
        term = Stack(term.unsqueeze(0), Layout.ROWS, None if x.which is None else ())
    return summed(x, Stack(place(x, term.data), x.layout, term.which))


def _biased(x: Stack, bias: Value, place: Place | None = None) -> Stack:
    """Plus one bias per output, in place where the members match: x was made by the rule that calls this.

    Not where gradients are taken: autograd copies what is changed through a view.
    """
    place = place or _channel
    if bias is None:
        return x
    if torch.is_grad_enabled():
        return _shifted(x, bias, place)
    if isinstance(bias, Stack) and (bias.which != x.which or bias.size > x.size):
        return _shifted(x, bias, place)
    if isinstance(bias, Stack):
        return x.like(x.data.add_(place(x, bias.data)))
    term = place(x, bias.unsqueeze(0))
    if x.which is None:
        return x.like(x.data.add_(term))
    x.data.narrow(x.axis, 0, 1).add_(term)
    return x


def _outer(value: Value, scale: Value) -> Value:
    """A parameter [out, …] times one number per output."""
    rank = value.data.ndim - 1 if isinstance(value, Stack) else value.ndim
    if not isinstance(scale, Stack):
        factor = scale.reshape(-1, *(1,) * (rank - 1))
        return value.like(value.data * factor) if isinstance(value, Stack) else value * factor
    factors = scale.data.reshape(*scale.data.shape, *(1,) * (rank - 1))
    if not isinstance(value, Stack):
        return scale.like(value * factors)
    which = product_of(value, scale)
    return Stack(value.data * factors, Layout.ROWS, which)


def _added(a: Value, b: Value) -> Value:
    """The sum of two parameters of one shape."""
    if not isinstance(a, Stack) and not isinstance(b, Stack):
        return a + b
    affine = any(isinstance(v, Stack) and v.which is not None for v in (a, b))
    one, other = (v if isinstance(v, Stack) else Stack(v.unsqueeze(0), which=() if affine else None) for v in (a, b))
    return summed(one, other)
