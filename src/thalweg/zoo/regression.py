"""Regressions small enough to know everything about: a polynomial, deep linear networks, a wide one on few samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream
from thalweg.errors import InputError
from thalweg.zoo.networks import mlp

_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": lambda z, t: (z - t) ** 2,
    "absolute": lambda z, t: (z - t).abs(),
}


def polynomial(
    seed: int = 0,
    coefficients: Sequence[float] = (0.1, 0.25, 0.5),
    widths: Sequence[int] = (1, 4, 4, 1),
    activation: str = "relu",
    biases: bool = True,
    loss: str = "squared",
    rows: int = 100,
    dtype: torch.dtype = torch.float64,
) -> EmpiricalRisk:
    """A 1-4-4-1 network that learns Σ coefficients[i]·xⁱ on x ~ U[0, 1] (Freeman & Bruna 2017, §4.1).

    Mean over rows of the squared (or absolute) error. The default polynomial .5x² + .25x + .1 is the one of
    the authors' code; ``coefficients=(0, 3, -10, 8)`` is their cubic.

    Raises
    ------
    InputError
        If the loss is unknown or rows is below 1.
    """
    if loss not in _LOSSES:
        raise InputError(f"loss={loss!r} is unknown: choose {', '.join(map(repr, _LOSSES))}")
    if rows < 1:
        raise InputError(f"rows={rows}: at least 1 is needed")
    x = torch.rand(rows, 1, generator=Stream(seed, ("data",)).torch(), dtype=torch.float64)
    y = sum((c * x**i for i, c in enumerate(coefficients)), torch.zeros_like(x))
    model = mlp(widths, activation=activation, biases=biases, seed=seed, dtype=dtype)
    return EmpiricalRisk(model, _LOSSES[loss], (x.to(dtype), y.to(dtype)))


def deep_linear(
    seed: int = 0,
    widths: Sequence[int] = (3, 3, 3),
    rows: int = 50,
    noise: float = 0.0,
    dtype: torch.dtype = torch.float64,
) -> EmpiricalRisk:
    """A linear network of these widths on y = Φx + noise, F = 1/(2n) Σ‖W_L…W_1 x − y‖² (no biases).

    Inputs are standard normal and Φ has standard normal entries, from the stream ``seed/data``.

    Raises
    ------
    InputError
        If rows is below 1.
    """
    if rows < 1:
        raise InputError(f"rows={rows}: at least 1 is needed")
    generator = Stream(seed, ("data",)).torch()
    x = torch.randn(rows, widths[0], generator=generator, dtype=torch.float64)
    target = torch.randn(widths[-1], widths[0], generator=generator, dtype=torch.float64)
    y = x @ target.T + noise * torch.randn(rows, widths[-1], generator=generator, dtype=torch.float64)
    model = mlp(widths, activation="linear", biases=False, seed=seed, dtype=dtype)
    return EmpiricalRisk(model, half_squared, (x.to(dtype), y.to(dtype)))


def wide_tanh(
    seed: int = 0,
    rows: int = 8,
    inputs: int = 3,
    width: int = 32,
    outputs: int = 1,
    dtype: torch.dtype = torch.float64,
) -> EmpiricalRisk:
    """One layer of tanh units, more than there are samples, on standard normal inputs and targets; mean squared error.

    Its features have rank ``rows`` at almost every point, so that the last layer alone can fit anything.

    Raises
    ------
    InputError
        If rows is below 1.
    """
    if rows < 1:
        raise InputError(f"rows={rows}: at least 1 is needed")
    generator = Stream(seed, ("data",)).torch()
    x = torch.randn(rows, inputs, generator=generator, dtype=torch.float64)
    y = torch.randn(rows, outputs, generator=generator, dtype=torch.float64)
    model = mlp((inputs, width, outputs), activation="tanh", seed=seed, dtype=dtype)
    return EmpiricalRisk(model, nn.MSELoss(), (x.to(dtype), y.to(dtype)))


def half_squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """½‖outputs − targets‖² of each row, [n]."""
    return 0.5 * (outputs - targets).square().reshape(len(outputs), -1).sum(1)
