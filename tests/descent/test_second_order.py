"""Laws of second-order rules at saddles, over a thousand starts each, and what a gradient's Krylov space misses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.descent.second_order import quadratic, starts, waves
from thalweg.descent import Descent, Rule, State, spectral
from thalweg.descent.cubic import Cubic, minimiser
from thalweg.descent.negative_curvature import NegativeCurvature
from thalweg.descent.neon import Neon
from thalweg.descent.random_curvature import RandomCurvature, chance
from thalweg.descent.saddle_free import SaddleFree
from thalweg.errors import InputError

COUNT = 1000


def stepped(rule: Rule, objective: tw.Function, thetas: torch.Tensor) -> torch.Tensor:
    """Where one step of the rule, run by the loop, leads from each point."""
    run = Descent(rule, steps=1)(objective, thetas)
    return torch.from_numpy(run.final.copy())


def well(gamma: float, size: int = 4) -> tw.Function:
    """A strict saddle at 0 with eigenvalue −γ along the last coordinate, and minima at ±1 on it."""
    return tw.Function(lambda x: x[:-1].square().sum() / 2 + gamma * (x[-1] ** 4 / 4 - x[-1] ** 2 / 2), size)


# --- saddle-free Newton ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.1, 0.01, 0.001])
def test_saddle_free_newton_doubles_whatever_the_curvature(gamma: float) -> None:
    """From 1e-4 along the unstable direction it passes 1/2 in ceil(log2(5000)) = 13 steps (Dauphin et al. 2014)."""
    objective, frame = quadratic(torch.tensor([2.0, 1.0, 0.5, -gamma], dtype=torch.float64), seed=3)
    along = torch.where(torch.arange(COUNT) % 2 == 0, 1e-4, -1e-4).double()
    thetas = (starts(COUNT, 4) * torch.tensor([1, 1, 1, 0])) @ frame + along[:, None] * frame[3]
    run = Descent(SaddleFree(), steps=13, every=1)(objective, thetas)
    path = np.abs(run.data["thetas"] @ frame[3].numpy())
    np.testing.assert_allclose(path, 1e-4 * 2.0 ** np.arange(14)[:, None] * np.ones(COUNT), rtol=1e-6)
    passed = (path > 0.5).argmax(0)
    assert (passed == math.ceil(math.log2(0.5 / 1e-4))).all()
    stable = np.abs(run.final @ frame[:3].T.numpy())
    assert stable.max() < 1e-9  # the other coordinates are at their minimum after one step


@pytest.mark.parametrize("rule", [SaddleFree, Cubic])
def test_a_krylov_space_of_the_gradient_never_leaves_a_saddle(rule: type[SaddleFree] | type[Cubic]) -> None:
    """At the exact saddle and on its stable manifold: none of N leaves with the gradient's, all with a random one."""
    generator = torch.Generator().manual_seed(0)
    values = torch.cat([torch.rand(14, generator=generator) + 0.5, torch.tensor([-0.2, -0.1])]).double()
    objective = tw.Function(lambda x: (values * x.square()).sum() / 2 + x.pow(4).sum() / 4, 16)
    thetas = torch.zeros(60, 16, dtype=torch.float64)
    thetas[30:, :14] = 0.5 * starts(30, 14)
    for seed, share in (("gradient", 0.0), ("random", 1.0)):
        run = Descent(rule(rank=8, seed=seed), steps=20)(objective, thetas)
        assert (run.final_loss < -1e-4).mean() == share
    whole = Descent(rule(), steps=20)(objective, thetas)
    assert (whole.final_loss < -1e-4).all()


def test_saddle_free_newton_ends_at_a_minimum_and_counts_its_products() -> None:
    objective = well(0.3)
    thetas = starts(50, 4)
    run = Descent(SaddleFree(), steps=40, stop_gradient=1e-9)(objective, thetas)
    np.testing.assert_allclose(np.abs(run.final[:, 3]), 1, atol=1e-8)
    one = Descent(SaddleFree(rank=3), steps=5, every=5)(objective, thetas[:7])
    assert one.cost.products == 7 * 3 * 5


@pytest.mark.parametrize(
    "rule",
    [
        SaddleFree(),
        SaddleFree(rank=3),
        Cubic(rank=3),
        NegativeCurvature(rank=3, lipschitz=1.0),
        Neon(lr=0.5, lipschitz=1.0),
    ],
    ids=["whole", "krylov", "cubic", "lanczos", "neon"],
)
def test_a_saddle_is_left_on_both_sides(rule: Rule) -> None:
    """From the exact saddle, where the gradient has no sign: each side by about half of 200, within four deviations."""
    run = Descent(rule, steps=20)(well(0.1), torch.zeros(200, 4, dtype=torch.float64))
    side = np.sign(run.final[:, 3]) * (np.abs(run.final[:, 3]) > 1e-6)
    assert (side != 0).all() and abs(side.sum()) < 4 * math.sqrt(200)


def test_results_do_not_depend_on_the_batch() -> None:
    objective = well(0.1)
    thetas = torch.zeros(6, 4, dtype=torch.float64)
    for rule in (SaddleFree(rank=3), Cubic(rank=3), NegativeCurvature(), Neon(), RandomCurvature()):
        together = Descent(rule, steps=6)(objective, thetas).final
        alone = Descent(rule, steps=6)(objective, thetas[:1]).final
        np.testing.assert_allclose(together[0], alone[0], rtol=1e-9, atol=1e-15)
        again = Descent(rule, steps=6)(objective, thetas).final
        np.testing.assert_array_equal(together, again)


def test_a_point_that_is_not_finite_ends_alone() -> None:
    objective = tw.Function(lambda x: x.square().sum() / 2 - torch.log1p(x[0]), 2)
    thetas = torch.tensor([[-2.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    for rule in (SaddleFree(), SaddleFree(rank=2), Cubic(), Cubic(lipschitz=9.0), NegativeCurvature()):
        run = Descent(rule, steps=5)(objective, thetas)
        assert run.endings[0].name == "DIVERGED" and run.endings[1].name == "STEPS"
        assert np.isfinite(run.final).all()


# --- cubic regularisation --------------------------------------------------------------------------------------------


def test_a_cubic_step_from_a_saddle() -> None:
    """Length 2γ/M and decrease (2/3)γ³/M² of the model, which a quadratic F exceeds by the cubic term itself."""
    gamma, lipschitz = 0.3, 1.7
    objective, frame = quadratic(torch.tensor([1.0, 0.4, -0.1, -gamma], dtype=torch.float64), seed=1)
    ends = stepped(Cubic(lipschitz=lipschitz), objective, torch.zeros(COUNT, 4, dtype=torch.float64))
    along = ends @ frame[3]
    torch.testing.assert_close(along.abs(), torch.full_like(along, 2 * gamma / lipschitz), rtol=1e-12, atol=0)
    cubic = lipschitz / 6 * ends.norm(dim=1) ** 3
    fall = -objective.losses(ends) - cubic
    torch.testing.assert_close(fall, torch.full_like(fall, 2 / 3 * gamma**3 / lipschitz**2), rtol=1e-12, atol=0)
    assert 400 < int((along > 0).sum()) < 600  # both sides, each about half the time


def test_a_cubic_step_lowers_f_by_a_twelfth() -> None:
    """F(θ + s) ≤ F(θ) − M|s|³/12 where M bounds the Hessian's Lipschitz constant; not where M is too small."""
    objective = waves(6)
    thetas = torch.cat([starts(COUNT, 6, 2.0), torch.zeros(1, 6, dtype=torch.float64)])
    for lipschitz, holds in ((1.0, True), (3.0, True), (0.02, False)):
        ends = stepped(Cubic(lipschitz=lipschitz), objective, thetas)
        fall = objective.losses(thetas) - objective.losses(ends)
        bound = lipschitz / 12 * (ends - thetas).norm(dim=1) ** 3
        assert bool((fall >= bound - 1e-12).all()) is holds


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 8), seed=st.integers(0, 10**6), hard=st.booleans(), scale=st.sampled_from([1e-8, 1.0, 1e4]))
def test_the_model_is_minimised_globally(size: int, seed: int, hard: bool, scale: float) -> None:
    """y is stationary and H + σ|y|I is not negative: together they mark global minimisers (Nesterov & Polyak)."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(1, size, generator=generator, dtype=torch.float64).sort(1).values
    along = scale * torch.randn(1, size, generator=generator, dtype=torch.float64)
    if hard:
        along[:, 0] = 0
    sigma = torch.rand(1, generator=generator, dtype=torch.float64) + 0.1
    y = minimiser(values, along, sigma, torch.ones(1, dtype=torch.float64))
    multiplier = sigma * y.norm(dim=1)
    size_of = float(along.norm() + (values * y).norm() + multiplier * y.norm())
    assert float(((values + multiplier[:, None]) * y + along).norm()) <= 1e-7 * size_of + 1e-300
    assert float(values[0, 0] + multiplier[0]) >= -1e-7 * float(values.abs().max())


def test_adaptive_cubic_regularisation_refuses_what_the_model_got_wrong() -> None:
    objective = well(0.3)
    far = 20 * starts(30, 4)
    run = Descent(Cubic(sigma=1e-6), steps=80, every=1)(objective, far)
    assert (np.diff(run.data["loss"], axis=0) <= 1e-9 * np.abs(run.data["loss"][:-1])).all()
    np.testing.assert_allclose(np.abs(run.final[:, 3]), 1, atol=1e-6)


# --- negative curvature ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        NegativeCurvature(curvature=0.1, lipschitz=1.0, rank=10),
        Neon(curvature=0.1, lipschitz=1.0, lr=0.9, inner=400),
    ],
    ids=["lanczos", "neon"],
)
def test_a_step_along_negative_curvature_lowers_f(rule: NegativeCurvature | Neon) -> None:
    """By at least 2|vᵀHv|³/(3ρ²), and |vᵀHv| ≥ γ/2, at each of a thousand saddles of Σ cos x_i."""
    objective = waves(10)
    signs = torch.randint(0, 2, (COUNT, 10), generator=torch.Generator().manual_seed(1)).double()
    signs[:, 0] = 0  # cos x at 0 is a maximum: every point keeps a direction down; at π it is a minimum
    thetas = math.pi * signs
    ends = stepped(rule, objective, thetas)
    fall = objective.losses(thetas) - objective.losses(ends)
    assert bool((fall >= 2 / 3 * (rule.curvature / 2) ** 3).all())
    length = (ends - thetas).norm(dim=1)  # = 2|vᵀHv|/ρ
    assert bool((fall >= 2 / 3 * (length / 2) ** 3 * (1 - 1e-6)).all())
    short = type(rule)(curvature=0.1, lipschitz=0.1)  # ρ ten times too small: the step overshoots and the law fails
    far = stepped(short, objective, thetas)
    fell = objective.losses(thetas) - objective.losses(far)
    assert not bool((fell >= 2 / 3 * ((far - thetas).norm(dim=1) * 0.1 / 2) ** 3 / 0.1**2).all())


def test_neon_takes_no_product_and_lanczos_few() -> None:
    """Power iteration needs about ln(d)/(ηγ) gradients where Lanczos needs the square root of that many products."""
    size = 400
    values = torch.linspace(0, 1, size, dtype=torch.float64)
    values[0] = -0.01
    objective, _ = quadratic(values)
    zero = torch.zeros(20, size, dtype=torch.float64)
    power = Neon(curvature=0.01, lr=1.0, inner=2000, lipschitz=1.0)
    run = Descent(power, steps=1, every=1)(objective, zero)
    assert (run.final_loss < 0).all() and run.cost.products == 0
    gradients = run.cost.backwards / 20
    assert 100 < gradients < 2000
    lanczos = NegativeCurvature(curvature=0.01, rank=60, lipschitz=1.0)
    quick = Descent(lanczos, steps=1, every=1)(objective, zero)
    assert (quick.final_loss < 0).all() and quick.cost.products == 20 * 60 < run.cost.backwards
    few = Descent(NegativeCurvature(curvature=0.01, rank=4, lipschitz=1.0), steps=1)(objective, zero)
    assert (few.final_loss == 0).all()  # the control: four products do not see it


def test_where_there_is_no_negative_curvature_nothing_but_the_gradient_moves() -> None:
    bowl, _ = quadratic(torch.tensor([1.0, 2.0]))
    thetas = 1e-6 * starts(20, 2)
    for rule in (NegativeCurvature(lr=0.1), Neon(lr=0.1), RandomCurvature(lr=0.1)):
        torch.testing.assert_close(stepped(rule, bowl, thetas), thetas * (1 - 0.1 * torch.tensor([1.0, 2.0])))


@pytest.mark.parametrize(("p", "ratio"), [(1, 1.0), (2, 0.5), (5, 0.5), (5, 0.1)])
def test_random_directions_see_negative_curvature_as_rarely_as_the_beta_law_says(p: int, ratio: float) -> None:
    """Of 4,000 one-step tests, within four standard errors."""
    count = 4000
    objective, _ = quadratic(torch.cat([torch.ones(p), torch.tensor([-ratio])]))
    rule = RandomCurvature(curvature=1e-9, lipschitz=100.0, radius=1e-2)
    ends = stepped(rule, objective, torch.zeros(count, p + 1, dtype=torch.float64))
    found = float((ends.norm(dim=1) > 0).double().mean())
    law = chance(p, ratio)
    assert abs(found - law) < 4 * math.sqrt(law * (1 - law) / count)


def test_the_surrogate_does_not_have_the_rate_that_was_claimed() -> None:
    """Tests needed, 1/chance: doubling the positive eigenvalues squares them; a logarithm would add a constant."""
    needed = [1 / chance(p, 0.5) for p in (10, 20, 40)]
    assert needed[1] / needed[0] > 100 and needed[2] / needed[1] > needed[1] / needed[0]
    linear = [1 / chance(20, r) for r in (0.4, 0.2, 0.1)]
    assert linear[1] / linear[0] > 100  # half the curvature costs far more than twice the tests


def test_points_that_have_ended_cost_nothing_and_each_point_its_own_work() -> None:
    objective = well(0.3)
    thetas = torch.zeros(6, 4, dtype=torch.float64)
    thetas[:3, 3] = 1  # minima: they end at once
    for rule, products in (
        (SaddleFree(), 4),
        (SaddleFree(rank=2), 2),
        (Cubic(rank=3), 3),
        (NegativeCurvature(rank=3), 3),
    ):
        run = Descent(rule, steps=4, every=4, stop_loss=-0.07)(objective, thetas)
        assert (run.data["products"][:3] == 0).all() and (run.data["gradients"][:3] == 0).all()
        assert (run.data["products"][3:] % products == 0).all() and (run.data["products"][3:] > 0).all()
        assert run.cost.products == run.data["products"].sum()
    slope = torch.tensor([[0.0, 0, 0, 0], [1.0, 0, 0, 0]], dtype=torch.float64)
    for rule in (NegativeCurvature(rank=3), Neon(inner=5), RandomCurvature()):
        one = Descent(rule, steps=1, every=1)(objective, slope).data
        extra = one["products"] + one["forwards"] + one["gradients"] - 1
        assert extra[0] > 0 and extra[1] == 0  # where the gradient is large no curvature is looked for


def test_rules_run_on_a_network_and_on_its_minibatches() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    data = (torch.randn(40, 3).double(), torch.randn(40, 1).double())
    risk = tw.EmpiricalRisk(net, torch.nn.MSELoss(), data)
    two = torch.stack([risk.initial.theta, 0 * risk.initial.theta])
    for rule in (
        SaddleFree(),
        SaddleFree(rank=6),
        Cubic(rank=6),
        NegativeCurvature(tolerance=1.0),
        Neon(tolerance=1.0),
    ):
        run = Descent(rule, steps=8)(risk, two)
        assert (run.final_loss < run.data["loss"][0]).all(), rule
        shared = Descent(rule, steps=4, batch=20, shared=True)(risk, two)
        assert np.isfinite(shared.final).all()


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SaddleFree(rank=1), "rank=1"),
        (lambda: SaddleFree(seed="fixed"), "seed='fixed'"),  # type: ignore[arg-type]
        (lambda: Cubic(lipschitz=-1.0), "lipschitz=-1"),
        (lambda: Cubic(accept=0.95), "accept=0.95"),
        (lambda: NegativeCurvature(rank=0), "rank=0"),
        (lambda: Neon(inner=0), "inner=0"),
        (lambda: RandomCurvature(radius=0), "radius=0"),
    ],
)
def test_bad_options_are_refused(make, text: str) -> None:
    with pytest.raises(InputError, match=text):
        make()


def test_ritz_pairs_are_those_of_the_matrix() -> None:
    values = torch.tensor([3.0, 3.0, 1.0, -0.5, -2.0], dtype=torch.float64)
    objective, _ = quadratic(values, seed=7)
    thetas = starts(3, 5)
    with objective.linearized(thetas) as linear:
        pairs = spectral.ritz(linear, starts(6, 5).view(3, 2, 5), 5)
        exact = spectral.whole(linear)
    torch.testing.assert_close(pairs.values, exact.values, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(pairs.vectors @ pairs.vectors.transpose(1, 2), torch.eye(5).double().expand(3, 5, 5))
    zero = torch.zeros(3, 1, 5, dtype=torch.float64)
    with objective.linearized(thetas) as linear:
        assert not bool(spectral.ritz(linear, zero, 3).vectors.any())
    assert State(thetas).count == 0
