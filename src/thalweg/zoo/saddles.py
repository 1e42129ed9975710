"""Saddles of a few variables: one that is strict, and some that second derivatives do not show."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from thalweg.core.function import Function
from thalweg.errors import InputError
from thalweg.zoo.facts import CriticalPoint, Facts


def strict_saddle(dimension: int = 10, gamma: float = 0.1, stiffness: float = 1.0, quartic: float = 0.1) -> Function:
    """½·stiffness·‖x_{<d}‖² − ½·gamma·x_d² + ¼·quartic·x_d⁴: one saddle of index 1 at 0, between two minima.

    The minima are at x_d = ±√(gamma/quartic); ``quartic=0`` leaves the quadratic form, on which passage laws are exact.

    Raises
    ------
    InputError
        If dimension is below 2, gamma or stiffness not positive, or quartic negative.
    """
    if dimension < 2 or not 0 < gamma < math.inf or not 0 < stiffness < math.inf or not 0 <= quartic < math.inf:
        raise InputError(
            f"dimension={dimension}, gamma={gamma}, stiffness={stiffness}, quartic={quartic}: at least 2 variables, "
            "and curvatures above 0"
        )

    def fn(x: Tensor) -> Tensor:
        rest, along = x[:-1], x[-1] ** 2
        return (stiffness * (rest @ rest) - gamma * along) / 2 + quartic * along**2 / 4

    stiff = (stiffness,) * (dimension - 1)
    # Without the quartic term nothing is deeper, and F is said to have left where x_d has passed 1.
    saddle = CriticalPoint(
        "saddle", (0.0,) * dimension, 0.0, 1, "strict saddle", (-gamma, *stiff), None if quartic else -gamma / 2
    )
    points, depth = [saddle], -math.inf
    if quartic:
        depth = -(gamma**2) / (4 * quartic)
        for name, sign in (("minimum", 1), ("other minimum", -1)):
            place = (*(0.0,) * (dimension - 1), sign * math.sqrt(gamma / quartic))
            spectrum = tuple(sorted((*stiff, 2 * gamma)))
            points.append(CriticalPoint(name, place, depth, 0, "global minimum", spectrum))
    facts = Facts(
        infimum=depth,
        critical_points=tuple(points),
        source="by differentiation",
        smoothness=max(stiffness, gamma) if not quartic else None,
        hessian_lipschitz=0.0 if not quartic else None,
        count=len(points),
    )
    return Function(fn, dimension, facts)


def monkey_saddle() -> Function:
    """x³ − 3xy²: three valleys and three ridges meet at 0, where the Hessian vanishes; F falls at third order."""
    return _degenerate(lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2, (0.0, 0.0), "Anandkumar & Ge 2016, §1")


def cubic_saddle() -> Function:
    """x³ + y²: a degenerate saddle at 0 that every point with x >= 0 is drawn to."""
    return _degenerate(lambda x: x[0] ** 3 + x[1] ** 2, (0.0, 2.0), "Anandkumar & Ge 2016, §1")


def triple_product() -> Function:
    """xyz: a degenerate saddle at 0, which lies on three lines of strict saddles, the axes."""
    return _degenerate(lambda x: x.prod(), (0.0, 0.0, 0.0), "by differentiation", "The axes consist of saddles.")


def quartic_minimum() -> Function:
    """x⁴ + y⁴: a minimum at 0 at which the Hessian vanishes, the control of the degenerate saddles."""
    minimum = CriticalPoint("minimum", (0.0, 0.0), 0.0, 0, "global minimum", (0.0, 0.0))
    facts = Facts(infimum=0.0, critical_points=(minimum,), source="by differentiation", count=1)
    return Function(lambda x: (x**4).sum(), 2, facts, initial=torch.tensor([0.5, 0.5]))


def _degenerate(fn, spectrum: tuple[float, ...], source: str, note: str = "") -> Function:  # type: ignore[no-untyped-def]
    """A function that is unbounded below and has a degenerate saddle at 0, left for good below F = −1."""
    point = CriticalPoint("origin", (0.0,) * len(spectrum), 0.0, 0, "degenerate saddle", spectrum, -1.0)
    count = 1 if not note else None
    return Function(fn, len(spectrum), Facts(-math.inf, (point,), source, note, count=count))
