"""First passages: counted steps where nothing is random, the exact mean of a walk, and walkers that do not meet."""

from __future__ import annotations

import numpy as np
import torch

from thalweg.core.function import Function
from thalweg.critical.escape.first_passage import first_passages
from thalweg.descent import SGLD, GradientDescent

SLOPE = Function(lambda x: -x[0], 1)


def _beyond(level: float):  # type: ignore[no-untyped-def]
    return lambda x: x[:, 0] >= level


def test_steps_down_a_slope_are_counted_and_those_that_never_arrive_are_infinite() -> None:
    starts = torch.tensor([[0.0], [0.5], [0.95]], dtype=torch.float64)
    assert first_passages(SLOPE, GradientDescent(0.25), starts, _beyond(1.0)).tolist() == [4, 2, 1]
    few = first_passages(SLOPE, GradientDescent(0.25), starts, _beyond(1.0), limit=3)
    assert few.tolist() == [np.inf, 2, 1]


def test_the_mean_time_with_drift_is_the_way_over_the_drift() -> None:
    """Of dX = dt + √2 dW the mean time from 0 to a is a; Euler steps overshoot by less than √dt."""
    starts, dt = torch.zeros(400, 1, dtype=torch.float64), 0.02
    times = dt * first_passages(SLOPE, SGLD(temperature=1.0, lr=dt), starts, _beyond(3.0), rng=3)
    error = times.std(ddof=1) / len(times) ** 0.5
    assert abs(times.mean() - 3) < 4 * error + dt**0.5 < 1.5


def test_a_walker_does_not_depend_on_the_others() -> None:
    starts = torch.zeros(6, 1, dtype=torch.float64)
    rule = SGLD(temperature=1.0, lr=0.05)
    few, many = (first_passages(SLOPE, rule, starts[:n], _beyond(1.0), rng=0) for n in (2, 6))
    assert np.array_equal(few, many[:2]) and len(set(many)) > 2
