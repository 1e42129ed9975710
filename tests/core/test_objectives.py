"""Objectives of many kinds (tests/testing holds them to their contract), Gauss–Newton products, graphs, meters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from tests.conftest import DictConvNet, TinyAttention, conv_data
from thalweg.core.objective import Objective
from thalweg.core.statistics import Batch


class CustomSquare(torch.autograd.Function):
    """A function of the old style, without a vmap rule."""

    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, g):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return 2 * x * g


class Custom(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return CustomSquare.apply(self.linear(x))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Branching(nn.Module):
    """Asks for the value of a tensor, which vmap refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.linear(x)
        return z * 2 if z.sum() > 0 else z * 3


class Filling(nn.Module):
    """Writes into a buffer it has just made, which vmap refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(len(x), 2, dtype=x.dtype)
        out[:] = self.linear(x)
        return out.tanh()


def mlp() -> Objective:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))
    return tw.EmpiricalRisk(net, F.cross_entropy, (torch.randn(23, 5), torch.randint(0, 3, (23,))), block_rows=8)


def conv() -> Objective:
    torch.manual_seed(1)
    return tw.EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data(), block_rows=16)


def conv_batch() -> Objective:
    torch.manual_seed(1)
    return tw.EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data(), block_rows=16, statistics=Batch())


def attention() -> Objective:
    torch.manual_seed(1)
    ids = torch.randint(0, 7, (9, 5))
    targets = torch.randint(0, 7, (9, 5))
    targets[0, :3] = -100
    return tw.EmpiricalRisk(TinyAttention(), nn.CrossEntropyLoss(), (ids, targets), block_rows=4)


def recurrent() -> Objective:
    torch.manual_seed(1)
    return tw.EmpiricalRisk(Recurrent(), nn.MSELoss(), (torch.randn(7, 4, 3), torch.randn(7, 2)), block_rows=4)


def custom() -> Objective:
    torch.manual_seed(1)
    return tw.EmpiricalRisk(Custom(), nn.MSELoss(), (torch.randn(7, 3), torch.randn(7, 2)))


def branching() -> Objective:
    torch.manual_seed(1)
    return tw.EmpiricalRisk(Branching(), nn.MSELoss(), (torch.randn(7, 3), torch.randn(7, 2)))


def filling() -> Objective:
    torch.manual_seed(1)
    return tw.EmpiricalRisk(Filling(), nn.MSELoss(), (torch.randn(7, 3), torch.randn(7, 2)))


def encoder() -> Objective:
    torch.manual_seed(1)
    layer = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
    net = nn.Sequential(layer, nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(12, 2)))
    return tw.EmpiricalRisk(net, nn.MSELoss(), (torch.randn(6, 3, 4), torch.randn(6, 2)), block_rows=4)


def formula() -> Objective:
    return tw.Function(lambda x: (x[0] * x[1] - 1) ** 2 + x[2] ** 4, 3, initial=torch.tensor([0.5, -1.0, 2.0]))


def untraceable() -> Objective:
    def fn(x: torch.Tensor) -> torch.Tensor:
        return x.square().sum() * (2.0 if x[0].item() > 0 else 1.0)

    return tw.Function(fn, 3, initial=torch.tensor([0.5, -1.0, 2.0]))


OBJECTIVES: dict[str, Callable[[], Objective]] = {
    f.__name__: f
    for f in (
        mlp,
        conv,
        conv_batch,
        attention,
        encoder,
        recurrent,
        custom,
        branching,
        filling,
        formula,
        untraceable,
    )
}


def nearby(objective: Objective, count: int) -> torch.Tensor:
    noise = torch.randn(count, objective.space.size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return objective.initial.theta + 0.1 * noise


def dense_hessian(objective: Objective, theta: torch.Tensor) -> torch.Tensor:
    """Row by row from two backward passes of the scalar F: works for every module, without kept graphs or batching."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        leaf = theta.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(objective.scalar(leaf), leaf, create_graph=True)
        rows = [torch.autograd.grad(g, leaf, retain_graph=True, materialize_grads=True)[0] for g in gradient]
    return torch.stack(rows)


def test_one_minibatch_per_point() -> None:
    objective = mlp().to(torch.float64)
    thetas = nearby(objective, 2)
    index = torch.tensor([[0, 1, 2], [5, 5, 9]])
    found = objective.rows(index).losses(thetas)
    apart = torch.stack([objective.rows(i).losses(t[None])[0] for i, t in zip(index, thetas, strict=True)])
    torch.testing.assert_close(found, apart, rtol=1e-14, atol=0)


def test_why_directional_derivatives_avoid_nested_forward_mode() -> None:
    """torch 2.13 returns a wrong second derivative for LayerNorm, without a word; when this fails, it is mended."""
    torch.manual_seed(0)
    x, v = torch.randn(4, dtype=torch.float64), torch.randn(4, dtype=torch.float64)

    def f(t: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x + t * v, (4,)).sin().sum()

    def slope(t: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(f, (t,), (torch.ones_like(t),))[1]

    t = torch.zeros((), dtype=torch.float64)
    forward = torch.func.jvp(slope, (t,), (torch.ones_like(t),))[1]
    step = 1e-4
    difference = (f(t + step) - 2 * f(t) + f(t - step)) / step**2
    ours = tw.Function(lambda z: F.layer_norm(z, (4,)).sin().sum(), 4).directional(x, v, 2)[2]
    assert abs(float(ours - difference)) < 1e-4 * abs(float(difference)) + 1e-5
    assert abs(float(forward - difference)) > 1e-2 * abs(float(difference))


def test_directional_derivatives_of_order_four_are_exact_for_a_quartic() -> None:
    quartic = tw.Function(lambda x: x[0] ** 4 + x[0] * x[1], 2, initial=torch.tensor([2.0, 3.0]))
    found = quartic.directional(quartic.initial, torch.tensor([1.0, 0.0]), 4)
    torch.testing.assert_close(found, torch.tensor([22.0, 35.0, 48.0, 48.0, 24.0], dtype=torch.float64))


@pytest.mark.parametrize("name", ["mlp", "conv", "attention"])
def test_gauss_newton_products_agree_with_the_dense_matrix(name: str) -> None:
    objective = OBJECTIVES[name]().to(torch.float64)
    assert isinstance(objective, tw.EmpiricalRisk)
    theta = objective.initial.theta
    jacobian = objective.jacobian(objective.initial).flatten(0, -2)
    outputs = objective.outputs(objective.initial)
    targets = objective.table.targets
    flat = outputs.reshape(-1)
    curvature = torch.func.hessian(lambda z: F.cross_entropy(z.reshape(outputs.shape), targets))(flat)
    expected = jacobian.T @ curvature @ jacobian
    v = torch.randn(1, 2, objective.space.size, dtype=torch.float64)
    with objective.linearized(theta[None]) as linear:
        torch.testing.assert_close(linear.ggn(v)[0], v[0] @ expected, rtol=1e-9, atol=1e-11)


def test_a_plain_function_has_no_gauss_newton_matrix() -> None:
    with formula().linearized(torch.zeros(1, 3)) as linear, pytest.raises(tw.errors.InputError, match="outputs"):
        linear.ggn(torch.zeros(1, 1, 3))


def test_graphs_beyond_the_byte_budget_are_rebuilt() -> None:
    objective = mlp().to(torch.float64)
    assert isinstance(objective, tw.EmpiricalRisk)
    v = torch.randn(1, 2, objective.space.size, dtype=torch.float64)
    with objective.linearized(objective.initial.theta[None]) as linear:
        kept = linear.hvp(v)
        assert linear.kept_bytes > 0
        linear.close()
        linear._graph_bytes = 0
        rebuilt = linear.hvp(v)
        assert linear.kept_bytes == 0
    torch.testing.assert_close(kept, rebuilt, rtol=0, atol=0)


def test_the_users_module_is_never_touched() -> None:
    torch.manual_seed(0)
    net = DictConvNet().train()
    before = {name: x.clone() for name, x in net.state_dict().items()}
    risk = tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), conv_data(), statistics=tw.core.statistics.Recalibrate())
    risk.losses(nearby(risk.to(torch.float64), 2).float())
    assert net.training and all(p.requires_grad for p in net.parameters())
    assert all(torch.equal(x, before[name]) for name, x in net.state_dict().items())


def test_frozen_parameters_are_constants() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    net[0].requires_grad_(False)
    risk = tw.EmpiricalRisk(net, nn.MSELoss(), (torch.randn(5, 3), torch.randn(5, 2)))
    assert risk.space.names == ("1.weight", "1.bias")


def test_tied_parameters_count_once() -> None:
    assert attention().space.size == 7 * 8 + 24 * 8 + 24 + 16


def test_metered_counts_shares_of_the_rows() -> None:
    objective = mlp()
    metered = tw.Metered(objective)
    thetas = nearby(objective.to(torch.float64), 4).float()
    metered.losses(thetas)
    metered.value_and_grad(thetas[:1])
    metered.rows(torch.arange(23 // 2)).value_and_grad(thetas[:1])
    with metered.linearized(thetas[:2]) as linear:
        linear.hvp(torch.zeros(2, 3, objective.space.size))
    cost = metered.meter.cost
    assert (cost.forwards, cost.backwards, cost.products) == (4, 1 + 11 / 23, 6)
    assert cost.rows == 4 * 23 + 23 + 11 + 6 * 23


def test_a_budget_ends_the_work() -> None:
    metered = tw.Metered(mlp(), tw.Budget(gradients=1))
    with pytest.raises(tw.errors.BudgetSpent, match="raise the budget"):
        metered.value_and_grad(nearby(mlp().to(torch.float64), 3).float())


@pytest.mark.parametrize("statistics", [tw.core.statistics.Recalibrate(), Batch()])
def test_a_single_row_cannot_be_normalised_by_itself(statistics: tw.core.statistics.Statistics) -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    one = tw.EmpiricalRisk(net, nn.MSELoss(), (torch.randn(1, 3), torch.randn(1, 1)))
    with pytest.raises(tw.errors.InputError, match=r"one row cannot be normalised by itself: .* statistics='freeze'"):
        one.with_statistics(statistics).losses(one.initial.theta[None])
