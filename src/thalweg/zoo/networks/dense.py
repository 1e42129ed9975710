"""DenseNet-BC for small images (Huang et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thalweg.zoo.networks.initial import initialised
from thalweg.zoo.networks.layers import activation_of, check_counts, conv, norm_of, normalisation, repeats

BOTTLENECK = 4
"""Channels between the two convolutions of a layer, in growth rates."""


class Layer(nn.Module):
    """conv3×3(φ(norm(conv1×1(φ(norm(x)))))) appended to x."""

    def __init__(self, inside: int, growth: int, norm: str | None, activation: str) -> None:
        super().__init__()
        act, between = activation_of(activation), BOTTLENECK * growth
        self.new = nn.Sequential(
            normalisation(norm, inside), act(), conv(inside, between, 1, norm),
            normalisation(norm, between), act(), conv(between, growth, 3, norm),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """[n, inside, H, W] to [n, inside + growth, H, W]."""
        return torch.cat([x, self.new(x)], 1)


def densenet(
    depth: int,
    classes: int = 10,
    *,
    channels: int = 3,
    growth: int = 12,
    norm: str | None = "batch",
    activation: str = "relu",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """The DenseNet-BC of Huang et al. 2017, §3, for images [n, channels, H, W] of at least 4×4; logits [n, classes].

    ``depth`` = 6n + 4: a 3×3 convolution to 2·growth channels, three blocks of n layers (a 1×1 convolution to
    4·growth channels and a 3×3 one to ``growth``), between them a 1×1 convolution to half the channels, rounded
    down, and 2×2 average pooling; global average pooling and a linear layer. ``norm`` precedes every convolution
    but the first; its kinds are those of :func:`thalweg.zoo.networks.resnet`.

    DenseNet-BC of depth 100 and growth 12 has 769,162 parameters (0.8 M in Table 2 of the paper).

    Raises
    ------
    InputError
        If ``depth`` is no 6n + 4, growth is below 1, or a name is unknown.
    """
    n = repeats(depth, 4, "DenseNet-BC")
    check_counts(classes=classes, channels=channels, growth=growth)
    norm = norm_of(norm)
    act = activation_of(activation)

    def build() -> nn.Sequential:
        model = nn.Sequential()
        inside = 2 * growth
        # No norm follows this convolution directly, but the blocks begin with one.
        model.add_module("conv", conv(channels, inside, 3, norm))
        for i in range(3):
            block = nn.Sequential()
            for _ in range(n):
                block.append(Layer(inside, growth, norm, activation))
                inside += growth
            model.add_module(f"block{i + 1}", block)
            if i < 2:
                half = nn.Sequential(
                    normalisation(norm, inside), act(), conv(inside, inside // 2, 1, norm), nn.AvgPool2d(2)
                )
                model.add_module(f"transition{i + 1}", half)
                inside //= 2
        model.add_module("norm", normalisation(norm, inside))
        model.add_module("act", act())
        model.add_module("pool", nn.AdaptiveAvgPool2d(1))
        model.add_module("flatten", nn.Flatten())
        model.add_module("head", nn.Linear(inside, classes))
        return model

    return initialised(build, seed, dtype)
