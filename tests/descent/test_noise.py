"""Randomness belongs to a point, what has ended spends nothing, every rule has a name (contracts: tests/testing)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

import thalweg as tw
from tests.descent.saddles import RARE
from thalweg.core.rng import Stream
from thalweg.descent import RULES, Descent, EntropySGD, Noise, NoisyGD, Rule, State, fitted, named
from thalweg.descent.registry import settings_of
from thalweg.errors import InputError

FIRST_ORDER = [name for name in RULES if named(name).needs <= {"value", "gradient"}]


def test_points_that_have_ended_spend_nothing() -> None:
    objective = tw.Function(lambda x: x.square().sum() / 2, 2)
    x = torch.tensor([[1.0, 0.0], [100.0, 0.0]], dtype=torch.float64)
    run = Descent(named("sam", lr=0.5, rho=0.0), steps=100, every=100, stop_loss=1e-3)(objective, x)
    np.testing.assert_array_equal(run.data["gradients"], 2 * (run.data["ended"] + 1))
    alone = [Descent(named("sam", lr=0.5, rho=0.0), steps=100, every=100, stop_loss=1e-3)(objective, y) for y in x]
    assert [int(a.data["gradients"][0]) for a in alone] == run.data["gradients"].tolist()


def test_rows_drawn_anew_are_uniform_and_independent() -> None:
    noise = Noise.numbered(Stream(5), 0, 200)
    drawn = torch.stack([noise.integers(7, 3, t) for t in range(50)])
    counts = torch.bincount(drawn.flatten(), minlength=7).numpy()
    assert stats.chisquare(counts).pvalue > RARE
    repeats = (drawn[:, :, 0] == drawn[:, :, 1]).double().mean()
    assert stats.binomtest(int(repeats * 10_000 + 0.5), 10_000, 1 / 7).pvalue > RARE
    with pytest.raises(InputError, match="replacement"):
        Descent(replacement=True, shared=True)


@pytest.mark.parametrize("size", [1, 2, 50])
def test_the_ball_is_uniform(size: int) -> None:
    like, which = torch.zeros(2000, size, dtype=torch.float64), torch.ones(2000, dtype=torch.bool)
    drawn = Noise.numbered(Stream(0), 0, 2000).ball(like, 4, which)
    assert stats.kstest(drawn.norm(dim=1).numpy() ** size, "uniform").pvalue > RARE
    assert stats.kstest(drawn[:, 0].numpy() ** 2, stats.beta(0.5, (size + 1) / 2).cdf).pvalue > RARE
    wrong = torch.rand(2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** (1 / size)
    # The mistake of drawing U(0, r)^(1/P) for r·U^(1/P) is seen at any r but 1.
    assert stats.kstest((wrong.numpy() * 0.1 ** (1 / size) / 0.1) ** size, "uniform").pvalue < RARE or size == 1
    half = which.clone()
    half[::2] = False
    some = Noise.numbered(Stream(0), 0, 2000).ball(like, 4, half)
    assert torch.equal(some[1::2], drawn[1::2]) and not some[::2].any()


def test_draws_do_not_depend_on_order_or_selection() -> None:
    like = torch.zeros(4, 1000, dtype=torch.float64)  # four steps a block
    noise = Noise.numbered(Stream(1), 0, 4)
    forward = [noise.normal(like, t) for t in range(10)]
    noise = Noise.numbered(Stream(1), 0, 4)
    backward = [noise.normal(like, t) for t in reversed(range(10))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(forward, backward, strict=True))
    some = noise.some(np.array([1, 3]))
    assert torch.equal(some.normal(like[:2], 0), forward[0][[1, 3]])
    assert torch.equal(some.normal(like[:2], 7), forward[7][[1, 3]])
    assert stats.kstest(torch.stack(forward).flatten().numpy(), "norm").pvalue > RARE


def test_a_random_rule_without_noise_is_refused() -> None:
    with pytest.raises(InputError, match="noise"):
        NoisyGD().step(tw.Function(lambda x: x.sum(), 2), State(torch.zeros(1, 2, dtype=torch.float64)))


def test_rules_that_draw_rows_need_rows() -> None:
    plain = tw.Function(lambda x: x.square().sum(), 2)
    for rule in (named("cnc_pgd"), EntropySGD(0.1, batch=1)):
        with pytest.raises(InputError, match="rows"):
            Descent(rule, steps=3)(plain, torch.zeros(1, 2, dtype=torch.float64))


def test_rules_are_named_and_fitted() -> None:
    objective = tw.Function(lambda x: x.square().sum(), 7)
    for name in FIRST_ORDER:
        assert isinstance(named(name), Rule)
        rule = fitted(name, objective, smoothness=2.0)
        assert isinstance(rule, Rule)
        if "lr" in settings_of(name):
            assert isinstance(named(name, lr=0.01), Rule)
    assert fitted("perturbed", objective, 2.0) == named("perturbed", lr=0.125, dimension=7)
    assert fitted("adam", objective, 2.0) == named("adam")
    assert fitted("perturbed_momentum", objective, 2.0, radius=0.1) == named(
        "perturbed_momentum", lr=0.125, dimension=7, radius=0.1
    )
    with pytest.raises(InputError, match="choose gradient_descent"):
        named("sgd")
    with pytest.raises(InputError, match="no setting 'rate'"):
        named("sam", rate=1.0)
    with pytest.raises(InputError, match="smoothness=0"):
        fitted("sam", objective, 0.0)
