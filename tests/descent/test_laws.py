"""First-passage and stationary laws that rules obey exactly, over a thousand starts at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

import thalweg as tw
from tests.descent.saddles import RARE, agrees, finite_sum, follows, pure, saddle
from thalweg.descent import (
    CNCSGD,
    SAM,
    SGLD,
    Adam,
    Ball,
    Descent,
    EntropySGD,
    GradientDescent,
    Momentum,
    NoisyGD,
    Perturbed,
    PerturbedAGD,
    RowStep,
)
from thalweg.records import RunStatus

N = 1000
Z = float(stats.norm.isf(RARE / 2))


def passage(rule, objective: tw.Function, gamma: float, distance: float, steps: int = 4000) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Steps until F <= −γR²/2, from the saddle; every start must pass."""
    starts = torch.zeros(N, objective.space.size, dtype=torch.float64)
    run = Descent(rule, steps=steps, every=steps, stop_loss=-gamma * distance**2 / 2)(objective, starts)
    assert set(run.endings) == {RunStatus.LOSS}
    return run.data["ended"]


@pytest.mark.parametrize("size", [10, 100])
def test_perturbed_descent_is_logarithmic(size: int) -> None:
    eta, gamma, radius, distance = 0.1, 0.5, 1e-3, 0.5
    rule = Perturbed(GradientDescent(eta), Ball(radius), t_thres=10**6)
    times = passage(rule, pure(size, gamma), gamma, distance)

    def law(t: int) -> float:
        """The kick takes one step; its square along an axis, over radius², is Beta(1/2, (P + 1)/2)."""
        least = distance / radius / (1 + eta * gamma) ** (t - 1)
        return float(stats.beta.sf(min(1.0, least**2), 0.5, (size + 1) / 2))

    follows(times, law)
    with pytest.raises(AssertionError):  # ten steps off
        follows(times + 10, law)


@pytest.mark.slow
def test_the_slope_in_the_logarithm_of_the_dimension() -> None:
    eta, gamma, sizes = 0.1, 0.5, (5, 80)
    rule = Perturbed(GradientDescent(eta), Ball(1e-3), t_thres=10**6)
    times = [passage(rule, pure(size, gamma), gamma, 0.5) for size in sizes]
    error = math.sqrt(sum(t.var() for t in times) / N)
    # E ln ξ² of a square that is Beta(1/2, (P + 1)/2) is ψ(1/2) − ψ(P/2 + 1).
    exact = (special.digamma(sizes[1] / 2 + 1) - special.digamma(sizes[0] / 2 + 1)) / (2 * math.log1p(eta * gamma))
    assert abs(times[1].mean() - times[0].mean() - exact) < Z * error
    assert exact / math.log(sizes[1] / sizes[0]) == pytest.approx(1 / (2 * math.log1p(eta * gamma)), rel=0.12)


@pytest.mark.parametrize("size", [10, 40])
def test_noise_leaves_a_saddle_by_itself(size: int) -> None:
    eta, gamma, distance = 0.05, 0.5, 2.0
    times = passage(NoisyGD(eta), pure(size, gamma), gamma, distance)
    factor = 1 + eta * gamma

    def law(t: int) -> float:
        """x_t is a sum of independent terms, nearly normal; far out, drift carries it past for good."""
        spread = eta * math.sqrt((factor ** (2 * t) - 1) / (factor**2 - 1) / size)
        return float(2 * stats.norm.sf(distance / spread))

    follows(times, law)
    median = np.median(times)
    leading = (0.5 * math.log(2 * gamma * distance**2 * size / eta) - math.log(stats.norm.isf(0.25))) / (eta * gamma)
    assert abs(median - leading) < 0.03 * leading  # the law for small eta·gamma


@pytest.mark.parametrize("size", [2, 12])
def test_stochastic_gradients_leave_it_in_a_time_without_dimension(size: int) -> None:
    eta, gamma, distance, every = 0.05, 0.4, 1.0, 25
    risk = finite_sum(size, gamma)
    starts = torch.zeros(N, size, dtype=torch.float64)
    run = Descent(GradientDescent(eta), steps=150, every=every, batch=1, replacement=True)(risk, starts)
    factor = 1 + eta * gamma
    for step, thetas in zip(run.data["steps"][2:], run.data["thetas"][2:], strict=True):
        spread = eta * math.sqrt((factor ** (2 * int(step)) - 1) / (factor**2 - 1))  # the row gradient there is ±1
        passed = (np.abs(thetas[:, -1]) >= distance).sum()
        assert agrees(passed, N, 2 * stats.norm.sf(distance / spread)), int(step)


def test_long_steps_are_the_kicks_of_cnc_sgd() -> None:
    risk, gamma, size = finite_sum(5, 0.4), 0.4, 5
    starts = torch.zeros(N, size, dtype=torch.float64)
    rule = CNCSGD(lr=0.01, long=0.1, period=10)
    run = Descent(rule, steps=60, batch=1, replacement=True)(risk, starts)
    rates = [0.1 if t % 10 == 0 else 0.01 for t in range(60)]
    variance = 0.0
    for rate in rates:
        variance = variance * (1 + rate * gamma) ** 2 + rate**2
    sample = float(np.mean(run.final[:, -1] ** 2))
    assert abs(sample / variance - 1) < Z * math.sqrt(2 / N)
    whole = Descent(rule, steps=60)(risk, starts[:1])  # without noise there is nothing to leave by
    assert np.abs(whole.final).max() < 1e-12


def test_cnc_pgd_leaves_by_a_row_and_gradient_descent_stays() -> None:
    risk, gamma, size, step, eta = finite_sum(20, 0.4), 0.4, 20, 1e-3, 0.1
    starts = torch.zeros(N, size, dtype=torch.float64)
    rule = Perturbed(GradientDescent(eta), RowStep(step), t_thres=10**6)
    run = Descent(rule, steps=101)(risk, starts)
    # Every row's gradient is ±1 along the unstable direction: the law has no spread at all.
    np.testing.assert_allclose(np.abs(run.final[:, -1]), step * (1 + eta * gamma) ** 100, rtol=1e-9)
    assert agrees((run.final[:, -1] > 0).sum(), N, 0.5)
    np.testing.assert_allclose(run.data["gradients"], 101 + 1 / risk.row_count, rtol=1e-12)
    stays = Descent(GradientDescent(eta), steps=101)(risk, starts)
    assert np.abs(stays.final[:, -1]).max() < 1e-9


@pytest.mark.parametrize("gamma", [0.1, 0.01])
def test_accelerated_passage_is_the_larger_root(gamma: float) -> None:
    eta, start, distance = 0.1, 1e-4, 0.5
    friction = math.sqrt(eta * gamma)
    rule = PerturbedAGD(lr=eta, friction=friction, g_thres=0.0, exploit=False)
    run = Descent(rule, steps=4000, every=4000, stop_loss=-gamma * distance**2 / 2)(
        pure(1, gamma), torch.tensor([[start]], dtype=torch.float64)
    )
    up = 1 + eta * gamma
    root = np.roots([1, -up * (2 - friction), up * (1 - friction)])
    first = up * start  # v = 0 at the start
    weights = np.linalg.solve([[1, 1], root.tolist()], [start, first])
    t = np.arange(4000)
    path = weights[0] * root[0] ** t + weights[1] * root[1] ** t
    assert int(run.data["ended"][0]) == int(np.argmax(path >= distance))


@pytest.mark.slow
def test_acceleration_halves_the_exponent_in_curvature() -> None:
    eta, gammas, starts = 0.1, (0.5, 0.05), torch.zeros(N, 3, dtype=torch.float64)
    exponents = {}
    for name in ("plain", "accelerated"):
        medians = []
        for gamma in gammas:
            if name == "plain":
                rule = Perturbed(GradientDescent(eta), Ball(1e-3), t_thres=10**6)
            else:
                rule = PerturbedAGD(lr=eta, friction=math.sqrt(eta * gamma), t_thres=10**6, exploit=False)
            descent = Descent(rule, steps=3000, every=3000, stop_loss=-gamma * 0.5**2 / 2)
            run = descent(pure(3, gamma), starts)
            assert run.endings.count(RunStatus.LOSS) > 0.9 * N
            medians.append(np.median(run.data["ended"]))
        exponents[name] = math.log(medians[1] / medians[0]) / math.log(gammas[0] / gammas[1])
    assert abs(exponents["plain"] - 1) < 0.03 and abs(exponents["accelerated"] - 0.5) < 0.05, exponents


def _entropy_mean(rule: EntropySGD, curvature: float, x: float) -> float:
    """The expected μ of the walk on curvature·x²/2: a linear recursion."""
    at = mean = x
    for _ in range(rule.inner):
        at = at - rule.inner_lr * (curvature * at + rule.gamma * (at - x))
        mean = rule.alpha * mean + (1 - rule.alpha) * at
    return mean


@pytest.mark.parametrize("curvature", [2.0, 20.0, -0.5])
def test_local_entropy_saturates_and_amplifies(curvature: float) -> None:
    gamma, x = 1.0, 0.7
    rule = EntropySGD(1.0, lr=1.0, gamma=gamma, scoping=0.0, inner=150, inner_lr=0.05, alpha=0.9)
    objective = tw.Function(lambda v: curvature / 2 * v.square().sum(), 10)  # ten independent copies a start
    run = Descent(rule, steps=1)(objective, torch.full((N, 10), x, dtype=torch.float64))
    slopes = (x - run.final).ravel()
    error = slopes.std() / math.sqrt(slopes.size)
    assert abs(slopes.mean() - gamma * (x - _entropy_mean(rule, curvature, x))) < Z * error
    exact = gamma * curvature / (gamma + curvature) * x
    # How far the mean still is from that of the walk's law, whose rate is the slower of the two.
    left = 40 * max(abs(1 - rule.inner_lr * (curvature + gamma)), rule.alpha) ** rule.inner
    assert abs(gamma * (x - _entropy_mean(rule, curvature, x)) - exact) < left
    assert abs(slopes.mean() - exact) < Z * error + left
    if curvature < 0:
        assert abs(slopes.mean()) > 1.5 * abs(curvature * x)  # γ/(γ − |λ|) = 2


def test_scoping_raises_gamma() -> None:
    rule = EntropySGD(0.0, lr=1.0, gamma=1.0, scoping=1.0, inner=50, alpha=0.0)
    run = Descent(rule, steps=3, every=1)(tw.Function(lambda v: v.square().sum(), 1), torch.tensor([[1.0]]))
    thetas = run.data["thetas"][:, 0, 0]
    for t in range(3):
        held = EntropySGD(0.0, gamma=2.0**t, inner=50, alpha=0.0)
        assert thetas[t + 1] == pytest.approx(thetas[t] - 2.0**t * (thetas[t] - _entropy_mean(held, 2.0, thetas[t])))


def test_langevin_is_stationary_at_its_temperature() -> None:
    temperature, eta, curvatures = 0.3, 0.2, torch.tensor([0.5, 1.0, 4.0, 8.0], dtype=torch.float64)
    objective = tw.Function(lambda x: (curvatures.repeat(5) / 2 * x.square()).sum(), 20)
    run = Descent(SGLD(temperature, eta), steps=200)(objective, torch.zeros(N, 20, dtype=torch.float64))
    found = (run.final.reshape(N, 5, 4) ** 2).mean((0, 1))
    exact = (temperature / (curvatures * (1 - eta * curvatures / 2))).numpy()
    np.testing.assert_array_less(np.abs(found / exact - 1), Z * math.sqrt(2 / (5 * N)))
    assert abs(found[3] * 8.0 / temperature - 1) > 3  # what the continuous law would give is far off at lr·λ = 1.6


def test_bounded_proposals_are_refused_beyond_the_bound() -> None:
    rule, steep = SGLD(1e-6, 0.1, bounded=True), tw.Function(lambda x: 5 * x.square().sum(), 3)
    far = torch.ones(1, 3, dtype=torch.float64)  # the gradient step alone is longer than 4√(2·lr·T·P)
    assert np.array_equal(Descent(rule, steps=5)(steep, far).final, far.numpy())
    assert not np.array_equal(Descent(SGLD(1e-6, 0.1), steps=5)(steep, far).final, far.numpy())


@pytest.mark.parametrize("rho", [0.05, 0.3])
def test_a_saddle_traps_sharpness_aware_steps_within_rho(rho: float) -> None:
    gamma, eta = 0.5, 0.1
    y = torch.linspace(-2 * rho, 2 * rho, N, dtype=torch.float64)[:, None]
    run = Descent(SAM(eta, rho), steps=400, every=400, stop_loss=-gamma * (3 * rho) ** 2 / 2)(pure(1, gamma), y)
    left = np.array([e is RunStatus.LOSS for e in run.endings])
    np.testing.assert_array_equal(left, (y.abs() > rho).numpy()[:, 0])
    assert np.abs(run.final[~left]).max() <= eta * gamma * rho * 1.05  # within one step of the saddle
    plain = Descent(GradientDescent(eta), steps=400, every=400, stop_loss=-gamma * (3 * rho) ** 2 / 2)(
        pure(1, gamma), y
    )
    assert set(plain.endings) == {RunStatus.LOSS}  # gradient descent leaves from all of them


@pytest.mark.slow
def test_mean_passage_of_a_double_well() -> None:
    temperature, eta = 0.25, 0.02

    def well(x: float) -> float:
        return (x * x - 1) ** 2 / 4

    def inner(y: float) -> float:
        return math.exp(well(y) / temperature) * integrate.quad(lambda z: math.exp(-well(z) / temperature), -4, y)[0]

    exact = integrate.quad(inner, -1, 1)[0] / temperature
    kramers = 2 * math.pi / math.sqrt(2) * math.exp(0.25 / temperature)
    # F drops by 5 where the other minimum is reached, which no gradient sees: the event.
    objective = tw.Function(lambda x: (x[0].square() - 1).square() / 4 - 5.0 * (x[0] >= 1), 1)
    starts = torch.full((N, 1), -1.0, dtype=torch.float64)
    run = Descent(SGLD(temperature, eta), steps=30_000, every=30_000, stop_loss=-1.0)(objective, starts)
    assert set(run.endings) == {RunStatus.LOSS}
    times = eta * run.data["ended"]
    error = times.std() / math.sqrt(N)
    assert abs(times.mean() - exact) < 4 * error
    assert abs(times.mean() - kramers) > 4 * error  # the asymptotic law is another number at this temperature


def test_gradient_descent_ends_at_no_strict_saddle() -> None:
    """Lee, Simchowitz, Jordan & Recht 2016: with a step below 1/L, from almost every start; L = 11 on this square."""
    objective = tw.Function(lambda x: (x[0].square() - 1).square() / 4 + x[1].square() / 2, 2)
    generator = torch.Generator().manual_seed(0)
    starts = 4 * torch.rand(N, 2, generator=generator, dtype=torch.float64) - 2
    descent = Descent(GradientDescent(0.09), steps=3000, every=3000, stop_gradient=1e-9)
    run = descent(objective, starts)
    ended = int((np.abs(run.final[:, 0]) < 0.5).sum())
    assert ended == 0 and set(run.endings) == {RunStatus.GRADIENT}
    assert stats.binomtest(ended, N).proportion_ci(method="wilson").high < 0.004
    manifold = starts * torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert np.abs(descent(objective, manifold).final).max() < 1e-8  # the stable manifold ends at the saddle


def test_gradient_descent_ends_at_a_saddle_that_is_not_strict() -> None:
    objective = tw.Function(lambda x: x[0].square() / 2 + x[1] ** 3 / 3 + x[1] ** 4 / 4, 2)  # y = 0 is no minimum
    starts = 2 * torch.rand(N, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    run = Descent(GradientDescent(0.15), steps=1500, every=1500)(objective, starts)
    at_saddle, y = np.abs(run.final[:, 1]) < 0.01, starts[:, 1].numpy()
    assert at_saddle[y > 0].all() and not at_saddle[y < -0.01].any()  # below, it takes 1/(lr·|y|) steps to leave
    assert stats.binomtest(int(at_saddle.sum()), N).proportion_ci(method="wilson").low > 0.4


@pytest.mark.parametrize("rule", [GradientDescent(0.1), Momentum(0.1, nesterov=True), Adam(0.1), SAM(0.1, 0.05)])
def test_without_noise_an_exact_saddle_is_never_left(rule) -> None:  # type: ignore[no-untyped-def]
    start = torch.zeros(3, 5, dtype=torch.float64)
    start[0, :2] = 1.0  # on the stable manifold
    run = Descent(rule, steps=300)(saddle(5, 0.5), start)
    assert np.abs(run.final[:, -1]).max() == 0.0
