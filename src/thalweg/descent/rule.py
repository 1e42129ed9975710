"""What a rule is: one step of a descent, for a batch of points at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.noise import Noise
from thalweg.errors import InputError


@dataclass(frozen=True)
class State:
    """Where a batch of descents is: ``theta`` [B, P], the rule's own tensors [B, P] or [B, 1], steps taken.

    ``noise`` is what the points draw from, and ``running`` [B] which of them have not ended (None: all); the loop sets
    both before every step.
    """

    theta: Tensor
    slots: dict[str, Tensor] = field(default_factory=dict)
    count: int = 0
    noise: Noise | None = None
    running: Tensor | None = None

    @property
    def draws(self) -> Noise:
        """The randomness of the points.

        Raises
        ------
        InputError
            If the state has none.
        """
        if self.noise is None:
            raise InputError("state.noise is None and this rule is random: step it by Descent, or set noise=Noise(…)")
        return self.noise


@dataclass(frozen=True)
class Spent:
    """What a step evaluated for each point: numbers, or float64 [B] where points differ.

    A gradient comes with its value; a pass over part of the rows that the step was given counts as their share.
    """

    gradients: float | Tensor = 1.0
    forwards: float | Tensor = 0.0
    products: float | Tensor = 0.0


@dataclass(frozen=True)
class Info:
    """What a step saw at the point it left: F float64 [B] and the gradient [B, P]; what it spent.

    ``done`` [B] marks the points that the rule returns: they end at the theta of the new state.
    """

    loss: Tensor
    gradient: Tensor
    spent: Spent = Spent()
    done: Tensor | None = None


class Rule(ABC):
    """Base of every rule; ``needs`` says what it asks of an objective: value, gradient, product."""

    needs: ClassVar[frozenset[str]] = frozenset({"gradient"})

    @abstractmethod
    def init(self, objective: Objective, theta: Tensor) -> State:
        """The state before the first step, at theta [B, P]; with every slot that a step keeps."""

    @abstractmethod
    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One step from a state; the state is not changed."""

    def observed(self, state: State, loss: Tensor) -> dict[str, Tensor]:
        """What the rule has to show at a state where F is ``loss`` [B]: arrays [B] by name, kept with every picture."""
        return {}

    @property
    def certifies(self) -> str:
        """What is known of a point that the rule returns, as a sentence; empty where nothing is."""
        return ""


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


def at_least(name: str, value: float, least: float) -> None:
    """Refuse a value below ``least`` or not finite.

    Raises
    ------
    InputError
        With the value.
    """
    if not least <= value < float("inf"):
        raise InputError(f"{name}={value}: it must be at least {least:g} and finite")
