"""A double well whose height, barrier curvature and width are set apart, and Kramers' time to leave a well."""

from __future__ import annotations

import math
from typing import Any

import torch

from thalweg.core.function import Function
from thalweg.errors import InputError
from thalweg.zoo.facts import CriticalPoint, Facts
from thalweg.zoo.wells import mean_passage_time


def sextic_well(height: float = 1.0, pinch: float = 0.0, width: float = 1.0) -> Function:
    """height·(u² − 1)²(1 + pinch·u²), u = x/width: minima at ±width, a barrier of that height at 0.

    Curvatures are those of :func:`curvatures`, so that
    width² = 1 + pinch changes the barrier's alone, and width² = height the height alone.

    Raises
    ------
    InputError
        If height or width is not positive, or pinch not in [0, 2).
    """
    if not (0 < height < math.inf and 0 < width < math.inf and 0 <= pinch < 2):
        raise InputError(
            f"height={height}, pinch={pinch}, width={width}: positive, and pinch in [0, 2), or 0 is no top"
        )
    bottom, top = curvatures(height, pinch, width)
    facts = Facts(
        infimum=0.0,
        critical_points=(
            CriticalPoint("barrier", (0.0,), height, 1, "strict maximum", (-top,)),
            CriticalPoint("minimum", (width,), 0.0, 0, "global minimum", (bottom,)),
            CriticalPoint("other minimum", (-width,), 0.0, 0, "global minimum", (bottom,)),
        ),
        source="by differentiation",
        count=3,
    )
    return Function(lambda x: potential(x[0], height, pinch, width), 1, facts, initial=torch.tensor([-width]))


def curvatures(height: float, pinch: float, width: float) -> tuple[float, float]:
    """8·height(1 + pinch)/width² at the minima of :func:`sextic_well`, and the size 2·height(2 − pinch)/width² at 0."""
    return 8 * height * (1 + pinch) / width**2, 2 * height * (2 - pinch) / width**2


def potential(x: Any, height: float, pinch: float, width: float) -> Any:
    """F of :func:`sextic_well`, of numbers, arrays and tensors alike."""
    return height * ((x / width) ** 2 - 1) ** 2 * (1 + pinch * (x / width) ** 2)


def kramers_time(barrier: float, minimum: float, top: float, temperature: float = 1.0) -> float:
    """2π/√(U''(minimum)·|U''(top)|)·e^{barrier/T}: the mean time of dX = −U′dt + √(2T)dW to cross a high barrier.

    One dimension, in the limit of small T; ``minimum`` and ``top`` are sizes of curvatures (Kramers 1940, Physica
    7:284–304, overdamped; the formula cited from memory, held against the exact mean in tests).
    """
    return 2 * math.pi / math.sqrt(minimum * top) * math.exp(barrier / temperature)


def mean_crossing_time(height: float, pinch: float, width: float, temperature: float = 1.0) -> float:
    """Mean time to reach one minimum of :func:`sextic_well` from the other, by :func:`~.wells.mean_passage_time`.

    Of dX = −F′dt + √(2T)dW, reflected at −4·width, where F is 225(1 + 16·pinch) times as high as the barrier.
    """
    return mean_passage_time(lambda x: potential(x, height, pinch, width), -width, width, temperature, -4 * width)
