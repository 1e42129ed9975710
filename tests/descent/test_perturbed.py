"""Perturbed descent: its constants, when it kicks, what it returns, and the energy of its accelerated form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import thalweg as tw
from tests.descent.saddles import RARE, saddle
from thalweg.core.rng import Stream
from thalweg.descent import (
    Adam,
    Assumptions,
    Ball,
    Descent,
    GradientDescent,
    Momentum,
    Noise,
    Perturbed,
    PerturbedAGD,
    State,
    named,
)
from thalweg.records import RunStatus

PLAIN = Assumptions(smoothness=1, hessian_lipschitz=1, accuracy=1e-2, height=1, failure=0.1, dimension=10)


def bowl(size: int) -> tw.Function:
    return tw.Function(lambda x: x.square().sum() / 2, size)


def test_constants_of_the_theorem() -> None:
    k = PLAIN.perturbed(1.0)
    chi = 3 * math.log(10 * 1 * 1 / (1e-4 * 0.1))
    assert k["chi"] == pytest.approx(chi) == pytest.approx(41.4, abs=0.1)
    assert k["radius"] == k["g_thres"] == pytest.approx(1e-2 / chi**2)
    assert k["f_thres"] == pytest.approx(1e-3 / chi**3) and k["t_thres"] == pytest.approx(10 * chi)
    assert k["t_thres"] / k["f_thres"] == pytest.approx(3.0e10, rel=0.03)  # no one waits for that
    assert PLAIN.steps(1.0) == pytest.approx(2 / k["g_thres"] ** 2) and PLAIN.perturbed(0.1)["t_thres"] > 40_000
    rule = Perturbed.theory(PLAIN)
    assert rule.rule == GradientDescent(1.0) and rule.t_thres == math.ceil(10 * chi)
    assert "t_thres  415" in rule.table() and "smoothness=1" in rule.table()
    assert "practical" in Perturbed.practical().table() and "practical" in PerturbedAGD.practical().table()
    a = PLAIN.accelerated(1.0)  # kappa = 10
    assert a["friction"] == pytest.approx(1 / (4 * math.sqrt(10))) and a["lr"] == 0.25
    assert a["curvature"] == pytest.approx(a["friction"] ** 2 * 4) == pytest.approx(0.025)  # √(ρε)/4
    assert a["length"] == pytest.approx(a["curvature"] / 4)
    assert "exploit   True" in PerturbedAGD.theory(PLAIN).table()


@pytest.mark.parametrize(
    "given_", [dict(failure=2.0), dict(accuracy=0.0), dict(dimension=0), dict(accuracy=4.0), dict(height=math.inf)]
)
def test_assumptions_that_make_no_sense_are_refused(given_: dict) -> None:
    names = dict(smoothness=1, hessian_lipschitz=1, accuracy=1e-2, height=1, failure=0.1, dimension=10)
    with pytest.raises(tw.errors.InputError, match=next(iter(given_))):
        Assumptions(**(names | given_))


@pytest.mark.parametrize("make", [lambda: Perturbed(t_thres=0), lambda: Perturbed(f_thres=-1.0), lambda: Ball(0.0)])
def test_bad_thresholds_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(tw.errors.InputError):
        make()
    with pytest.raises(tw.errors.InputError, match="friction"):
        PerturbedAGD(friction=0.0)
    with pytest.raises(tw.errors.InputError, match=r"c=0\.5"):
        PLAIN.accelerated(0.5)


@pytest.mark.parametrize("kind", [Perturbed, PerturbedAGD])
def test_a_minimum_is_returned_and_certified_by_the_constants_of_the_theorem(kind) -> None:  # type: ignore[no-untyped-def]
    rule = kind.theory(PLAIN)
    run = Descent(rule, steps=2000)(bowl(10), 1e-7 * torch.ones(4, 10, dtype=torch.float64))
    assert run.status is RunStatus.CERTIFIED and run.data["ended"].max() <= rule.t_thres + 2
    np.testing.assert_array_equal(run.final, 1e-7)  # the point before the kick
    assert run.provenance.notes == (rule.certifies,) and "at least 0.9" in rule.certifies
    practical = Descent(kind.practical(10), steps=5000)(bowl(10), torch.zeros(4, 10, dtype=torch.float64))
    assert practical.status is RunStatus.RETURNED and practical.provenance.notes == ()


def test_practical_constants_return_a_saddle_as_rarely_as_they_say() -> None:
    count, failure, curvature = 1000, 0.05, 0.2
    rule = Perturbed.practical(100, curvature, lr=0.1, failure=failure)
    run = Descent(rule, steps=rule.t_thres + 2)(saddle(100, curvature), torch.zeros(count, 100, dtype=torch.float64))
    returned = run.endings.count(RunStatus.RETURNED)
    # |N(0, 1)| below x has a probability of at most x·√(2/π), nearly attained: close to the failure, and no more.
    assert stats.binomtest(returned, count, failure, alternative="greater").pvalue > RARE and returned > 0
    hasty = Perturbed(GradientDescent(0.1), rule.kick, rule.g_thres, rule.f_thres, rule.t_thres // 4)
    early = Descent(hasty, steps=rule.t_thres)(saddle(100, curvature), torch.zeros(50, 100, dtype=torch.float64))
    assert early.status is RunStatus.RETURNED and early.endings.count(RunStatus.RETURNED) == 50


def test_kicks_come_where_the_gradient_is_small_and_not_too_often() -> None:
    rule = Perturbed(GradientDescent(0.5), Ball(0.1), g_thres=0.2, t_thres=7)
    state = rule.init(bowl(3), torch.zeros(2, 3, dtype=torch.float64) + torch.tensor([[0.0], [10.0]]))
    noise = Noise.numbered(Stream(0), 0, 2)
    kicked: list[list[float]] = []
    for _ in range(20):
        state, info = rule.step(bowl(3), State(state.theta, state.slots, state.count, noise))
        kicked.append(state.slots["kicks"][:, 0].tolist())
    first = [t for t in range(20) if kicked[t][0] > (kicked[t - 1][0] if t else 0)]
    assert first == [0, 9, 18]  # seven steps are watched, the eighth may kick: a kick and eight descents
    second = [t for t in range(20) if kicked[t][1] > (kicked[t - 1][1] if t else 0)]
    assert second[0] == 7  # 10·√3/2^7 is the first below 0.2


def test_a_kick_leaves_the_velocity_of_the_rule_inside() -> None:
    rule = Perturbed(Momentum(0.1), Ball(1e-3), g_thres=1.0)
    state = rule.init(bowl(2), torch.zeros(1, 2, dtype=torch.float64))
    state.slots["rule.velocity"].fill_(3.0)
    after, info = rule.step(bowl(2), State(state.theta, state.slots, 0, Noise.numbered(Stream(0), 0, 1)))
    assert torch.equal(after.slots["rule.velocity"], torch.full((1, 2), 3.0, dtype=torch.float64))
    assert 0 < float(after.theta.norm()) <= 1e-3 and info.spent.gradients == 1


@pytest.mark.parametrize("name", ["perturbed_adam", "perturbed_momentum", "perturbed", "perturbed_agd"])
def test_every_kicked_rule_leaves_an_exact_saddle(name: str) -> None:
    objective = tw.Function(lambda x: x[1:].square().sum() / 2 + (x[0].square() - 1).square() / 4, 8)
    rule = named(name, curvature=0.5, dimension=8)
    run = Descent(rule, steps=1500, stop_loss=0.01)(objective, torch.zeros(200, 8, dtype=torch.float64))
    assert run.endings.count(RunStatus.LOSS) >= 195  # at most the failure of 1 % each, some of it returned


def rough(size: int, seed: int) -> tw.Function:
    """Neither convex nor quadratic: directions of both signs with waves on top; |∇²F| <= 3, |∇³F| <= 4."""
    generator = torch.Generator().manual_seed(seed)
    scales = 2 * torch.rand(size, generator=generator, dtype=torch.float64) - 1
    phases = 6 * torch.rand(size, generator=generator, dtype=torch.float64)
    return tw.Function(lambda x: (scales * x.square() / 2 + 0.5 * (2 * x + phases).cos()).sum(), size)


@settings(max_examples=8, deadline=None)
@given(size=st.integers(1, 6), seed=st.integers(0, 10**6), share=st.floats(0.1, 1.0))
def test_the_hamiltonian_of_accelerated_descent_never_rises(size: int, seed: int, share: float) -> None:
    """Lemmas 9 and 10 of Jin, Netrapalli & Jordan 2018: lr <= 1/(4ℓ), curvature = friction²/lr, length <= γ/(4ρ)."""
    lr, friction = 1 / 12, 0.25 * share
    curvature = friction**2 / lr
    rule = PerturbedAGD(lr, friction, curvature, length=curvature / 16, g_thres=0.0)
    start = torch.randn(20, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    run = Descent(rule, steps=40, every=1)(rough(size, seed), start)
    energy = run.data["hamiltonian"]
    assert (np.diff(energy, axis=0) <= 1e-12 * (1 + np.abs(energy[1:]))).all()


def test_without_exploitation_the_hamiltonian_rises() -> None:
    """Appendix A.1: F = −γx²/2, x = −1, v = 1/(1 − θ), with γ >= 4θ/η."""
    friction, lr = 0.02, 0.25
    gamma = 4 * friction / lr
    objective = tw.Function(lambda x: -gamma / 2 * x.square().sum(), 1)
    start = torch.tensor([[-1.0]], dtype=torch.float64)
    rises = {}
    for exploit in (False, True):
        rule = PerturbedAGD(lr, friction, friction**2 / lr, length=0.01, g_thres=0.0, exploit=exploit)
        state = rule.init(objective, start)
        state.slots["velocity"].fill_(1 / (1 - friction))
        before = rule.observed(state, objective.losses(start))["hamiltonian"]
        after, info = rule.step(objective, state)
        energy = rule.observed(after, objective.losses(after.theta))
        rises[exploit] = float(energy["hamiltonian"] - before)
        assert float(energy["exploits"]) == exploit
    assert rises[False] > 0 > rises[True]


def test_exploitation_takes_the_better_side_and_drops_the_velocity() -> None:
    objective = tw.Function(lambda x: -x.square().sum() + 0.1 * x[0], 2)
    rule = PerturbedAGD(0.1, 0.1, 0.1, length=0.5, g_thres=0.0)
    state = rule.init(objective, torch.zeros(1, 2, dtype=torch.float64))
    state.slots["velocity"][:] = torch.tensor([1e-3, 0.0])
    after, info = rule.step(objective, state)
    assert after.theta.tolist() == [[-0.5, 0.0]] and not after.slots["velocity"].any()
    assert float(info.spent.gradients) == 2 and float(info.spent.forwards) == 2
    fast = rule.init(objective, torch.ones(1, 2, dtype=torch.float64))
    fast.slots["velocity"][:] = 1.0
    after, info = rule.step(objective, fast)
    assert after.theta.tolist() == [[1.0, 1.0]] and not after.slots["velocity"].any()
    assert float(info.spent.forwards) == 0


def test_adam_inside_is_adam_where_nothing_is_small() -> None:
    start = torch.full((1, 4), 5.0, dtype=torch.float64)
    kicked = Descent(Perturbed(Adam(0.1), g_thres=0.0, t_thres=3), steps=20)(bowl(4), start)
    np.testing.assert_array_equal(kicked.final, Descent(Adam(0.1), steps=20)(bowl(4), start).final)
