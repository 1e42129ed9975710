"""Initial parameters from a seed: every parameter has its own stream, named after it.

So networks that share a parameter's name and shape share its draw: with and without skips, in any dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from thalweg.core.rng import Stream


class Uniform(nn.Module):
    """A module whose own parameters are uniform in ±``bound``."""

    bound: float


def initialised(build: Callable[[], nn.Sequential], seed: int, dtype: torch.dtype) -> nn.Sequential:
    """The module that ``build`` makes, in ``dtype``, with parameters from the streams ``seed/init/NAME``.

    Convolutions: normal with variance 2/fan_in (He et al. 2015, eq. 10), biases 0. Linear maps, those of
    attention included: weights and biases uniform in ±1/√fan_in, torch's default for linear layers.
    Embeddings: standard normal. Norms: weight 1, bias 0. Draws are float64, then rounded.
    """
    # Constructors of torch draw from the global generator; the fork puts it back as it was.
    with torch.random.fork_rng(devices=[]):
        module = build().to(dtype)
    for name, part in module.named_modules():
        for local, parameter in part.named_parameters(recurse=False):
            generator = Stream(seed, ("init", f"{name}.{local}")).torch()
            parameter.data.copy_(_drawn(part, local, parameter, generator))
    return module


def _drawn(part: nn.Module, local: str, like: Tensor, generator: torch.Generator) -> Tensor:
    def uniform(bound: float) -> Tensor:
        return bound * (2 * torch.rand(like.shape, generator=generator, dtype=torch.float64) - 1)

    def normal(scale: float) -> Tensor:
        return scale * torch.randn(like.shape, generator=generator, dtype=torch.float64)

    if isinstance(part, (_BatchNorm, nn.GroupNorm, nn.LayerNorm)):
        return torch.full_like(like, 1.0 if local == "weight" else 0.0)
    if isinstance(part, nn.Conv2d):
        return normal(math.sqrt(2 / like[0].numel())) if local == "weight" else torch.zeros_like(like)
    if isinstance(part, nn.Linear):
        return uniform(1 / math.sqrt(part.in_features))
    if isinstance(part, nn.MultiheadAttention):
        return uniform(1 / math.sqrt(part.embed_dim))
    if isinstance(part, nn.Embedding):
        return normal(1.0)
    if isinstance(part, Uniform):
        return uniform(part.bound)
    raise TypeError(f"{type(part).__name__}.{local} has no rule for its initial value")
