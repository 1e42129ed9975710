"""Stochastic gradients that leave saddles by themselves: correlated negative curvature (Daneshmand et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.kicks import RowStep
from thalweg.descent.perturbed import Perturbed
from thalweg.descent.rule import Info, Rule, State, at_least, positive


def cnc_pgd(
    dimension: int = 100,
    curvature: float = 0.1,
    step: float = 1e-3,
    lr: float = 0.1,
    failure: float = 0.01,
    rows: int = 1,
) -> Perturbed:
    """CNC-PGD: perturbed gradient descent whose kick is one stochastic gradient step of size ``step``.

    Two oracles: the objective of the step, and ``rows`` of its rows drawn anew at a kick. Thresholds are the practical
    ones of :class:`thalweg.descent.Perturbed` with ``step`` for the radius, as if the row's gradient had length 1.
    """
    return Perturbed.practical(dimension, curvature, step, lr, failure, kick=RowStep(step, rows))


@dataclass(frozen=True)
class CNCSGD(Rule):
    """Stochastic gradient descent with a long step every ``period`` steps (Daneshmand et al. 2018, Algorithm 2).

    On minibatches it leaves a saddle where stochastic gradients have a component along its negative curvature, in a
    time that does not grow with the dimension. Give the loop ``batch``; on all rows there is no noise and no escape.
    The paper's constants are recalled and not checked; none is offered as a default of theory.
    """

    lr: float = 0.01
    long: float = 0.1
    period: int = 50

    needs: ClassVar[frozenset[str]] = frozenset({"gradient"})

    def __post_init__(self) -> None:
        positive("lr", self.lr)
        positive("long", self.long)
        at_least("period", self.period, 1)

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No state of its own."""
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient."""
        loss, gradient = objective.value_and_grad(state.theta)
        rate = self.long if state.count % self.period == 0 else self.lr
        return State(state.theta - rate * gradient, {}, state.count + 1), Info(loss, gradient)
