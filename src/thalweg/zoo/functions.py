"""Closed-form landscapes whose critical points are known."""

from __future__ import annotations

import torch
from torch import Tensor

from thalweg.core.function import Function
from thalweg.zoo.facts import CriticalPoint, Facts


def scalar_factorisation(start: tuple[float, float] = (0.0, 0.0)) -> Function:
    """(vw − 1)²: the two-layer linear network with one weight in each layer (Sun et al. 2020, §III, Fig. 1)."""
    facts = Facts(
        infimum=0.0,
        critical_points=(
            CriticalPoint("origin", (0.0, 0.0), 1.0, 1, "strict saddle"),
            CriticalPoint("minimum", (1.0, 1.0), 0.0, 0, "global minimum"),
            CriticalPoint("other minimum", (-1.0, -1.0), 0.0, 0, "global minimum"),
        ),
        source="Sun et al. 2020, §III",
        note="Minima are the two branches of vw = 1; every path between them passes F >= 1.",
    )
    return Function(lambda x: (x[0] * x[1] - 1) ** 2, 2, facts, initial=torch.tensor(start))


def scalar_chain(start: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Function:
    """(xyz − 1)²: three linear layers of one weight; the origin is a saddle with a zero Hessian."""
    facts = Facts(
        infimum=0.0,
        critical_points=(
            CriticalPoint("origin", (0.0, 0.0, 0.0), 1.0, 0, "degenerate saddle"),
            CriticalPoint("axis", (0.0, 0.0, 1.0), 1.0, 1, "strict saddle"),
            CriticalPoint("minimum", (1.0, 1.0, 1.0), 0.0, 0, "global minimum"),
        ),
        source="Kawaguchi 2016, Theorem 2.3 (iv): depth three has saddles without negative curvature",
        note="Points with two zero coordinates are critical; the third coordinate makes the saddle strict.",
    )
    return Function(lambda x: (x.prod() - 1) ** 2, 3, facts, initial=torch.tensor(start))


def single_neuron(start: tuple[float, float] = (-1.0, 1.0)) -> Function:
    """(1 − v·φ(w))² with φ(z) = −(z − 1)²/8: infinitely many bad local minima (Sun et al. 2020, Fig. 2).

    Variables are (v, w). φ vanishes at its maximum w = 1, so every (v, 1) has F = 1; for v > 0 the output
    v·φ(w) is at most 0 nearby, which makes (v, 1) a local minimum that is not strict, while F = 0 is attained.
    """
    facts = Facts(
        infimum=0.0,
        critical_points=(
            CriticalPoint("bad minimum", (1.0, 1.0), 1.0, 0, "local minimum"),
            CriticalPoint("saddle side", (-1.0, 1.0), 1.0, 1, "strict saddle"),
            CriticalPoint("global minimum", (-2.0, 3.0), 0.0, 0, "global minimum"),
        ),
        source="Sun et al. 2020, §IV-A, Figure 2 and Proposition IV.1",
        note="F = 0 on v = −8/(w − 1)².",
    )

    def fn(x: Tensor) -> Tensor:
        return (1 + x[0] * (x[1] - 1) ** 2 / 8) ** 2

    return Function(fn, 2, facts, initial=torch.tensor(start))
