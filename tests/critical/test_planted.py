"""Exits from planted minima: each rule's own chain, solved on a grid, says when; widths and temperatures together."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats

from tests.descent.saddles import follows
from thalweg.core.function import Function
from thalweg.critical.escape import Race
from thalweg.zoo.wells import mean_passage_time, planted_minimum

LR, BELOW, WALL = 0.1, -0.03, -2.0


def potential(well: Function) -> Callable[[np.ndarray], np.ndarray]:
    """U(x) on an array [n]."""
    return lambda x: well.losses(torch.from_numpy(np.atleast_2d(x).T)).numpy()


def exit_of(well: Function, width: float) -> float:
    """Where U is first below the level, beyond the barrier."""
    x = np.linspace(width, 2, 20001)
    return float(x[np.argmax(potential(well)(x) < BELOW)])


def drift(well: Function, x: np.ndarray, lr: float = LR) -> np.ndarray:
    """x − lr·U′(x)."""
    _, slope = well.value_and_grad(torch.from_numpy(x[:, None]))
    return x - lr * slope.numpy()[:, 0]


def kernel(well: Function, end: float, temperature: float, lr: float = LR) -> tuple[np.ndarray, np.ndarray]:
    """A grid [n] up to the exit and the Langevin step's Gaussian densities [n, n] on it, by the trapezoidal rule."""
    x = np.linspace(WALL, end, 801)
    weights = np.full(x.size, x[1] - x[0])
    weights[[0, -1]] /= 2
    return x, stats.norm.pdf(x[None], drift(well, x, lr)[:, None], math.sqrt(2 * lr * temperature)) * weights


def langevin(well: Function, end: float, temperature: float, most: int) -> np.ndarray:
    """P(T ≤ t) for t = 0 … most, from the share that is alive after as many steps."""
    x, step = kernel(well, end, temperature)
    alive, found = np.ones(x.size), [0.0]
    for _ in range(most):
        alive = step @ alive
        found.append(1 - float(np.interp(0.0, x, alive)))
    return np.array(found)


def coin(well: Function, end: float, temperature: float, most: int) -> np.ndarray:
    """The same for noise of one length and either sign: survival at a point is the mean of it at two points."""
    x = np.linspace(WALL, end, 20001)
    there, jump = drift(well, x), math.sqrt(2 * LR * temperature)
    alive, found = np.ones(x.size), [0.0]
    for _ in range(most):
        alive = sum(np.interp(there + s * jump, x, alive, right=0.0) for s in (-1, 1)) / 2
        found.append(1 - float(np.interp(0.0, x, alive)))
    return np.array(found)


@pytest.mark.parametrize(("width", "temperature"), [(0.4, 0.06), (0.4, 0.12), (0.8, 0.12)])
@pytest.mark.parametrize("name", ["sgld", "noisy"])
def test_noise_leaves_a_planted_minimum_as_its_chain_says(name: str, width: float, temperature: float) -> None:
    well = planted_minimum(width=width, height=0.1)
    end, starts = exit_of(well, width), 1000
    mean = mean_passage_time(potential(well), 0.0, end, temperature, wall=WALL) / LR
    most = round(5 * mean)
    given = {"temperature": temperature} if name == "sgld" else {"scale": math.sqrt(2 * temperature / LR)}
    race = Race((name,), starts=starts, steps=most, below=BELOW, settling=0, constants={**given, "lr": LR})
    record = race(well, rng=4)
    law = (langevin if name == "sgld" else coin)(well, end, temperature, most + 2)
    times = record.data["steps"][0]
    follows(times, lambda t: float(law[t]))
    other = (langevin if name == "sgld" else coin)(well, end, 1.15 * temperature, most + 2)
    with pytest.raises(AssertionError):  # a temperature 15 % off
        follows(times, lambda t: float(other[t]))


def test_the_chain_tends_to_the_quadrature_and_wide_minima_hold_longer() -> None:
    """Its mean is that of the diffusion, an integral of exponentials, for small lr; the barrier is as high for both."""
    means = {}
    for width in (0.4, 0.8):
        well = planted_minimum(width=width, height=0.1)
        end = exit_of(well, width)
        exact = mean_passage_time(potential(well), 0.0, end, 0.06, wall=WALL)
        errors = []
        for lr in (0.02, 0.005):
            x, step = kernel(well, end, 0.06, lr)
            left = np.linalg.solve(np.eye(x.size) - step, np.ones(x.size))
            errors.append(abs(lr * float(np.interp(0.0, x, left)) / exact - 1))
        assert max(errors) < 0.02, errors
        warmer = mean_passage_time(potential(well), 0.0, end, 0.063, wall=WALL)
        assert exact / warmer > 1.05  # five per cent of temperature would be seen
        means[width] = exact
    assert means[0.8] > 3 * means[0.4]
