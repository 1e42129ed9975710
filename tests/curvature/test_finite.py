"""Finite-scale curvature: the Hessian's where there is no third derivative, something else where there is a kink."""

from __future__ import annotations

import pytest
import torch

import thalweg as tw
from tests.core.test_objectives import OBJECTIVES
from thalweg.curvature import FiniteScale, Operator
from thalweg.errors import InputError
from thalweg.records import FiniteScaleStatus, Guarantee, unpack
from thalweg.records.codec import pack

A = torch.diag(torch.tensor([1.0, -2.0, 5.0], dtype=torch.float64))


def test_on_a_quadratic_every_scale_gives_the_hessian() -> None:
    objective = tw.Function(lambda x: x @ A.to(x) @ x / 2, 3, initial=torch.ones(3))
    for h in (1e-3, 1.0, 1e3):
        record = FiniteScale(h=h)(objective, objective.initial)
        vectors = torch.tensor(record.data["directions"])
        torch.testing.assert_close(torch.tensor(record.data["changes"]), vectors @ A, rtol=0, atol=1e-11 / min(h, 1))
        assert record.h == h and f"h = {h:g}" in record.summary and "Hessian" not in record.summary
        assert record.cost.backwards == 9 and record.guarantee is Guarantee.EXACT


def test_a_kink_within_reach_is_seen_and_the_hessian_does_not_see_it() -> None:
    objective = tw.Function(lambda x: x.abs().sum(), 2, initial=torch.tensor([0.5, 0.5]))
    along = torch.tensor([[-3.0, 0.0]])
    with Operator(objective, objective.initial) as matrix:
        assert float(matrix.dense().abs().max()) == 0
    near, far = (FiniteScale(h=h, directions=along)(objective, objective.initial) for h in (0.4, 1.0))
    assert near.data["curvatures"][0] == 0 and far.data["curvatures"][0] == pytest.approx(2)


def test_the_error_against_the_hessian_falls_in_proportion_to_the_scale() -> None:
    objective = OBJECTIVES["mlp"]().to(torch.float64)
    errors = []
    with Operator(objective, objective.initial) as matrix:
        for h in (1e-2, 1e-3):
            record = FiniteScale(h=h)(objective, objective.initial, rng=3)
            exact = matrix(torch.tensor(record.data["directions"]))
            errors.append(float((torch.tensor(record.data["changes"]) - exact).norm()))
    assert 8 < errors[0] / errors[1] < 12


def test_scales_that_cannot_be_taken_are_refused() -> None:
    objective = OBJECTIVES["mlp"]()
    with pytest.raises(InputError, match="h=0"):
        FiniteScale(h=0)
    with pytest.raises(InputError, match="take a larger h or float64"):
        FiniteScale(h=1e-12)(objective, objective.initial)
    with pytest.raises(InputError, match="a direction is zero"):
        FiniteScale(directions=torch.zeros(1, objective.space.size))(objective, objective.initial)
    pole = tw.Function(lambda x: (1 / x).sum(), 2, initial=torch.ones(2))
    record = FiniteScale(h=1.0, directions=torch.tensor([[-1.0, 0.0]]))(pole, pole.initial)
    assert record.status is FiniteScaleStatus.NONFINITE and record.guarantee is None
    again = unpack(*pack(FiniteScale(h=0.5)(pole, pole.initial)))
    assert isinstance(again, tw.records.FiniteScale) and again.h == 0.5
