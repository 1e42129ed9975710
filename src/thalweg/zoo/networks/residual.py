"""Residual networks for small images (He et al. 2016), and the same without skips (Li et al. 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.zoo.networks.initial import initialised
from thalweg.zoo.networks.layers import activation_of, check_counts, conv, norm_of, normalisation, repeats

STAGES = (16, 32, 64)
"""Channels of the three stages at width 1; height and width are halved, rounded up, between stages."""

SHORTCUTS = ("pad", "projection")


class Subsample(nn.Module):
    """Every second row and column, and ``extra`` channels of zeros: option A of He et al. 2016, §3.3."""

    def __init__(self, stride: int, extra: int) -> None:
        super().__init__()
        self.stride, self.extra = stride, extra

    def forward(self, x: Tensor) -> Tensor:
        """[n, C, H, W] to [n, C + extra, ⌈H/stride⌉, ⌈W/stride⌉]."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


class Block(nn.Module):
    """φ(norm(conv(φ(norm(conv(x))))) + shortcut(x)); ``shortcut=None`` leaves the sum out."""

    def __init__(
        self, inside: int, outside: int, stride: int, shortcut: nn.Module | None, norm: str | None, activation: str
    ) -> None:
        super().__init__()
        act = activation_of(activation)
        self.conv1 = conv(inside, outside, 3, norm, stride)
        self.norm1 = normalisation(norm, outside)
        self.act1 = act()
        self.conv2 = conv(outside, outside, 3, norm)
        self.norm2 = normalisation(norm, outside)
        self.shortcut = shortcut
        self.act2 = act()

    def forward(self, x: Tensor) -> Tensor:
        """[n, inside, H, W] to [n, outside, ⌈H/stride⌉, ⌈W/stride⌉]."""
        y = self.norm2(self.conv2(self.act1(self.norm1(self.conv1(x)))))
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return self.act2(y)


def resnet(
    depth: int,
    classes: int = 10,
    *,
    channels: int = 3,
    width: float = 1,
    skip: bool = True,
    shortcut: str = "pad",
    norm: str | None = "batch",
    activation: str = "relu",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """The ResNet of He et al. 2016, §4.2, for images [n, channels, H, W] of any size; logits [n, classes].

    ``depth`` = 6n + 2: a 3×3 convolution, three stages of n blocks with 16, 32 and 64 channels times ``width``
    (which may be a fraction), global average pooling and a linear layer. ``shortcut`` is what a skip does where
    the shape changes: "pad" is option A of the paper, without parameters and the paper's choice for CIFAR-10;
    "projection" is option B, a 1×1 convolution with its norm. ``skip=False`` leaves out every residual sum, and
    projections with it ("noshort" of Li et al. 2018); parameters that both networks have are equal. ``norm``
    follows every convolution: "batch", "layer" or "group" (GroupNorm of Wu & He 2018 in one group, or in at most
    8), or None (or "none"): convolutions then have biases, and without a norm the variance of the activations
    about doubles from block to block at the start.

    ResNet-20 has 269,722 parameters (0.27 M in Table 6 of the paper), ResNet-8 75,290, with projections 78,042.

    Raises
    ------
    InputError
        If ``depth`` is no 6n + 2, 16·width no positive whole number, or a name is unknown.
    """
    n = repeats(depth, 2, "ResNet for small images")
    check_counts(classes=classes, channels=channels)
    norm = norm_of(norm)
    activation_of(activation)
    if not isinstance(skip, bool):
        raise InputError(f"skip={skip!r} is neither true nor false")
    if shortcut not in SHORTCUTS:
        raise InputError(f"shortcut={shortcut!r} is unknown: choose {', '.join(map(repr, SHORTCUTS))}")
    if isinstance(width, bool) or not isinstance(width, (int, float)) or not width > 0 or (STAGES[0] * width) % 1:
        raise InputError(f"width={width!r}: {STAGES[0]}·width channels must be a positive whole number")
    widths = [int(c * width) for c in STAGES]

    def passing(inside: int, outside: int, stride: int) -> nn.Module | None:
        if not skip:
            return None
        if inside == outside:
            return nn.Identity()
        if shortcut == "pad":
            return Subsample(stride, outside - inside)
        return nn.Sequential(conv(inside, outside, 1, norm, stride), normalisation(norm, outside))

    def build() -> nn.Sequential:
        model = nn.Sequential()
        model.add_module("conv", conv(channels, widths[0], 3, norm))
        model.add_module("norm", normalisation(norm, widths[0]))
        model.add_module("act", activation_of(activation)())
        inside = widths[0]
        for i, outside in enumerate(widths):
            stage = nn.Sequential()
            for j in range(n):
                stride = 2 if i > 0 and j == 0 else 1
                way = passing(inside, outside, stride)
                stage.append(Block(inside, outside, stride, way, norm, activation))
                inside = outside
            model.add_module(f"stage{i + 1}", stage)
        model.add_module("pool", nn.AdaptiveAvgPool2d(1))
        model.add_module("flatten", nn.Flatten())
        model.add_module("head", nn.Linear(inside, classes))
        return model

    return initialised(build, seed, dtype)
