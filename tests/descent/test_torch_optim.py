"""Rules as optimizers of torch: on a DataLoader loop, with groups, resumed, and equal to the descent loop."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.descent.test_descent import problem
from thalweg.descent import Assumptions, Descent, EntropySGD, Info, Perturbed, RowStep, Rule, State, named
from thalweg.descent.kicks import Ball
from thalweg.descent.torch_optim import CNCSchedule, PerturbedOptimizer, RuleOptimizer, _Batch
from thalweg.errors import InputError
from thalweg.records import RunStatus

NAMES = ["gradient_descent", "nesterov", "adam", "sam", "noisy", "sgld", "normalized", "perturbed", "perturbed_agd"]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))


def digits() -> DataLoader:
    found = load_digits()
    data = TensorDataset(torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target))
    return DataLoader(data, batch_size=300, shuffle=True, generator=torch.Generator().manual_seed(0))


def groups(net: nn.Sequential, **options: float) -> list[dict]:
    return [{"params": net[0].parameters(), **options}, {"params": [*net[1].parameters(), *net[3].parameters()]}]


def closure_of(net: nn.Module, x: torch.Tensor, y: torch.Tensor, backward: bool = True) -> Callable:
    def closure() -> torch.Tensor:
        net.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        if backward:
            loss.backward()
        return loss

    return closure


def train(net: nn.Module, optimizer: torch.optim.Optimizer, epochs: int, loader: DataLoader) -> list[float]:
    losses = []
    for _ in range(epochs):
        for x, y in loader:
            losses.append(float(optimizer.step(closure_of(net, x, y)).detach()))
    return losses


def through_a_file(state: dict) -> dict:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_steps_as_the_descent_does(name: str) -> None:
    net, data, risk = problem()
    optimizer = RuleOptimizer(net.parameters(), named(name), rng=0)
    for _ in range(15):
        optimizer.step(lambda: nn.functional.mse_loss(net(data[0]), data[1]))
    run = Descent(named(name), steps=15)(risk, risk.initial)
    np.testing.assert_allclose(
        nn.utils.parameters_to_vector(net.parameters()).detach(), run.final[0], rtol=1e-9, atol=1e-12
    )


OPTIMIZERS: dict[str, Callable[[nn.Sequential], torch.optim.Optimizer]] = {
    "sam": lambda net: RuleOptimizer(groups(net), named("sam", lr=0.3), rng=1),
    "noisy": lambda net: RuleOptimizer(groups(net), named("noisy", lr=0.3, scale=0.1), rng=1),
    "entropy": lambda net: RuleOptimizer(groups(net), EntropySGD(1e-6, lr=10.0, gamma=0.1, inner=5, alpha=0.5), rng=1),
    "perturbed_agd": lambda net: RuleOptimizer(groups(net), named("perturbed_agd", lr=0.3, curvature=0.01), rng=1),
    "kicked_adam": lambda net: PerturbedOptimizer(
        torch.optim.Adam(groups(net, weight_decay=1e-4), 0.01),
        Perturbed(kick=Ball(1e-2), g_thres=0.5, t_thres=4),
        rng=1,
    ),
    "kicked_sgd": lambda net: PerturbedOptimizer(
        torch.optim.SGD(groups(net, lr=0.05), 0.3, momentum=0.9),
        Perturbed(kick=Ball(1e-2), g_thres=0.5, t_thres=4),
        rng=1,
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_loop_over_batches_trains_and_resumes(name: str) -> None:
    whole = network()
    losses = train(whole, OPTIMIZERS[name](whole), 6, digits())
    assert losses[-1] < 0.6 * losses[0]
    loader, net = digits(), network()
    optimizer = OPTIMIZERS[name](net)
    first = train(net, optimizer, 3, loader)
    kept = through_a_file({"net": net.state_dict(), "optimizer": optimizer.state_dict()})
    other = network()
    other.load_state_dict(kept["net"])
    again = OPTIMIZERS[name](other)
    again.load_state_dict(kept["optimizer"])
    assert first + train(other, again, 3, loader) == losses
    for a, b in zip(whole.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    fresh = network()  # without the optimizer's state the run is another, or the test would say nothing
    fresh.load_state_dict(kept["net"])
    loader = digits()
    train(network(), OPTIMIZERS[name](network()), 3, loader)
    forgotten = train(fresh, OPTIMIZERS[name](fresh), 3, loader)
    assert name == "sam" or first + forgotten != losses
    if name.startswith("kicked"):
        assert again.kicks > 2  # type: ignore[attr-defined]


def test_the_long_steps_of_a_schedule() -> None:
    net = network()
    optimizer = torch.optim.SGD(groups(net), 0.1)
    schedule = CNCSchedule(optimizer, period=3, factor=5.0)
    rates = []
    for _ in range(7):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    assert [r[0] for r in rates] == pytest.approx([0.5, 0.1, 0.1, 0.5, 0.1, 0.1, 0.5]) and rates[0][0] == rates[0][1]
    rule = RuleOptimizer(network().parameters(), named("gradient_descent"), rng=0)
    CNCSchedule(rule, 2, 4.0)
    assert rule.param_groups[0]["lr"] == pytest.approx(0.4)
    kicked = PerturbedOptimizer(torch.optim.SGD(net.parameters(), 0.1), Perturbed(), rng=0)
    CNCSchedule(kicked, 2, 4.0)
    assert kicked.optimizer.param_groups[0]["lr"] == pytest.approx(0.4)
    with pytest.raises(InputError, match="period=0"):
        CNCSchedule(optimizer, 0, 2.0)


def test_the_rate_of_a_schedule_is_the_rules() -> None:
    x = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = RuleOptimizer([x], named("gradient_descent", lr=0.5), rng=0)
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step(lambda: x.square().sum())
    assert float(x.detach()) == pytest.approx(0.8)


def test_frozen_parameters_stay_and_a_change_of_mind_is_said() -> None:
    net = network()
    net[0].requires_grad_(False)
    before = net[0].weight.clone()
    optimizer = RuleOptimizer(net.parameters(), named("nesterov", lr=0.1), rng=0)
    losses = train(net, optimizer, 3, digits())
    assert losses[-1] < losses[0] and torch.equal(net[0].weight, before)
    net[0].requires_grad_(True)
    with pytest.raises(InputError, match="not as many as before"):
        train(net, optimizer, 1, digits())
    with pytest.raises(InputError, match="unfreeze"):
        RuleOptimizer(network().requires_grad_(False).parameters(), named("sam"), rng=0)


def test_accumulated_gradients_with_two_rates_and_a_schedule() -> None:
    """A usual loop: half batches added up, a rate for each group, cosine; the kicked optimizer inside is torch's."""

    def run(kick: bool, halves: bool) -> list[Tensor]:
        net = network().double()
        net[1].eval()  # its statistics are of the half batch otherwise
        inner = torch.optim.SGD(groups(net, lr=0.05), 0.2, momentum=0.9)
        kicked = Perturbed(kick=Ball(1e-6), g_thres=100.0, t_thres=1)
        optimizer = PerturbedOptimizer(inner, kicked, rng=0) if kick else inner
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)
        for x, y in digits():
            for part in (slice(0, None, 2), slice(1, None, 2)) if halves else (slice(None),):
                loss = nn.functional.cross_entropy(net(x[part].double()), y[part], reduction="sum") / len(y)
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        assert [g["lr"] for g in inner.param_groups] == pytest.approx([0.025, 0.1])
        if kick:
            assert optimizer.kicks == 2  # every third step: the momentum of the steps between is kept
        return [p.detach() for p in net.parameters()]

    for a, b in zip(run(True, False), run(True, True), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    assert any(not torch.allclose(a, b, atol=1e-4) for a, b in zip(run(True, True), run(False, True), strict=True))


class Saddle(nn.Module):
    """x²/2 − y²/2 + y⁴/4, in two parameters of two groups."""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.zeros(3, dtype=torch.float64))
        self.y = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self) -> torch.Tensor:
        return self.x.square().sum() / 2 - self.y.square().sum() / 2 + self.y.pow(4).sum() / 4


def step_of(net: Saddle, optimizer: torch.optim.Optimizer) -> float:
    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = net()
        loss.backward()
        return loss

    return float(optimizer.step(closure).detach())


@pytest.mark.parametrize("base", ["sgd", "adam", "lbfgs"])
def test_kicks_take_any_optimizer_off_a_saddle_and_return_at_the_minimum(base: str) -> None:
    def make(net: Saddle) -> torch.optim.Optimizer:
        if base == "lbfgs":  # one group is all it takes; its default stops call the saddle converged
            return torch.optim.LBFGS(net.parameters(), line_search_fn="strong_wolfe")
        kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[base]
        return kind([{"params": [net.x], "lr": 0.1}, {"params": [net.y], "lr": 0.05}])

    plain = Saddle()
    bare = make(plain)
    for _ in range(50):
        step_of(plain, bare)
    assert float(plain.y.detach()) == 0.0
    net = Saddle()
    constants = Perturbed.practical(4, curvature=0.5, lr=0.05)
    optimizer = PerturbedOptimizer(make(net), constants, rng=0)
    for _ in range(3000):
        step_of(net, optimizer)
        if optimizer.status is not None:
            break
    assert abs(abs(float(net.y.detach())) - 1) < 1e-2 and optimizer.status is RunStatus.RETURNED
    assert optimizer.certified == "" and optimizer.kicks >= 2
    held = float(net.y.detach())
    step_of(net, optimizer)
    assert float(net.y.detach()) == held  # the loop goes on, the parameters stay


def test_a_kick_is_as_long_over_all_groups_as_in_one_vector() -> None:
    lengths = []
    for seed in range(400):
        net = Saddle()
        inner = torch.optim.SGD([{"params": [net.x]}, {"params": [net.y]}], 0.1)
        optimizer = PerturbedOptimizer(inner, Perturbed(kick=Ball(0.1)), rng=seed)
        step_of(net, optimizer)
        assert optimizer.kicks == 1
        lengths.append(math.hypot(float(net.x.detach().norm()), float(net.y.detach())))
    # U^{1/4} is at least 1/2 with probability 15/16, whatever the number of groups.
    assert max(lengths) <= 0.1 and abs(np.mean(np.array(lengths) > 0.05) - 15 / 16) < 0.05


def test_constants_of_the_theorem_certify() -> None:
    net = Saddle()
    net.y.requires_grad_(False)
    constants = Perturbed.theory(Assumptions(1, 1, 1e-2, 1, 0.1, 3))
    optimizer = PerturbedOptimizer(torch.optim.SGD([net.x], 1.0), constants, rng=0)
    for _ in range(constants.t_thres + 2):
        step_of(net, optimizer)  # type: ignore[arg-type]
    assert optimizer.status is RunStatus.CERTIFIED and "at least 0.9" in optimizer.certified
    rule = RuleOptimizer([net.x], constants, rng=0)
    for _ in range(constants.t_thres + 3):
        rule.step(net)
    assert rule.status is RunStatus.CERTIFIED
    resumed = RuleOptimizer([net.x], constants, rng=0)
    resumed.load_state_dict(rule.state_dict())
    assert resumed.status is RunStatus.CERTIFIED


def test_a_kick_along_a_sample() -> None:
    net = Saddle()

    def full() -> torch.Tensor:
        net.zero_grad()
        loss = net()
        loss.backward()
        return loss

    def sample() -> None:
        (net() + 3 * net.y.sum()).backward()

    def make() -> PerturbedOptimizer:
        return PerturbedOptimizer(torch.optim.SGD(net.parameters(), 0.1), Perturbed(kick=RowStep(0.01)), rng=0)

    with pytest.raises(InputError, match="sample"):
        make().step(full)
    make().step(full, sample)
    assert float(net.y.detach()) == pytest.approx(-0.03)


@dataclass(frozen=True)
class _Newton(Rule):
    """A whole Newton step, to see products through a closure."""

    needs = frozenset({"gradient", "product"})

    def init(self, objective, theta):  # type: ignore[no-untyped-def]
        return State(theta)

    def step(self, objective, state):  # type: ignore[no-untyped-def]
        loss, gradient = objective.value_and_grad(state.theta)
        eye = torch.eye(state.theta.shape[1], dtype=state.theta.dtype)[None]
        with objective.linearized(state.theta) as linear:
            hessian = linear.hvp(eye)[0]
        step = torch.linalg.solve(hessian, gradient[0])
        return State(state.theta - step, {}, state.count + 1), Info(loss, gradient)


def test_products_go_through_the_closure() -> None:
    net, data, risk = problem()
    theta = nn.utils.parameters_to_vector(net.parameters()).detach()[None]

    def plain() -> torch.Tensor:
        return nn.functional.mse_loss(net(data[0]), data[1])

    batch = _Batch(list(net.parameters()), plain)
    vectors = torch.randn(1, 3, theta.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with batch.linearized(theta) as ours, risk.linearized(theta) as theirs:
        torch.testing.assert_close(ours.hvp(vectors), theirs.hvp(vectors), rtol=1e-9, atol=1e-11)
    target = torch.randn(4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = nn.Parameter(torch.zeros(4, dtype=torch.float64))
    RuleOptimizer([x], _Newton(), rng=0).step(lambda: ((x - target).square() * torch.arange(1, 5)).sum())
    torch.testing.assert_close(x.detach(), target)

    def backward() -> torch.Tensor:
        loss = x.square().sum()
        loss.backward()
        return loss

    with pytest.raises(InputError, match="create_graph"):
        RuleOptimizer([x], _Newton(), rng=0).step(backward)


def test_what_an_optimizer_cannot_do_is_refused() -> None:
    net, _, _ = problem()
    with pytest.raises(InputError, match="closure"):
        RuleOptimizer(net.parameters(), named("sam"), rng=0).step()
    two = [{"params": net[0].parameters(), "lr": 0.1}, {"params": net[2].parameters(), "lr": 0.2}]
    with pytest.raises(InputError, match=r"rates \[0.1, 0.2\]"):
        RuleOptimizer(two, named("sam"), rng=0).step(lambda: sum(p.sum() for p in net.parameters()))
    with pytest.raises(InputError, match="without a graph"):
        RuleOptimizer(net.parameters(), named("sam"), rng=0).step(lambda: torch.tensor(1.0))
    with pytest.raises(InputError, match="must return the loss"):
        RuleOptimizer(net.parameters(), named("sam"), rng=0).step(lambda: 1.0)
    with pytest.raises(InputError, match="2 kinds"):
        mixed = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1, dtype=torch.float64))]
        RuleOptimizer(mixed, named("sam"), rng=0)
    with pytest.raises(InputError, match="f_thres"):
        PerturbedOptimizer(torch.optim.SGD(net.parameters(), 0.1), Perturbed(f_thres=1.0), rng=0).step()
    drawing = EntropySGD(0.1, batch=2)
    with pytest.raises(InputError, match="rows"):
        RuleOptimizer(net.parameters(), drawing, rng=0).step(lambda: sum(p.sum() for p in net.parameters()))
    with pytest.raises(InputError, match="'weight_decay'"):
        RuleOptimizer([{"params": net.parameters(), "weight_decay": 0.1}], named("sam"), rng=0)
    with pytest.raises(InputError, match="products at 2 points"):
        _Batch(list(net.parameters()), lambda: None).linearized(torch.zeros(2, 32))
