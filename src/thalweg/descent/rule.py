"""What a rule is: one step of a descent, for a batch of points at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.errors import InputError


@dataclass(frozen=True)
class State:
    """Where a batch of descents is: ``theta`` [B, P], the rule's own tensors [B, P], steps taken."""

    theta: Tensor
    slots: dict[str, Tensor] = field(default_factory=dict)
    count: int = 0


@dataclass(frozen=True)
class Info:
    """What a step saw at the point it left: F float64 [B] and the gradient [B, P]."""

    loss: Tensor
    gradient: Tensor


class Rule(ABC):
    """Base of every rule; ``needs`` says what it asks of an objective: gradient, or product as well."""

    needs: ClassVar[frozenset[str]] = frozenset({"gradient"})

    @abstractmethod
    def init(self, objective: Objective, theta: Tensor) -> State:
        """The state before the first step, at theta [B, P]."""

    @abstractmethod
    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One step from a state; the state is not changed."""


def positive(name: str, value: float) -> None:
    """Refuse a value that is not a positive finite number.

    Raises
    ------
    InputError
        With the value.
    """
    if not 0 < value < float("inf"):
        raise InputError(f"{name}={value}: it must be positive and finite")


def fraction(name: str, value: float) -> None:
    """Refuse a value outside [0, 1).

    Raises
    ------
    InputError
        With the value.
    """
    if not 0 <= value < 1:
        raise InputError(f"{name}={value}: it must lie in [0, 1)")
