"""F = Σ ℓ_i / Z equals the full batch under the user's own loss, for every kind of loss and any blocks."""

from __future__ import annotations

import functools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from thalweg.errors import LossError

WEIGHTS = torch.tensor([1.0, 3.0, 0.25])


def classes(rows: int, seed: int = 0, ignored: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 3, (rows,), generator=generator)
    targets[:ignored] = -100
    return torch.randn(rows, 4, generator=generator), targets


def model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Linear(4, 3).double()


CASES = {
    "module mean": nn.CrossEntropyLoss(),
    "module sum": nn.CrossEntropyLoss(reduction="sum"),
    "class weights": nn.CrossEntropyLoss(weight=WEIGHTS),
    "label smoothing": nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.1),
    "functional": F.cross_entropy,
    "partial": functools.partial(F.cross_entropy, weight=WEIGHTS, label_smoothing=0.2),
    "partial sum": functools.partial(F.cross_entropy, reduction="sum"),
    "multi margin": nn.MultiMarginLoss(),
}


@pytest.mark.parametrize("name", CASES)
@given(rows=st.integers(2, 40), block=st.integers(1, 17), ignored=st.integers(0, 1))
@settings(max_examples=10, deadline=None)
def test_reduced_losses_equal_the_full_batch(name: str, rows: int, block: int, ignored: int) -> None:
    inputs, targets = classes(rows, seed=rows, ignored=ignored if "margin" not in name else 0)
    net, loss = model(), CASES[name]
    risk = tw.EmpiricalRisk(net, loss, (inputs, targets), block_rows=block)
    double = loss.double() if isinstance(loss, nn.Module) else loss
    if isinstance(loss, functools.partial) and "weight" in loss.keywords:
        double = functools.partial(loss.func, **{**loss.keywords, "weight": WEIGHTS.double()})
    expected = double(net(inputs.double()), targets)
    torch.testing.assert_close(risk.losses(risk.initial.theta[None])[0], expected.detach(), rtol=1e-12, atol=1e-14)


def test_a_block_of_ignored_rows_adds_nothing() -> None:
    inputs, targets = classes(12, ignored=4)
    risk = tw.EmpiricalRisk(model(), nn.CrossEntropyLoss(), (inputs, targets), block_rows=4)
    expected = F.cross_entropy(model()(inputs.double()), targets)
    torch.testing.assert_close(risk.losses(risk.initial.theta[None])[0], expected.detach())
    assert risk.z == 8.0


def test_elementwise_means_and_tokens() -> None:
    inputs, _ = classes(9)
    targets = torch.randn(9, 3)
    risk = tw.EmpiricalRisk(model(), nn.MSELoss(), (inputs, targets), block_rows=4)
    torch.testing.assert_close(
        risk.losses(risk.initial.theta[None])[0], F.mse_loss(model()(inputs.double()), targets.double()).detach()
    )
    assert risk.z == 27.0
    per_entry = tw.EmpiricalRisk(model(), lambda z, t: (z - t).abs(), (inputs, targets), block_rows=2)
    torch.testing.assert_close(
        per_entry.losses(per_entry.initial.theta[None])[0],
        F.l1_loss(model()(inputs.double()), targets.double()).detach(),
    )


def test_batchmean_is_the_users_own_reduction() -> None:
    inputs, _ = classes(10)
    targets = torch.rand(10, 3).softmax(1)
    net = nn.Sequential(model(), nn.LogSoftmax(1))
    risk = tw.EmpiricalRisk(net, nn.KLDivLoss(reduction="batchmean"), (inputs, targets), block_rows=3)
    expected = F.kl_div(net(inputs.double()), targets.double(), reduction="batchmean")
    torch.testing.assert_close(risk.losses(risk.initial.theta[None])[0], expected.detach())


def test_a_perfect_fit_does_not_spoil_the_constant() -> None:
    zero = nn.Linear(4, 2, bias=False).double()
    nn.init.zeros_(zero.weight)
    risk = tw.EmpiricalRisk(zero, nn.MSELoss(), (torch.randn(5, 4), torch.zeros(5, 2)))
    assert risk.z == 10.0 and risk.losses(risk.initial.theta[None]).item() == 0.0


def test_a_scalar_loss_must_say_what_it_divides_by() -> None:
    data = classes(10)

    def mean(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(z, t)

    with pytest.raises(LossError, match="normaliser='rows'"):
        tw.EmpiricalRisk(model(), mean, data)
    with pytest.raises(LossError, match="add up to"):
        tw.EmpiricalRisk(model(), mean, data, normaliser="sum")
    risk = tw.EmpiricalRisk(model(), mean, data, normaliser="rows", block_rows=3)
    expected = mean(model()(data[0].double()), data[1])
    torch.testing.assert_close(risk.losses(risk.initial.theta[None])[0], expected.detach())
    rows = F.cross_entropy(model()(data[0].double()), data[1], reduction="none")
    torch.testing.assert_close(risk.per_sample(risk.initial), rows.detach())


def test_a_weighted_mean_is_no_mean_over_rows() -> None:
    with pytest.raises(LossError, match="add up to"):
        tw.EmpiricalRisk(
            model(), lambda z, t: F.cross_entropy(z, t, weight=WEIGHTS.to(z)), classes(10), normaliser="rows"
        )


def test_a_loss_whose_constant_moves_with_the_outputs_is_refused() -> None:
    class Odd(nn.Module):
        reduction = "mean"

        def forward(self, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            each = (z - t).square().sum(1)
            if self.reduction == "none":
                return each
            return each.sum() if self.reduction == "sum" else each.sum() / z.abs().sum()

    with pytest.raises(LossError, match="constant of the data"):
        tw.EmpiricalRisk(model(), Odd(), (torch.randn(6, 4), torch.randn(6, 3)))


def test_a_loss_of_the_whole_batch_is_refused() -> None:
    with pytest.raises(LossError, match="add up to"):
        tw.EmpiricalRisk(model(), lambda z, t: (z - z.mean(0)).square(), classes(10))


def test_float32_class_weights_in_a_closure_work() -> None:
    inputs, targets = classes(10)
    risk = tw.EmpiricalRisk(
        model().float(), lambda z, t: F.cross_entropy(z, t, weight=WEIGHTS, reduction="none"), (inputs, targets)
    )
    assert torch.isfinite(risk.losses(risk.initial.theta[None])).all()
    assert risk.z == 10.0


@pytest.mark.parametrize("regularised", [False, True])
def test_the_regulariser_is_added_once_per_point_and_kept_whole_by_rows(regularised: bool) -> None:
    inputs, targets = classes(20)
    penalty = (lambda named: 0.3 * sum(x.square().sum() for x in named.values())) if regularised else None
    risk = tw.EmpiricalRisk(model(), F.cross_entropy, (inputs, targets), regulariser=penalty, block_rows=7)
    theta = risk.initial.theta
    extra = 0.3 * theta.square().sum() if regularised else 0.0
    full = F.cross_entropy(model()(inputs.double()), targets).detach()
    torch.testing.assert_close(risk.losses(theta[None])[0], full + extra)
    index = torch.tensor([3, 1, 1, 9])
    some = F.cross_entropy(model()(inputs[index].double()), targets[index]).detach()
    torch.testing.assert_close(risk.rows(index).losses(theta[None])[0], some + extra)
    value, gradient = risk.value_and_grad(theta[None])
    expected = torch.func.grad(risk.scalar)(theta)
    torch.testing.assert_close(gradient[0], expected)
    torch.testing.assert_close(value[0], full + extra)
    hessian = torch.func.hessian(risk.scalar)(theta)
    v = torch.randn(1, 2, risk.space.size, dtype=torch.float64)
    with risk.linearized(theta[None]) as linear:
        torch.testing.assert_close(linear.hvp(v)[0], v[0] @ hessian)


def test_only_ignored_rows_are_refused_and_an_ignored_first_block_is_not() -> None:
    inputs, targets = classes(12, ignored=12)
    with pytest.raises(LossError, match="every row is ignored"):
        tw.EmpiricalRisk(model(), nn.CrossEntropyLoss(), (inputs, targets))


def test_a_loss_that_holds_the_model_is_refused() -> None:
    """Its penalty would stay at the initial weights while the model moves: a wrong landscape without a word."""
    inputs, targets = classes(10)
    net = model()

    def penalised(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(z, t, reduction="none") + 0.1 * sum(p.square().sum() for p in net.parameters())

    with pytest.raises(LossError, match="regulariser"):
        tw.EmpiricalRisk(net, penalised, (inputs, targets))
