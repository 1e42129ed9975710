"""Features that compete: the mode equations beside descent, and responses at which the gradient is zero."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expi

from thalweg.descent import Descent, GradientDescent
from thalweg.errors import InputError
from thalweg.zoo.starvation import coupled_pair, coupled_responses, mode_equations, strengths, two_features


def _gap(lr: float, together: bool = False) -> float:
    """The largest difference of a strength under descent from the mode equations, up to time 12."""
    risk = two_features(1.0, 0.5, 0.1, together=together)
    run = Descent(GradientDescent(lr), steps=round(12 / lr), every=1)(risk, risk.initial)
    u = strengths(risk, torch.tensor(run.data["thetas"][:, 0])).numpy()
    return float(np.abs(u - mode_equations(1.0, 0.5, 0.1, lr * run.data["steps"])).max())


def test_descent_approaches_the_modes_to_first_order_unless_units_see_both_features() -> None:
    coarse, fine = _gap(0.2), _gap(0.1)
    assert fine == pytest.approx(coarse / 2, rel=0.2) and 0 < fine < 0.05
    assert _gap(0.1, together=True) > 10 * fine


def test_a_feature_alone_follows_the_closed_form() -> None:
    t = np.linspace(0, 80, 60)
    alone = mode_equations(0.0, 0.2, 0.01, t)[:, 1]
    law = np.log(alone) + expi(alone) - np.log(0.01) - expi(0.01)
    np.testing.assert_allclose(law, 0.2 * t, atol=1e-6)
    assert np.abs(law - 0.25 * t).max() > 1  # another share is told apart


def test_rows_hold_the_shares_and_the_initial_point_the_strengths() -> None:
    risk = two_features(0.25, 0.2, 0.04)
    x, y = risk.table.inputs, risk.table.targets
    assert isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor)
    assert x.shape == (200, 2) and torch.equal(x[:100], -x[100:]) and float(y.sum()) == 0
    second = x[:100, 1] == 1
    assert float(second.double().mean()) == pytest.approx(0.2)
    for with_second in (True, False):
        assert float(x[:100, 0][second == with_second].mean()) == pytest.approx(0.25)
    torch.testing.assert_close(strengths(risk, risk.initial.theta[None])[0], torch.full((2,), 0.04).double())


@pytest.mark.parametrize("on_outputs", [False, True])
def test_the_gradient_is_zero_at_the_responses_and_not_where_a_feature_is_of_another_size(on_outputs: bool) -> None:
    first = [2.0, 3.0, 6.0]
    sizes = torch.tensor([[s, 2.0] for s in first], dtype=torch.float64)
    theta = torch.from_numpy(coupled_responses(first, on_outputs=on_outputs)) / sizes
    for off in (0.0, 0.1):
        pair = coupled_pair([s + off for s in first], on_outputs=on_outputs)
        slope = pair.value_and_grad(theta.reshape(1, -1))[1]
        assert (float(slope.norm()) < 1e-9) == (off == 0)


def test_the_penalty_on_outputs_undoes_the_coupling() -> None:
    starved, free = (coupled_responses([2.0, 6.0], on_outputs=o)[:, 1] for o in (False, True))
    assert starved[1] < starved[0] - 0.3 and free[1] == pytest.approx(free[0], abs=1e-9)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="whole numbers"):
        two_features(0.5, 0.215)
    with pytest.raises(InputError, match=r"share=1.5"):
        two_features(1.5)
    with pytest.raises(InputError, match=r"start=0"):
        two_features(0.5, start=0.0)
