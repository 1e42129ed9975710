"""Frank–Wolfe, Sinkhorn and the straight-through estimator: matrices between permutations, and losses half way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.paths.test_align import network
from tests.paths.test_align_symmetries import noisy
from thalweg.descent import Adam, Descent
from thalweg.errors import InputError
from thalweg.paths import WeightMatching, align, symmetries
from thalweg.paths.align import ALIGNERS, FrankWolfe, Sinkhorn, StraightThrough
from thalweg.paths.align.find import moved
from thalweg.paths.align.frank_wolfe import _longest, _slopes, mixed
from thalweg.paths.align.matching import fit
from thalweg.paths.align.sinkhorn import doubly_stochastic
from thalweg.paths.align.weights import paired


@pytest.fixture(scope="module")
def trained() -> tuple[tw.EmpiricalRisk, torch.Tensor, torch.Tensor]:
    objective, other = tw.zoo.digits(hidden=(16, 16)), tw.zoo.digits(hidden=(16, 16), seed=1)
    run = Descent(Adam(lr=5e-3), steps=120, batch=256)(objective, objective.initial, other.initial, rng=0)
    a, b = (torch.from_numpy(theta.copy()) for theta in run.final)
    return objective, a, b


def half_way(objective: tw.EmpiricalRisk, a: torch.Tensor, aligned: np.ndarray) -> float:
    return float(objective.losses(0.5 * (a + torch.from_numpy(aligned.copy()))[None])[0])


@pytest.mark.parametrize("name", ["mlp", "conv", "resnet", "encoder", "recurrent"])
@pytest.mark.parametrize("method", ["frank_wolfe", "straight_through", "sinkhorn"])
def test_a_planted_permutation_comes_back(name: str, method: str) -> None:
    objective = network(name, torch.float64)
    found, point = symmetries(objective), noisy(objective)
    planted = moved(found, objective, point, found.random(np.random.default_rng(7)))
    options = {} if method == "frank_wolfe" else {"updates": 3}
    made = ALIGNERS[method](steps=4, **options)(objective, point, planted)
    assert np.array_equal(made.data["theta"], point.theta.numpy())
    assert made.output_change <= 1e-12


def test_slopes_and_steps_are_those_of_the_aim() -> None:
    """Derivatives against differences, the step against a fine grid, matrices of permutations against permutations."""
    objective = network("mlp", torch.float64)
    found = symmetries(objective)
    a, b = (objective.space.unravel(p.theta) for p in (noisy(objective), objective.initial))
    pairs = paired(found, a, b)
    rng = np.random.default_rng(0)
    order = found.random(rng)
    hard = {name: np.eye(len(p))[p] for name, p in order.items()}
    matrices = {name: torch.from_numpy(m) for name, m in hard.items()}
    for pair in pairs:
        torch.testing.assert_close(mixed(pair, matrices), found.moved(pair.block, pair.b, order))
    now = {name: rng.random((len(p), len(p))) for name, p in order.items()}
    value, slopes = _slopes(pairs, now)
    assert _slopes(pairs, hard)[0] == pytest.approx(fit(found, pairs, order))
    for name in now:
        along = rng.normal(size=now[name].shape)
        near = [_slopes(pairs, {**now, name: now[name] + h * along})[0] for h in (-1e-5, 1e-5)]
        assert (near[1] - near[0]) / 2e-5 == pytest.approx(float((slopes[name] * along).sum()), rel=1e-6)
    grid = np.linspace(0, 1, 401)
    values = [_slopes(pairs, {n: (1 - t) * now[n] + t * hard[n] for n in now})[0] for t in grid]
    step = _longest(pairs, now, hard)
    taken = _slopes(pairs, {n: (1 - step) * now[n] + step * hard[n] for n in now})[0]
    assert taken >= max(values) - 1e-6 * abs(max(values)) and value == values[0]


def test_frank_wolfe_is_not_worse_than_its_rounding(
    trained: tuple[tw.EmpiricalRisk, torch.Tensor, torch.Tensor],
) -> None:
    objective, a, b = trained
    made, matched = FrankWolfe()(objective, a, b), WeightMatching()(objective, a, b)
    soft, rounded = (float(made.evidence[0].split(at)[i].split()[j]) for at, i, j in (("= ", 1, 0), ("; ", 1, 0)))
    theta = objective.space.unravel(torch.from_numpy(made.data["theta"].copy()).double())
    last = objective.space.unravel(a.double())
    value = sum(float((x * last[n]).sum()) for n, x in theta.items() if n != "4.bias")
    assert value >= rounded - 1e-3 and soft >= rounded - 1e-3
    assert made.distance_after <= 1.02 * matched.distance_after
    assert made.barrier_after < 0.5 * made.barrier_before


@pytest.mark.parametrize("method", [StraightThrough(updates=40), Sinkhorn(updates=40)])
def test_half_way_it_is_never_worse_than_weight_matching(
    trained: tuple[tw.EmpiricalRisk, torch.Tensor, torch.Tensor], method: StraightThrough | Sinkhorn
) -> None:
    objective, a, b = trained
    made, matched = method(objective, a, b), WeightMatching()(objective, a, b)
    first, best = (float(made.evidence[0].split(word)[1].split()[0]) for word in ("from ", ") to "))
    assert half_way(objective, a, made.data["theta"]) == pytest.approx(best, rel=1e-4)
    assert best < first  # on this pair it gains
    assert best <= half_way(objective, a, matched.data["theta"]) * 1.2
    assert made.cost.backwards == pytest.approx(40 * 256 / objective.row_count)


def test_a_budget_ends_the_search_and_not_the_answer(
    trained: tuple[tw.EmpiricalRisk, torch.Tensor, torch.Tensor],
) -> None:
    objective, a, b = trained
    for method in (StraightThrough(), Sinkhorn()):
        made = method(objective, a, b, budget=tw.Budget(gradients=2))
        assert "raise the budget" in made.evidence[0] and made.distance_after < made.distance_before


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 6), seed=st.integers(0, 10**6))
def test_sinkhorn_makes_rows_and_columns_add_up_to_one(n: int, seed: int) -> None:
    logits = torch.from_numpy(np.random.default_rng(seed).normal(size=(n, n)))
    made = doubly_stochastic(logits, 200)
    torch.testing.assert_close(made.sum(0), torch.ones(n, dtype=torch.float64))
    torch.testing.assert_close(made.sum(1), torch.ones(n, dtype=torch.float64), rtol=1e-5, atol=1e-5)
    assert bool((made >= 0).all())


def test_the_gradient_reaches_the_logits() -> None:
    """Against differences: the chain from the loss half way through blocks and matrices."""
    objective = network("mlp", torch.float64)
    found = symmetries(objective)
    a, b = noisy(objective), objective.initial
    logits = torch.randn(12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def value(x: torch.Tensor) -> torch.Tensor:
        matrix = doubly_stochastic(x)
        named = dict(objective.space.unravel(b.theta))
        named["2.weight"] = matrix @ named["2.weight"]
        named["2.bias"] = matrix @ named["2.bias"]
        named["4.weight"] = named["4.weight"] @ matrix.T
        return objective.scalar(0.5 * (a.theta + torch.cat([x.reshape(-1) for x in named.values()])))

    leaf = logits.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(value(leaf), leaf)
    pairs = paired(found, objective.space.unravel(b.theta), objective.space.unravel(b.theta))
    names = [n for n in objective.space.names for _ in found.blocks[n]]
    soft = [mixed(pair, {"2": doubly_stochastic(leaf)}) for pair in pairs]
    point = dict(objective.space.unravel(b.theta))
    point |= {n: x.detach() for n, x in zip(names, soft, strict=True)}
    middle = 0.5 * (a.theta + objective.space.ravel(point))
    slopes = objective.space.unravel(0.5 * objective.value_and_grad(middle[None])[1][0])
    total = sum((slopes[n] * x).sum() for n, x in zip(names, soft, strict=True))
    (found_gradient,) = torch.autograd.grad(total, leaf)
    torch.testing.assert_close(found_gradient, wanted)


def test_options_that_cannot_be_are_refused() -> None:
    for make in (
        lambda: FrankWolfe(iterations=0),
        lambda: FrankWolfe(tol=0.0),
        lambda: StraightThrough(updates=0),
        lambda: Sinkhorn(every=0),
        lambda: Sinkhorn(lr=0.0),
    ):
        with pytest.raises(InputError, match="0"):
            make()
    objective = network("mlp", torch.float64)
    with pytest.raises(InputError, match="choose weights, activations, sinkhorn, frank_wolfe, straight_through"):
        align(objective, objective.initial, objective.initial, "none")
