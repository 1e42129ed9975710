"""What the networks for images share: convolutions, normalisations, activations, and the depths that exist."""

from __future__ import annotations

import math

from torch import nn

from thalweg.errors import InputError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
    "linear": nn.Identity,
}

NORMS = ("batch", "layer", "group", "none")

GROUPS = 8
"""Most groups of ``norm="group"``; the greatest common divisor with the channels is taken."""


def activation_of(name: str) -> type[nn.Module]:
    """The activation of that name.

    Raises
    ------
    InputError
        If it is unknown.
    """
    if name not in ACTIVATIONS:
        raise InputError(f"activation={name!r} is unknown: choose {', '.join(map(repr, ACTIVATIONS))}")
    return ACTIVATIONS[name]


def norm_of(norm: str | None) -> str | None:
    """One of :data:`NORMS`, None for "none", which the command line can say.

    Raises
    ------
    InputError
        If it is unknown.
    """
    if norm is not None and norm not in NORMS:
        raise InputError(f"norm={norm!r} is unknown: choose {', '.join(map(repr, NORMS))}")
    return None if norm == "none" else norm


def check_counts(**counts: int) -> None:
    """Refuse sizes that are no positive whole number.

    Raises
    ------
    InputError
        With the first of them.
    """
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name}={value!r}: give a whole number, at least 1")


def repeats(depth: int, offset: int, kind: str) -> int:
    """N of a network with 6n + ``offset`` layers.

    Raises
    ------
    InputError
        If there is no such n >= 1; the nearest depths are given.
    """
    check_counts(depth=depth)
    n, rest = divmod(depth - offset, 6)
    if n < 1 or rest:
        near = [6 * i + offset for i in (n, n + 1) if i >= 1] or [6 + offset]
        raise InputError(
            f"depth={depth}: a {kind} has 6n + {offset} layers, n >= 1; the nearest depth is "
            f"{' or '.join(map(str, near))}"
        )
    return n


def conv(inside: int, outside: int, size: int, norm: str | None, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps height and width at stride 1; it has a bias only where no norm has one."""
    return nn.Conv2d(inside, outside, size, stride=stride, padding=size // 2, bias=norm is None)


def normalisation(norm: str | None, channels: int) -> nn.Module:
    """BatchNorm; GroupNorm over all channels and positions of a row ("layer") or in groups; or nothing."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm is None:
        return nn.Identity()
    return nn.GroupNorm(1 if norm == "layer" else math.gcd(GROUPS, channels), channels)
