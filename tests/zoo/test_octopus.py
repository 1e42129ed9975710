"""The octopus joins smoothly, and its passages are those of the plain loop and of the law."""

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.errors import InputError
from thalweg.zoo.octopus import TAU, octopus

CURVATURES = (1.0, 1.5, 2.0, 3.0)


def plain(dimension: int, L: float, starts: torch.Tensor, steps: int, share: float = 0.25) -> np.ndarray:
    """Gradient descent with step share/L in float64, [B, dimension]; −1 where a coordinate has not passed."""
    objective, x = octopus(dimension, L), starts.clone()
    passed = np.full(starts.shape, -1)
    for step in range(steps):
        passed[(x.abs() > 2 * TAU).numpy() & (passed < 0)] = step
        if (passed >= 0).all():
            break
        value, gradient = objective.value_and_grad(x)
        assert bool(value.isfinite().all())
        x = x - share / L * gradient
    return passed


@pytest.mark.parametrize("L", CURVATURES)
@pytest.mark.parametrize("dimension", [1, 3])
def test_value_gradient_and_hessian_are_continuous_at_every_joint(dimension: int, L: float) -> None:
    """Both sides of every joint, with another coordinate at 0 and beside it; the error of the offset is Lipschitz."""
    objective, offset = octopus(dimension, L, 0.7), 1e-13
    for past in range(dimension):
        for joint in (TAU, 2 * TAU):
            x = torch.zeros(dimension, dtype=torch.float64)
            x[:past] = 4 * TAU - 0.3
            x[past] = joint
            x[past + 1 :] = 0.4
            sides = []
            for sign in (-1, 1):
                beside = x.clone()
                beside[past] += sign * offset
                value, gradient = objective.value_and_grad(beside[None])
                with objective.linearized(beside[None]) as products:
                    hessian = products.hvp(torch.eye(dimension, dtype=torch.float64)[None])
                sides.append(torch.cat([value, gradient.reshape(-1), hessian.reshape(-1)]))
            jump = float((sides[1] - sides[0]).abs().max())
            assert jump < 1e-10, (past, joint, jump)  # third derivatives up to some hundred times the offset
            assert float(sides[0].abs().max()) > 1


def test_the_second_joint_is_where_the_value_falls_by_nu() -> None:
    """At 2τ the first saddle's polynomial meets the well to rounding: jumps up to 1e-13 of F itself."""
    for L in CURVATURES:
        objective = octopus(2, L)
        low, high = objective.losses(torch.tensor([[2 * TAU, 0.0], [np.nextafter(2 * TAU, 9), 0.0]]).double()).tolist()
        assert abs(low - high) <= 1e-13 * abs(objective.facts.infimum)


def test_outside_its_region_it_is_infinite_and_inside_it_is_even() -> None:
    objective = octopus(3)
    outside = torch.tensor([[0.0, 1.1 * TAU, 0.0], [6.1 * TAU, 0.0, 0.0]], dtype=torch.float64)
    assert bool(objective.losses(outside).isinf().all())
    x = (2 * torch.rand(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1) * TAU
    assert torch.equal(objective.losses(x), objective.losses(-x)) and bool(objective.losses(x).isfinite().all())


def test_there_is_no_critical_point_between_a_saddle_and_the_next() -> None:
    """g₁′ <= −2γτ on the joint, so that the list of critical points is complete along the chain."""
    for L in CURVATURES:
        line = torch.linspace(TAU, 2 * TAU, 501, dtype=torch.float64)[:, None]
        _, slope = octopus(1, L).value_and_grad(line)
        assert float(slope.max()) <= -2 * TAU + 1e-12


@pytest.mark.parametrize(("dimension", "L"), [(4, 1.0), (3, 1.5), (2, 3.0)])
def test_passages_are_those_of_the_plain_loop(dimension: int, L: float) -> None:
    starts = 2 * torch.rand(100, dimension, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1
    starts[0] = 0.9 * TAU  # nearly at a joint, and the following ones as far out as they may be
    starts[1] = 1e-3
    assert (octopus.passage_steps(dimension, L, starts=starts) == plain(dimension, L, starts, 20_000)).all()


def test_float64_iterates_underflow_and_never_pass() -> None:
    """The control: a waiting coordinate reaches 0 in floating point, so the plain loop fakes infinity."""
    starts = torch.tensor([[1e-93, 0.5]], dtype=torch.float64)
    exact = octopus.passage_steps(2, 1.0, step=0.45, starts=starts)
    assert 0 < exact[0, 1] < 2000
    loop = plain(2, 1.0, starts, int(exact[0, 1]) + 100, share=0.45)
    assert loop[0, 0] == exact[0, 0] and loop[0, 1] == -1


@pytest.mark.parametrize("L", CURVATURES)
def test_a_thousand_starts_give_the_median_of_twenty_thousand(L: float) -> None:
    many = np.median(octopus.passage_steps(5, L, starts=20_000, rng=1)[:, -1])
    few = np.median(octopus.passage_steps(5, L, starts=1000, rng=2)[:, -1])
    assert abs(few / many - 1) < 0.04


@pytest.mark.parametrize("L", CURVATURES)
def test_passage_steps_grow_by_the_ratio(L: float) -> None:
    """T_{i+1} − q·T_i is bounded, so increments grow by q up to its reciprocal; another q is refused by d = 10."""
    q = octopus.ratio(L)
    assert q == pytest.approx(1 + np.log(2) / np.log(1 + 1 / (2 * L)))
    passed = octopus.passage_steps(10, L, starts=1000, rng=3).astype(float)
    rest = passed[:, 1:] - q * passed[:, :-1]
    middle = np.median(rest, axis=0)
    # The constant is one and the same law at every saddle (2 steps are the rounding of counts).
    assert np.ptp(middle[1:]) < 0.15 * middle[1:].mean() + 2
    growth = np.diff(passed, axis=1)[:, -1] / np.diff(passed, axis=1)[:, -2]
    assert np.median(growth) == pytest.approx(q, rel=1e-4)
    assert np.ptp(np.median(passed[:, 1:] - 1.01 * q * passed[:, :-1], axis=0)[1:]) > middle[1:].mean()  # control


def test_below_its_level_the_last_coordinate_has_passed() -> None:
    objective, count = octopus(2, 1.5), 40_000
    x = 6 * TAU * torch.rand(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    below = objective.losses(x) < objective.facts.escape_level(objective.facts.saddles()[0])
    assert below.any() and bool((x[below, 1] > 2 * TAU).all())
    last = torch.tensor([[4 * TAU, 2 * TAU - 1e-9], [4 * TAU, 2 * TAU + 1e-9]], dtype=torch.float64)
    assert (objective.losses(last) < objective.facts.escape_level(objective.facts.saddles()[0])).tolist() == [
        False,
        True,
    ]


def test_ratio_tends_to_its_limit_for_small_steps() -> None:
    assert octopus.ratio(2.0, 0.5, 1e-9) == pytest.approx(2.5 / 0.5, rel=1e-6)
    with pytest.raises(InputError, match=r"step=0\.6"):
        octopus.ratio(1.0, 1.0, 0.6)


def test_wrong_starts_are_quoted_and_the_subject_is_built_by_name() -> None:
    for wrong in (0, torch.zeros(3, 2), torch.full((2, 5), 9.0)):
        with pytest.raises(InputError, match="starts"):
            octopus.passage_steps(5, starts=wrong)
    built = tw.zoo.build("octopus", dimension=3, L=2.0, seed=4)
    assert built.facts.count == 15 and bool((built.initial.theta.abs() <= 1).all())
    assert tw.zoo.octopus.passage_steps is not None
