"""Degenerate saddles are left by third derivatives, by as much as the law says, and by nothing of lower order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.descent.second_order import starts
from thalweg.descent import Descent
from thalweg.descent.cubic import Cubic
from thalweg.descent.saddle_free import SaddleFree
from thalweg.descent.third_order import ThirdOrder
from thalweg.errors import InputError

COUNT = 1000


def monkey(size: int, third: float) -> tw.Function:
    """x³ − 3xy² + |·|⁴L/24: D³F(u, u, u) is at most 6 at the origin, and its Lipschitz constant is L."""
    return tw.Function(lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2 + third / 24 * x.square().sum() ** 2, size)


@pytest.mark.parametrize(("size", "third"), [(2, 30.0), (4, 60.0)])
def test_a_step_from_a_monkey_saddle_has_the_decrease_of_the_law(size: int, third: float) -> None:
    """At the exact saddle c = 6: the step is 6/L and F falls by 162/L³, above the bound c⁴/(24L³) = 54/L³."""
    objective = monkey(size, third)
    count = COUNT if size == 2 else 50
    zero = torch.zeros(count, size, dtype=torch.float64)
    run = Descent(ThirdOrder(third=third), steps=1, every=1)(objective, zero)
    np.testing.assert_allclose(-run.final_loss, 162 / third**3, rtol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(run.final, axis=1), 6 / third, rtol=1e-3)
    assert (-run.final_loss >= 54 / third**3).all()
    angles = np.arctan2(run.final[:, 1], run.final[:, 0])
    found = {round(a / (np.pi / 3)) % 6 for a in angles}
    assert found == {1, 3, 5}  # all three ways down are taken
    control = Descent(Cubic(lipschitz=1.0), steps=3)(objective, zero[:50])
    assert (control.final_loss > -1e-12).all()
    assert (Descent(SaddleFree(), steps=3)(objective, zero[:50]).final_loss > -1e-12).all()


def test_a_step_never_raises_f_where_both_constants_are_bounds() -> None:
    """From points around the saddle the law's decrease is on top of the cubic step's; with L too small it fails."""
    objective = monkey(2, 30.0)
    near = starts(COUNT, 2, 0.02)
    middle = torch.from_numpy(Descent(Cubic(lipschitz=20.0), steps=1)(objective, near).final.copy())
    ends = Descent(ThirdOrder(lipschitz=20.0, third=30.0), steps=1)(objective, near).final
    assert (objective.losses(torch.from_numpy(ends.copy())) <= objective.losses(middle) + 1e-12).all()
    moved = np.linalg.norm(ends - middle.numpy(), axis=1)
    c = 30.0 * moved  # the step is c/L
    fall = (objective.losses(middle) - objective.losses(torch.from_numpy(ends.copy()))).numpy()
    assert (fall >= c**4 / (24 * 30.0**3) * (1 - 1e-6)).all() and (moved > 0).mean() > 0.3
    careless = Descent(ThirdOrder(lipschitz=20.0, third=3.0), steps=1)(objective, near)
    assert not (careless.final_loss <= objective.losses(near).numpy()).all()


def test_a_degenerate_saddle_beside_a_valley_and_one_of_fourth_order() -> None:
    cubic = tw.Function(lambda x: x[0] ** 3 + x[1] ** 2 + x[0] ** 4, 2)
    zero = torch.zeros(COUNT, 2, dtype=torch.float64)
    run = Descent(ThirdOrder(third=24.0), steps=1, every=1)(cubic, zero)
    np.testing.assert_allclose(-run.final_loss, (6 / 24) ** 3 - (6 / 24) ** 4, rtol=1e-6)
    assert (run.final[:, 0] < 0).all()
    settled = Descent(ThirdOrder(third=24.0), steps=60)(cubic, zero[:20])
    np.testing.assert_allclose(settled.final[:, 0], -0.75, atol=1e-6)
    fourth = tw.Function(lambda x: x[0] ** 2 - x[1] ** 4, 2)  # the control: third derivatives do not show it either
    assert (Descent(ThirdOrder(), steps=3)(fourth, zero[:20]).final_loss == 0).all()


def test_larger_spaces_and_bad_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="51 parameters"):
        Descent(ThirdOrder(), steps=1)(tw.Function(lambda x: x.sum(), 51), torch.zeros(51))
    with pytest.raises(InputError, match="third=0"):
        ThirdOrder(third=0)
