"""Normalising layers on Taylor models: fixed statistics are a scale and a shift, those of a row move with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from thalweg.paths.certificate.activations import SQUARE
from thalweg.paths.certificate.elementary import RSQRT, clipped
from thalweg.paths.certificate.model import UNIT, Model, Uncertified, plus, rounded, times

Local = Mapping[str, Model]


def frozen_norm(layer: Any, own: Local, x: Model) -> Model:
    """BatchNorm with fixed statistics: a scale and a shift of each channel."""
    if "running_mean" not in own:
        raise Uncertified(f"{type(layer).__name__} normalises by the batch at hand: freeze its statistics")
    variance = own["running_var"].c0 + layer.eps
    scale = rounded(torch.rsqrt(variance), None, None, 8)
    centred = plus(x, channels(own["running_mean"], x), -1)
    if "weight" in own:
        scale = times(scale, own["weight"])
    return _shifted(times(centred, channels(scale, x)), own, x)


def layer_norm(layer: Any, own: Local, x: Model) -> Model:
    """LayerNorm over the last dimensions."""
    return scaled(normalised(x, len(layer.normalized_shape), layer.eps), own.get("weight"), own.get("bias"))


def rms_norm(layer: Any, own: Local, x: Model) -> Model:
    """RMSNorm over the last dimensions."""
    eps = torch.finfo(x.c0.dtype).eps if layer.eps is None else layer.eps
    return scaled(normalised(x, len(layer.normalized_shape), eps, centred=False), own.get("weight"), None)


def group_norm(layer: Any, own: Local, x: Model) -> Model:
    """GroupNorm: every row's groups of channels, each normalised by itself."""
    shape = x.c0.shape
    grouped = x.linear(lambda p: p.expand(shape).reshape(shape[0], layer.num_groups, -1))
    found = normalised(grouped, 1, layer.eps).linear(lambda p: p.reshape(shape))
    if "weight" in own:
        found = times(found, channels(own["weight"], x))
    return _shifted(found, own, x)


def normalised(x: Model, dims: int, eps: float, *, centred: bool = True) -> Model:
    """X − mean over the root of its mean square + eps, over the last dimensions.

    The mean square is not negative, whatever its model says, and no entry of the answer exceeds √n in size.
    """
    over = tuple(range(-dims, 0))
    count = math.prod(x.c0.shape[-dims:])

    def mean(p: Tensor) -> Tensor:
        return p.mean(over, keepdim=True)

    if centred:
        x = plus(x, x.linear(mean, count + 1), -1)
    square = plus(SQUARE(x).linear(mean, count + 1), Model(x.c0.new_tensor(eps)))
    found = times(x, RSQRT(square, eps * (1 - 4 * UNIT)))
    most = math.sqrt(count) * (1 + 16 * UNIT)
    return clipped(found, -most, most)


def scaled(x: Model, weight: Model | None, bias: Model | None) -> Model:
    """Times a weight, plus a bias, where there is one."""
    found = x if weight is None else times(x, weight)
    return found if bias is None else plus(found, bias)


def channels(parameter: Model, x: Model) -> Model:
    """One number per channel against an activation [n, C, …]."""
    lead = (1, -1) + (1,) * (x.c0.ndim - 2)
    parts = (parameter.c1, parameter.r)
    return Model(parameter.c0.reshape(lead), *(p if p is None or not p.ndim else p.reshape(lead) for p in parts))


def _shifted(found: Model, own: Local, x: Model) -> Model:
    return plus(found, channels(own["bias"], x)) if "bias" in own else found
