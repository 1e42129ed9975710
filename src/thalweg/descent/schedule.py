"""Learning rates that change with the step: a schedule around any rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.rule import Info, Rule, State
from thalweg.errors import InputError


def constant(share: float) -> float:
    """1 throughout."""
    return 1.0


def cosine(share: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov & Hutter 2017, equation 5, one cycle)."""
    return (1 + math.cos(math.pi * share)) / 2


def trapezoid(share: float) -> float:
    """1 up to a half, then linear to 0.01 at nine tenths, then 0.01 (Izmailov et al. 2018, code of Garipov et al.)."""
    return 1.0 if share <= 0.5 else max(0.01, 1 - (share - 0.5) / 0.4 * 0.99)


SHAPES: Mapping[str, Callable[[float], float]] = {"constant": constant, "cosine": cosine, "trapezoid": trapezoid}
"""The factor on the rate after a share of the steps, by name."""


@dataclass(frozen=True)
class Scheduled(Rule):
    """``rule`` with its rate times the shape's factor at (``start`` + steps taken) / ``steps``.

    ``start`` is how many of the schedule's steps lie behind, for a descent that goes on from another.

    Raises
    ------
    InputError
        If the rule has no rate ``lr``, steps is below 1, or the shape is unknown.
    """

    rule: Rule
    steps: int
    shape: str = "trapezoid"
    start: int = 0

    def __post_init__(self) -> None:
        rated(self.rule)
        if self.steps < 1 or self.start < 0:
            raise InputError(f"steps={self.steps}, start={self.start}: steps is at least 1, and start at least 0")
        if self.shape not in SHAPES:
            raise InputError(f"shape={self.shape!r}: choose {', '.join(SHAPES)}")

    def init(self, objective: Objective, theta: Tensor) -> State:
        """That of the rule."""
        return self.rule.init(objective, theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """A step of the rule at this step's rate."""
        factor = SHAPES[self.shape](min(1.0, (self.start + state.count) / self.steps))
        return scaled(self.rule, factor).step(objective, state)


def rated(rule: Rule) -> float:
    """The rate of a rule.

    Raises
    ------
    InputError
        If it has none.
    """
    if "lr" not in {f.name for f in fields(rule)}:  # type: ignore[arg-type]
        raise InputError(f"{type(rule).__name__} has no rate lr: schedule a rule that has one, such as Momentum")
    return float(rule.lr)  # type: ignore[attr-defined]


def scaled(rule: Rule, factor: float) -> Rule:
    """The rule with its rate times a positive factor; a factor of 0 is the smallest float."""
    changed: Any = replace(rule, lr=max(rated(rule) * factor, 1e-300))  # type: ignore[type-var]
    return changed
