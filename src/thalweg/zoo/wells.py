"""Wells to be left by noise, and how long that takes: double wells, a valley that stiffens, a planted bad minimum."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy import integrate
from torch import Tensor

from thalweg.core.function import Function
from thalweg.errors import InputError
from thalweg.zoo.facts import CriticalPoint, Facts


def double_well(barrier: float = 0.25) -> Function:
    """barrier·(x² − 1)²: minima at ±1 and a barrier of that height at 0; curvature 8·barrier and −4·barrier.

    Raises
    ------
    InputError
        If barrier is not positive.
    """
    _positive(barrier=barrier)
    facts = Facts(
        infimum=0.0,
        critical_points=(
            CriticalPoint("barrier", (0.0,), barrier, 1, "strict maximum", (-4 * barrier,)),
            CriticalPoint("minimum", (1.0,), 0.0, 0, "global minimum", (8 * barrier,)),
            CriticalPoint("other minimum", (-1.0,), 0.0, 0, "global minimum", (8 * barrier,)),
        ),
        source="by differentiation",
        count=3,
    )
    return Function(lambda x: barrier * (x[0] ** 2 - 1) ** 2, 1, facts, initial=torch.tensor([-1.0]))


def stiffening_valley(barrier: float = 0.25, soft: float = 1.0, stiff: float = 8.0) -> Function:
    """barrier·(x² − 1)² + ½k(x)y², k from ``soft`` in the wells to ``stiff`` at the saddle.

    k(x) = soft + (stiff − soft)(1 − x²)² is flat in the wells and at 0, so that Hessians are diagonal there. The saddle
    is narrower than the wells, by which Eyring and Kramers' time grows by √(stiff/soft) over the double well's.

    Raises
    ------
    InputError
        If a parameter is not positive.
    """
    _positive(barrier=barrier, soft=soft, stiff=stiff)

    def fn(x: Tensor) -> Tensor:
        well = (x[0] ** 2 - 1) ** 2
        return barrier * well + (soft + (stiff - soft) * well) * x[1] ** 2 / 2

    wells = tuple(sorted((8 * barrier, soft)))
    facts = Facts(
        infimum=0.0,
        critical_points=(
            CriticalPoint("saddle", (0.0, 0.0), barrier, 1, "strict saddle", (-4 * barrier, stiff)),
            CriticalPoint("minimum", (1.0, 0.0), 0.0, 0, "global minimum", wells),
            CriticalPoint("other minimum", (-1.0, 0.0), 0.0, 0, "global minimum", wells),
        ),
        source="by differentiation",
        count=None if stiff < soft else 3,
    )
    return Function(fn, 2, facts, initial=torch.tensor([-1.0, 0.0]))


def planted_minimum(
    width: float = 0.5, height: float = 0.1, dimension: int = 1, stiffness: float = 1.0, distance: float = 2.0
) -> Function:
    """A bad minimum at 0 behind a barrier of ``height`` at ``width``, with the good minimum at ``distance`` along x_1.

    F = a(x_1⁴/4 − (w + s)x_1³/3 + w·s·x_1²/2) + ½·stiffness·‖x_{>1}‖², a such that the barrier has its height whatever
    the width: the exit of a noisy method against width and temperature. Starts in the bad minimum.

    Raises
    ------
    InputError
        If a parameter is not positive, or distance not above twice the width (else the planted minimum is the deeper).
    """
    _positive(width=width, height=height, stiffness=stiffness, distance=distance)
    if distance <= 2 * width or dimension < 1:
        raise InputError(
            f"width={width}, distance={distance}, dimension={dimension}: the distance is above twice the width, so "
            "that the planted minimum is the worse one, and there is at least 1 variable"
        )
    w, s = width, distance
    scale = 12 * height / (w**3 * (2 * s - w))

    def fn(x: Tensor) -> Tensor:
        t, rest = x[0], x[1:]
        return scale * t**2 * (t**2 / 4 - (w + s) * t / 3 + w * s / 2) + stiffness * (rest @ rest) / 2

    def point(name: str, t: float, value: float, kind: str) -> CriticalPoint:
        along = scale * (3 * t**2 - 2 * (w + s) * t + w * s)
        spectrum = tuple(sorted((along, *(stiffness,) * (dimension - 1))))
        return CriticalPoint(name, (t, *(0.0,) * (dimension - 1)), value, int(along < 0), kind, spectrum)

    depth = -scale * s**3 * (s - 2 * w) / 12
    facts = Facts(
        infimum=depth,
        critical_points=(
            point("planted minimum", 0.0, 0.0, "local minimum"),
            point("barrier", w, height, "strict saddle" if dimension > 1 else "strict maximum"),
            point("minimum", s, depth, "global minimum"),
        ),
        source="by differentiation",
        count=3,
    )
    return Function(fn, dimension, facts, initial=torch.zeros(dimension))


def mean_passage_time(
    potential: Callable[[np.ndarray], np.ndarray],
    start: float,
    end: float,
    temperature: float,
    wall: float,
    points: int = 20001,
) -> float:
    """The mean time of dX = −U′(X)dt + √(2T)dW from ``start`` to ``end``, reflected at ``wall`` on the other side.

    (1/T) ∫_start^end e^{U(y)/T} ∫_wall^y e^{−U(z)/T} dz dy by Simpson's rule on ``points`` equidistant points, in one
    dimension, so in more wherever the others are independent (Gardiner 2009, §5.5; cited from memory, unverified).

    Raises
    ------
    InputError
        If start does not lie between wall and end, or the temperature is not positive.
    """
    _positive(temperature=temperature)
    if not (wall <= start < end or wall >= start > end):
        raise InputError(f"wall={wall}, start={start}, end={end}: the start lies between the wall and the end")
    sides = [np.linspace(0.0, abs(b - a), points) for a, b in ((wall, start), (start, end))]
    behind, ahead = potential(wall + sides[0] * np.sign(end - wall)), potential(start + sides[1] * np.sign(end - wall))
    low = float(min(behind.min(), ahead.min()))  # only differences of U matter, and large energies must not overflow
    held = integrate.simpson(np.exp(-(behind - low) / temperature), x=sides[0]) if start != wall else 0.0
    inner = held + integrate.cumulative_simpson(np.exp(-(ahead - low) / temperature), x=sides[1], initial=0.0)
    return float(integrate.simpson(np.exp((ahead - low) / temperature) * inner, x=sides[1]) / temperature)


def _positive(**given: float) -> None:
    for name, value in given.items():
        if not 0 < value < math.inf:
            raise InputError(f"{name}={value}: it must be positive and finite")
