"""The intrinsic dimension of activations, and the path down where a network has as many units."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import stream
from thalweg.records import Guarantee, VerdictStatus
from thalweg.theory import Subject, audit
from thalweg.theory.valleys import LowDimension, intrinsic
from thalweg.theory.valleys.intrinsic import _degrees, _drawn
from thalweg.theory.valleys.low_dimension import WIDE
from thalweg.theory.valleys.span import rank_of


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("activation", "biased", "d", "dimension"),
    [(torch.square, False, 2, 3), (torch.square, False, 5, 15), (torch.square, True, 2, 6), (None, False, 4, 4),
     (None, True, 4, 5), (lambda t: t**3 - t, False, 2, 6), (lambda t: t**4, False, 3, 15)],
)  # fmt: skip
def test_polynomials_span_their_monomials(activation, biased: bool, d: int, dimension: int) -> None:  # type: ignore[no-untyped-def]
    found = intrinsic(activation, drawn(0, 40, d), biased=biased, ones=False, rng=stream(0))
    assert found.dimension == found.anywhere == dimension and found.guarantee is Guarantee.EXACT


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(2, 12), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_the_count_of_monomials_is_the_rank_of_random_features(d: int, n: int, k: int, biased: bool, seed: int) -> None:
    def power(t: Tensor) -> Tensor:
        return t**k

    x = drawn(seed, n, d)
    found = intrinsic(power, x, biased=biased, ones=False, rng=stream(0))
    monomials = math.comb(d + k, k) if biased else math.comb(d + k - 1, k)
    assert found.dimension == min(n, monomials) == rank_of(_drawn(power, x, biased, False, stream(1)))
    assert torch.allclose(found.basis.T @ found.basis, torch.eye(found.dimension, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("activation", [torch.tanh, torch.sigmoid, torch.relu, nn.LeakyReLU(), nn.GELU(), torch.sin])
def test_other_activations_span_every_sample(activation) -> None:  # type: ignore[no-untyped-def]
    found = intrinsic(activation, drawn(1, 14, 3), biased=True, ones=False, rng=stream(0))
    assert found.degrees is None and found.dimension == 14 and math.isinf(found.anywhere)
    x = torch.cat([drawn(1, 7, 3), drawn(1, 7, 3)])  # every input twice
    assert intrinsic(activation, x, biased=True, ones=False, rng=stream(0)).dimension == 7


def test_odd_activations_without_biases_cannot_tell_x_from_its_opposite() -> None:
    x = drawn(2, 5, 3)
    found = intrinsic(torch.tanh, torch.cat([x, -x]), biased=False, ones=False, rng=stream(0))
    assert found.dimension == 5 and found.guarantee is Guarantee.SAMPLED
    assert intrinsic(torch.tanh, torch.cat([x, -x]), biased=True, ones=False, rng=stream(0)).dimension == 10


def test_a_kink_or_a_wave_is_no_polynomial() -> None:
    assert _degrees(torch.square) == (2,) and _degrees(lambda t: 3 * t - t**5) == (1, 5)
    assert all(_degrees(fn) is None for fn in (torch.relu, torch.tanh, torch.abs, nn.LeakyReLU(0.99)))


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.square(x)


def quadratic(width: int, outputs: int = 2, loss: nn.Module | None = None) -> EmpiricalRisk:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, width, bias=False), Square(), nn.Linear(width, outputs, bias=False)).double()
    targets = drawn(1, 12, outputs)
    return EmpiricalRisk(model, loss or nn.MSELoss(), (drawn(0, 12, 2), targets))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.HuberLoss(delta=0.5)], ids=lambda x: type(x).__name__)
def test_three_squares_reach_what_any_number_does(seed: int, loss: nn.Module) -> None:
    """On twelve samples: far from interpolation. The least value is found anew, by wide networks' features."""
    risk = quadratic(4, loss=loss)
    theta = drawn(seed, risk.space.size)
    theta[risk.space["0.weight"].span] = theta[:2].repeat(4)  # all units alike
    verdict = LowDimension().examine(Subject(risk, theta))
    assert verdict.status is VerdictStatus.HOLDS, verdict.conclusion
    wide = (drawn(9, 2, 30).T @ risk.table.inputs.T).square().T.numpy()
    y = risk.table.targets.numpy()
    if isinstance(loss, nn.MSELoss):
        fit = wide @ np.linalg.lstsq(wide, y, rcond=1e-10)[0]
        assert verdict.values["end"] == pytest.approx(float(((fit - y) ** 2).mean()), rel=1e-9)
    assert verdict.values["end"] > 0.1 and verdict.values["largest_rise"] <= 1e-10


@pytest.mark.parametrize("width", [1, 2])
def test_with_fewer_units_nothing_is_said(width: int) -> None:
    risk = quadratic(width)
    verdict = LowDimension().examine(Subject(risk, risk.initial))
    assert verdict.status is VerdictStatus.HYPOTHESIS_UNMET and [c.name for c in verdict.unmet] == [WIDE]
    assert LowDimension().conclude(Subject(risk, risk.initial)).ok is False


def test_two_hidden_layers_are_not_meant() -> None:
    model = nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, 9), nn.Tanh(), nn.Linear(9, 1)).double()
    risk = EmpiricalRisk(model, nn.MSELoss(), (drawn(0, 5, 2), drawn(1, 5, 1)))
    assert [c.name for c in LowDimension().examine(Subject(risk, risk.initial)).unmet] == ["one hidden layer"]


def test_weights_that_lose_digits_refute_nothing() -> None:
    """Inputs of a million saturate every unit: the path is not built, though the hypotheses hold."""
    generator = torch.Generator().manual_seed(5)
    x = 1e6 * torch.randn(12, 2, generator=generator, dtype=torch.float64)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 14), nn.Tanh(), nn.Linear(14, 1)).double()
    risk = EmpiricalRisk(model, nn.MSELoss(), (x, x[:, :1]))
    verdict = LowDimension().examine(Subject(risk, risk.initial))
    assert all(check.ok for check in verdict.checks) and verdict.status is VerdictStatus.INCONCLUSIVE


def test_a_point_without_finite_outputs_is_refused() -> None:
    net = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 1)).double()
    objective = EmpiricalRisk(net, nn.MSELoss(), (drawn(0, 4, 2), drawn(1, 4, 1)))
    (verdict,) = audit(objective, torch.full((objective.space.size,), math.nan), [LowDimension().id]).verdicts
    assert verdict.status is VerdictStatus.INCONCLUSIVE and "not finite" in verdict.checks[0].text
