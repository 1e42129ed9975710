"""Fully connected networks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import nn

from thalweg.core.rng import Stream
from thalweg.errors import InputError
from thalweg.zoo.networks.layers import activation_of


def mlp(
    widths: Sequence[int],
    *,
    activation: str = "relu",
    biases: bool = True,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Linear layers of these widths with an activation between them.

    Weights and biases are uniform in ±1/√fan_in, torch's own default, from the stream ``seed/init``.

    Raises
    ------
    InputError
        If there are fewer than two widths, a width is below 1, or the activation is unknown.
    """
    if len(widths) < 2 or any(int(w) < 1 for w in widths):
        raise InputError(f"widths={list(widths)}: give at least an input and an output width, each at least 1")
    act = activation_of(activation)
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        layer = nn.utils.skip_init(nn.Linear, fan_in, fan_out, bias=biases, dtype=dtype)
        generator = Stream(seed, ("init", str(i))).torch()
        for parameter in layer.parameters():
            draw = torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.data.copy_((2 * draw - 1) / math.sqrt(fan_in))
        layers.append(layer)
        if i < len(widths) - 2 and activation != "linear":
            layers.append(act())
    return nn.Sequential(*layers)
