"""Points of a batch that have ended are not evaluated, in values, gradients, products and rows."""

from __future__ import annotations

import pytest
import torch

import thalweg as tw
from tests.descent.saddles import finite_sum, saddle
from thalweg.core.metered import Metered
from thalweg.core.objective import Objective
from thalweg.descent import Descent, Noise, Perturbed
from thalweg.descent.waiting import Waiting

RUNNING = torch.tensor([0, 3])
KNOWN = torch.arange(5, dtype=torch.float64)


def batch(size: int) -> torch.Tensor:
    return torch.randn(5, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("objective", [saddle(4, 0.3), finite_sum(4, 0.3)], ids=["function", "risk"])
def test_only_points_that_run_are_evaluated(objective: Objective) -> None:
    counted, x = Metered(objective), batch(4)
    waiting = Waiting(counted, RUNNING, KNOWN)
    values, gradients = objective.value_and_grad(x)
    found, slopes = waiting.value_and_grad(x)
    losses = waiting.losses(x)
    vectors = torch.ones(5, 2, 4, dtype=torch.float64)
    with waiting.linearized(x) as linear, objective.linearized(x) as whole:
        assert linear.thetas.shape == x.shape
        products, expected = linear.hvp(vectors), whole.hvp(vectors)
    for b in range(5):
        if b in RUNNING:
            torch.testing.assert_close(found[b], values[b])
            torch.testing.assert_close(losses[b], values[b])
            torch.testing.assert_close(slopes[b], gradients[b])
            torch.testing.assert_close(products[b], expected[b])
        else:
            assert float(found[b]) == float(losses[b]) == b and not slopes[b].any() and not products[b].any()
    cost = counted.meter.read()
    assert (cost.backwards, cost.forwards, cost.products) == (2, 2, 4)


def test_rows_of_points_that_run() -> None:
    risk, x = finite_sum(4, 0.3), batch(4)
    index = torch.arange(10).reshape(5, 2)
    for running in (RUNNING, RUNNING[:1]):
        waiting = Waiting(risk, running, KNOWN).rows(index)
        expected = risk.rows(index).value_and_grad(x)[1]
        found = waiting.value_and_grad(x)[1]
        torch.testing.assert_close(found[running], expected[running])
        assert float(found.abs().sum()) == pytest.approx(float(expected[running].abs().sum()))
    one = Waiting(risk, RUNNING, KNOWN).rows(index[0]).value_and_grad(x)[1]
    torch.testing.assert_close(one[RUNNING], risk.rows(index[0]).value_and_grad(x)[1][RUNNING])


def test_another_number_of_points_is_evaluated_whole() -> None:
    objective = saddle(4, 0.3)
    waiting, x = Waiting(objective, RUNNING, KNOWN), batch(4)[:2]
    torch.testing.assert_close(waiting.value_and_grad(x)[1], objective.value_and_grad(x)[1])
    torch.testing.assert_close(waiting.losses(x), objective.losses(x))
    with waiting.linearized(x) as linear:
        assert linear.hvp(torch.ones(2, 1, 4, dtype=torch.float64)).any()


def test_a_kick_of_points_that_have_ended_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    original = Noise.ball

    def ball(self: Noise, like: torch.Tensor, count: int, which: torch.Tensor) -> torch.Tensor:
        drawn.append(int(which.sum()))
        return original(self, like, count, which)

    monkeypatch.setattr(Noise, "ball", ball)
    start = torch.zeros(3, 2, dtype=torch.float64)
    start[:2, 0] = 2.0  # these two are below the level at once
    objective = tw.Function(lambda x: -x.square().sum() / 2 + x.pow(4).sum() / 16, 2)
    run = Descent(Perturbed(t_thres=3, g_thres=1e-2), steps=60, stop_loss=-0.9)(objective, start)
    assert run.data["ended"][:2].tolist() == [0, 0] and drawn and set(drawn) == {1}
    assert run.data["gradients"][:2].tolist() == [0, 0] and run.data["gradients"][2] == 60
