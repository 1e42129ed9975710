"""Searches on the linear autoencoder, whose critical points are all known, and where they must fail."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.critical import DampedNewton, GradientNorm, NewtonMR, classify
from thalweg.descent import Descent
from thalweg.errors import InputError
from thalweg.records import PointStatus, RunStatus
from thalweg.zoo.autoencoder import kept_by

SIZE, HIDDEN = 5, 2


def test_every_class_of_critical_points_has_the_value_and_index_that_theory_gives() -> None:
    objective = tw.zoo.linear_autoencoder(SIZE, HIDDEN)
    for count in range(HIDDEN + 1):
        for kept in itertools.combinations(range(SIZE), count):
            point = tw.zoo.autoencoder_point(kept, SIZE, HIDDEN)
            theta = torch.tensor(point.theta, dtype=torch.float64)
            record = classify(objective, theta)
            assert record.gradient_norm < 1e-12 and record.value == pytest.approx(point.value, abs=1e-12)
            assert record.index.lower == record.index.upper == point.index, kept
            assert kept_by(theta, SIZE, HIDDEN) == (kept, 0.0)
            assert (record.status is PointStatus.STRICT_SADDLE) == (point.kind == "strict saddle")


@pytest.mark.parametrize(
    ("rule", "steps", "found"), [(NewtonMR(), 20, 4), (DampedNewton(), 20, 2), (GradientNorm(), 400, 1)]
)
def test_what_is_found_is_a_known_critical_point(rule, steps: int, found: int) -> None:
    """From random starts of one batch; whatever reaches ‖∇F‖² < 1e-10 has a known value and index."""
    objective = tw.zoo.linear_autoencoder(4, 1)
    generator = torch.Generator().manual_seed(0)
    starts = 0.5 * torch.randn(6, objective.space.size, generator=generator, dtype=torch.float64)
    run = Descent(rule=rule, steps=steps, every=steps, stop_gradient=1e-5)(objective, starts)
    reached = 0
    for theta in torch.from_numpy(run.final.copy()):
        record = classify(objective, theta)
        if record.gradient_norm > 1e-5:
            continue
        reached += 1
        kept, away = kept_by(theta, 4, 1)
        known = tw.zoo.autoencoder_point(kept, 4, 1)
        assert away < 1e-3
        assert record.value == pytest.approx(known.value, abs=1e-6)
    assert reached >= found


def test_newton_ends_at_the_saddle_that_gradient_descent_leaves() -> None:
    objective = tw.zoo.scalar_factorisation()
    start = torch.tensor([[0.12, -0.1]], dtype=torch.float64)
    newton = Descent(rule=NewtonMR(), steps=20, stop_gradient=1e-10)(objective, start)
    down = Descent(rule=tw.descent.GradientDescent(0.1), steps=2000, stop_gradient=1e-10)(objective, start)
    assert classify(objective, torch.from_numpy(newton.final[0].copy())).index.lower == 1
    assert classify(objective, torch.from_numpy(down.final[0].copy())).index.lower == 0


def test_a_search_stops_in_a_gradient_flat_region_without_a_critical_point() -> None:
    """x + 50y² has none: ‖∇F‖ goes to 1, and the point is called gradient-flat, not a saddle."""
    objective = tw.Function(lambda x: x[0] + 50 * x[1] ** 2, 2, initial=torch.tensor([0.0, 1.0]))
    run = Descent(rule=NewtonMR(), steps=30)(objective, objective.initial)
    assert run.final_gradient_norm[0] == pytest.approx(1)
    assert classify(objective, torch.from_numpy(run.final[0].copy())).status is PointStatus.GRADIENT_FLAT


def test_line_searches_never_let_the_gradient_norm_rise() -> None:
    objective = tw.zoo.linear_autoencoder(4, 1, seed=3)
    for rule in (NewtonMR(), GradientNorm()):
        run = Descent(rule=rule, steps=15, every=1)(objective, objective.initial)
        norms = run.data["gradient_norm"][:, 0]
        assert (norms[1:] <= norms[:-1] * (1 + 1e-12)).all()


def test_a_point_whose_every_step_length_is_refused_is_returned_at_once() -> None:
    """At the kink of x²/2 + 3|x − 1/3| the gradient jumps over 0: shorter and shorter steps, then none."""
    objective = tw.Function(lambda x: x[0] ** 2 / 2 + 3 * (x[0] - 1 / 3).abs(), 1)
    starts = torch.tensor([[1.0], [-0.7]], dtype=torch.float64)
    run = Descent(rule=NewtonMR(), steps=500, every=500)(objective, starts)
    assert set(run.endings) == {RunStatus.RETURNED} and run.data["ended"].max() < 60
    np.testing.assert_allclose(run.final_gradient_norm, 3 - 1 / 3, atol=1e-9)
    stuck = torch.from_numpy(run.final.copy())
    again = Descent(rule=NewtonMR(), steps=3)(objective, stuck)
    assert torch.equal(torch.from_numpy(again.final.copy()), stuck) and set(again.endings) == {RunStatus.RETURNED}
    tame = Descent(rule=NewtonMR(), steps=20, stop_gradient=1e-10)(
        tw.zoo.scalar_factorisation(), torch.full((1, 2), 0.1)
    )
    assert tame.endings == (RunStatus.GRADIENT,)


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match=r"rho=1\.5"):
        NewtonMR(rho=1.5)
    with pytest.raises(InputError, match="hidden=4"):
        tw.zoo.linear_autoencoder(4, 4)
    with pytest.raises(InputError, match="at most 2"):
        tw.zoo.autoencoder_point((0, 1, 2), 5, 2)
