"""Descent on some of the coordinates: a rule under a mask, and the mask of magnitude pruning."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.space import ParameterSpace
from thalweg.descent.rule import Info, Rule, State
from thalweg.errors import InputError


@dataclass(frozen=True, eq=False)
class Masked(Rule):
    """``rule``, but coordinates where ``mask`` [B, P] or [P] is 0 stay where they are.

    What the rule keeps from step to step it keeps of all coordinates, so that a norm or a curvature that it takes over
    them includes those that stay.
    """

    rule: Rule
    mask: Tensor

    def init(self, objective: Objective, theta: Tensor) -> State:
        """That of the rule."""
        return self.rule.init(objective, theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """A step of the rule, of which what the mask hides is not taken."""
        moved, info = self.rule.step(objective, state)
        return replace(moved, theta=state.theta + self.mask * (moved.theta - state.theta)), info


def smallest_pruned(space: ParameterSpace, thetas: Tensor, share: float) -> Tensor:
    """1 [B, P] where an entry stays: of each matrix of thetas [B, P], all but this share of the smallest in size.

    Vectors, biases among them, stay (Han, Pool, Tran & Dally 2015, with a share for each layer instead of a threshold).

    Raises
    ------
    InputError
        If the share does not lie in [0, 1].
    """
    if not 0 <= share <= 1:
        raise InputError(f"share={share}: a share of the weights lies between 0 and 1")
    mask = torch.ones_like(thetas)
    for entry in space.entries:
        if len(entry.shape) < 2:
            continue
        sizes = thetas[:, entry.span].abs()
        many = round(share * sizes.shape[1])
        smallest = sizes.argsort(dim=1)[:, :many]
        mask[:, entry.span] = torch.ones_like(sizes).scatter(1, smallest, 0.0)
    return mask
