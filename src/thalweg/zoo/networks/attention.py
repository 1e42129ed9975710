"""A small bidirectional transformer encoder that classifies sequences (Vaswani et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.zoo.networks.initial import initialised
from thalweg.zoo.networks.layers import check_counts
from thalweg.zoo.networks.sequences import entrance

FEEDFORWARD = ("relu", "gelu")


class Positions(nn.Embedding):
    """Adds one learned vector to each place of a sequence."""

    def forward(self, x: Tensor) -> Tensor:
        """[n, length, width] to the same shape."""
        return x + self.weight


class Mean(nn.Module):
    """The mean over the places of a sequence."""

    def forward(self, x: Tensor) -> Tensor:
        """[n, length, width] to [n, width]."""
        return x.mean(1)


def encoder(
    classes: int = 10,
    *,
    length: int,
    vocabulary: int | None = None,
    features: int | None = None,
    width: int = 32,
    heads: int = 4,
    layers: int = 2,
    hidden: int = 64,
    norm_first: bool = False,
    activation: str = "gelu",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Tokens [n, length] below ``vocabulary``, or patches [n, length, features], to logits [n, classes].

    An embedding (or a linear map of each patch), learned positions, ``layers`` of torch's
    ``TransformerEncoderLayer`` without mask and without dropout, the mean over places and a linear layer.
    LayerNorm follows each residual sum, or precedes each branch where ``norm_first``.

    Raises
    ------
    InputError
        If not exactly one of vocabulary and features is given, heads do not divide width, a size is below 1,
        or the activation is neither "relu" nor "gelu".
    """
    check_counts(classes=classes, length=length, width=width, heads=heads, layers=layers, hidden=hidden)
    if width % heads:
        raise InputError(f"heads={heads} do not divide width={width}: choose a multiple as width")
    if activation not in FEEDFORWARD:
        raise InputError(f"activation={activation!r} is unknown: choose {', '.join(map(repr, FEEDFORWARD))}")
    enter = entrance(vocabulary, features)

    def build() -> nn.Sequential:
        model = nn.Sequential()
        model.add_module("enter", enter(width))
        model.add_module("positions", Positions(length, width))
        for i in range(layers):
            layer = nn.TransformerEncoderLayer(
                width, heads, hidden, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first
            )
            model.add_module(f"layer{i + 1}", layer)
        model.add_module("mean", Mean())
        model.add_module("head", nn.Linear(width, classes))
        return model.eval()

    return initialised(build, seed, dtype)
