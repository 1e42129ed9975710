"""Custom autograd functions whose second derivative torch drops in silence are refused; others are left alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import thalweg as tw
from thalweg.curvature import Operator
from thalweg.errors import InputError


class Once(torch.autograd.Function):
    """x³, whose backward torch was told not to differentiate."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return 3 * ctx.saved_tensors[0] ** 2 * g


class Dropped(torch.autograd.Function):
    """x³, whose backward has the derivative as a number: torch can differentiate it, and misses a term."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.slope = 3 * x.detach() ** 2
        return x**3

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return ctx.slope * g


class Detached(torch.autograd.Function):
    """x³, whose backward does not know that it is linear in what comes in."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return 3 * ctx.saved_tensors[0] ** 2 * g.detach()


class Rounded(torch.autograd.Function):
    """A quantiser: rounds forwards, passes through backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return (8 * x).round() / 8

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g


class Applied(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.inner, self.outer, self.function = nn.Linear(3, 4), nn.Linear(4, 2), function

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(torch.relu(self.function.apply(self.inner(x))))


def risk(function: Any, loss: Any = None) -> tw.EmpiricalRisk:
    torch.manual_seed(0)
    x, y = torch.randn(30, 3).double(), torch.randn(30, 2).double()
    return tw.EmpiricalRisk(Applied(function).double(), loss or nn.MSELoss(), (x, y))


def dense(objective: tw.EmpiricalRisk, kind: Any) -> Tensor:
    with Operator(objective, objective.initial, kind) as matrix:
        return matrix.dense()


class Cube:
    """The same function in torch operations: what the matrices should be."""

    @staticmethod
    def apply(x: Tensor) -> Tensor:
        return x**3


@pytest.mark.parametrize("kind", ["hessian", "ggn", "fisher", "residual"])
@pytest.mark.parametrize("function", [Once, Detached])
def test_what_may_be_differentiated_once_is_refused(function: Any, kind: Any) -> None:
    with pytest.raises(InputError, match=f"^{function.__name__}.*(once_differentiable|keeps part of it)"):
        dense(risk(function), kind)


def test_torch_itself_says_nothing() -> None:
    """The control: through both functions torch returns a second derivative without a word, and it is wrong."""
    for function in (Once, Dropped):
        leaf = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(function.apply(leaf).square().sum(), leaf, create_graph=True)
        (second,) = torch.autograd.grad(slope + 0 * leaf, leaf)
        assert float(second) != pytest.approx(30 * 2.0**4, rel=0.1)


def test_a_dropped_derivative_is_refused_where_it_counts() -> None:
    objective, plain = risk(Dropped), risk(Cube)
    with pytest.raises(InputError, match=r"Dropped: products .* from differences"):
        dense(objective, "hessian")
    for kind in ("ggn", "fisher"):  # these take first derivatives of the layers alone
        torch.testing.assert_close(dense(objective, kind), dense(plain, kind), rtol=1e-12, atol=1e-14)


def test_a_loss_that_may_be_differentiated_once_is_refused() -> None:
    objective = risk(Cube, lambda z, t: Once.apply((z - t).abs()).sum(1))
    for kind in ("hessian", "ggn"):
        with pytest.raises(InputError, match=r"^Once"):
            dense(objective, kind)


def test_directional_derivatives_refuse_it_too() -> None:
    objective = risk(Once)
    with pytest.raises(InputError, match="Once may be differentiated once only"):
        objective.directional(objective.initial, torch.ones(objective.space.size))
    found = risk(Cube).directional(objective.initial, torch.ones(objective.space.size))
    assert float(found[2].abs()) > 1e-3


class Kinked(torch.autograd.Function):
    """A ReLU of one's own, of the old style."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g * (ctx.saved_tensors[0] > 0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_kinks_and_rounding_refuse_nothing(dtype: torch.dtype) -> None:
    objective = risk(Kinked).to(dtype)
    for seed in range(10):
        noise = torch.randn(objective.space.size, generator=torch.Generator().manual_seed(seed)).to(dtype)
        for kind in ("hessian", "ggn", "fisher"):
            with Operator(objective, noise, kind) as matrix:  # type: ignore[arg-type]
                assert matrix(torch.ones(1, matrix.size)).isfinite().all()


def test_a_quantiser_has_no_curvature() -> None:
    """What torch would return is of no function: forwards it is a staircase, backwards a line."""
    with pytest.raises(InputError, match=r"Rounded.*not the derivative of forward"):
        dense(risk(Rounded), "hessian")
