"""Perturbed descent: any rule, kicked where the gradient is small, and returned where the kick did not help."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.constants import Assumptions
from thalweg.descent.gradient import GradientDescent
from thalweg.descent.kicks import Ball, Kick
from thalweg.descent.rule import Info, Rule, Spent, State, at_least, positive

NEVER = -1.0
"""Steps since the last kick where there was none."""


@dataclass(frozen=True)
class Perturbed(Rule):
    """Perturbed gradient descent (Jin, Ge, Netrapalli, Kakade & Jordan 2017, Algorithm 2), around any rule.

    Where |∇F| <= ``g_thres`` and the last kick is more than ``t_thres`` steps ago, the point is kept and kicked. If F
    has not fallen by ``f_thres`` after ``t_thres`` steps, the kept point is returned; ``f_thres`` None never returns.
    A kick is a step of its own, so that every step takes one gradient of the objective; Algorithm 2 counts it with the
    descent step that follows. Slots of the rule inside, such as a velocity, stay as they are during a kick.

    :meth:`theory` and :meth:`practical` choose constants, and :meth:`table` shows them.

    Raises
    ------
    InputError
        If a constant is out of range.
    """

    rule: Rule = field(default_factory=GradientDescent)
    kick: Kick = field(default_factory=Ball)
    g_thres: float = 1e-3
    f_thres: float | None = None
    t_thres: int = 100
    assumed: Assumptions | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"gradient"})

    def __post_init__(self) -> None:
        at_least("g_thres", self.g_thres, 0)
        at_least("t_thres", self.t_thres, 1)
        if self.f_thres is not None:
            positive("f_thres", self.f_thres)

    @classmethod
    def theory(cls, assumed: Assumptions, c: float = 1.0) -> Perturbed:
        """Gradient descent with the constants of Algorithm 2: correct, and far too careful to be used.

        ``c`` must not exceed an absolute constant that the paper leaves open; what is certified holds if it does not.
        """
        k = assumed.perturbed(c)
        return cls(
            GradientDescent(k["lr"]), Ball(k["radius"]), k["g_thres"], k["f_thres"], math.ceil(k["t_thres"]), assumed
        )

    @classmethod
    def practical(
        cls,
        dimension: int = 100,
        curvature: float = 0.1,
        radius: float = 1e-3,
        lr: float = 0.1,
        failure: float = 0.01,
        rule: Rule | None = None,
        kick: Kick | None = None,
    ) -> Perturbed:
        """Constants for leaving saddles with an eigenvalue <= −``curvature``.

        On a quadratic saddle gradient descent multiplies the kick's part along that eigenvector, about
        radius·|N(0, 1)|/√P, by 1 + lr·curvature in every step. ``t_thres`` steps make it as long as the radius except
        with probability ``failure``; F is then below the saddle by half the curvature times the radius squared, which
        is ``f_thres``. ``g_thres`` is the curvature times the radius, the largest gradient that a kick makes along it.
        A momentum rule is faster than this, and so is given more time than it needs. Nothing is certified.
        """
        positive("curvature", curvature)
        positive("lr", lr)
        positive("failure", failure)
        growth = math.log(math.sqrt(dimension) / (failure * math.sqrt(math.pi / 2))) / math.log1p(lr * curvature)
        return cls(
            rule or GradientDescent(lr),
            kick or Ball(radius),
            g_thres=curvature * radius,
            f_thres=curvature * radius**2 / 2,
            t_thres=max(1, math.ceil(growth)),
        )

    def table(self) -> str:
        """Its constants, one a line."""
        rows = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "assumed"}
        lines = [
            f"{name:8} {value:.6g}" if isinstance(value, float) else f"{name:8} {value}" for name, value in rows.items()
        ]
        return "\n".join([*lines, f"{'assumed':8} {self.assumed or 'nothing: practical constants'}"])

    @property
    def certifies(self) -> str:
        """What Theorem 3 says of a returned point; empty for practical constants."""
        return "" if self.assumed is None else self.assumed.certificate

    def init(self, objective: Objective, theta: Tensor) -> State:
        """The state of the rule inside, the point kept at the last kick with its F, and the steps since."""
        inner = {f"rule.{name}": slot for name, slot in self.rule.init(objective, theta).slots.items()}
        column = torch.full((len(theta), 1), NEVER, dtype=torch.float64, device=theta.device)
        own = {"kept": theta.clone(), "kept_loss": torch.zeros_like(column), "since": column}
        return State(theta, own | {"kicks": torch.zeros_like(column)} | inner)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """A step of the rule inside, or a kick; one gradient of the objective beside what the rule takes more."""
        slots = state.slots
        inner = {name.removeprefix("rule."): slot for name, slot in slots.items() if name.startswith("rule.")}
        moved, info = self.rule.step(objective, replace(state, slots=inner))
        since = slots["since"][:, 0]
        done = torch.zeros_like(since, dtype=torch.bool)
        if self.f_thres is not None:
            fallen = slots["kept_loss"][:, 0] - info.loss
            done = (since == self.t_thres) & (fallen < self.f_thres)
        small = info.gradient.double().norm(dim=1) <= self.g_thres
        kick = small & ((since < 0) | (since > self.t_thres)) & ~done
        if state.running is not None:
            kick, done = kick & state.running, done & state.running
        theta, here = moved.theta, kick[:, None]
        if bool(kick.any()):
            theta = torch.where(here, state.theta + self.kick(objective, state, kick), theta)
        theta = torch.where(done[:, None], slots["kept"], theta)
        made = {
            "kept": torch.where(here, state.theta, slots["kept"]),
            "kept_loss": torch.where(here, info.loss[:, None], slots["kept_loss"]),
            "since": torch.where(here, 0.0, torch.where(slots["since"] < 0, NEVER, slots["since"] + 1)),
            "kicks": slots["kicks"] + here,
        }
        held = {f"rule.{name}": torch.where(here, inner[name], slot) for name, slot in moved.slots.items()}
        extra = self.kick.gradients(objective) * kick.double()
        spent = Spent(info.spent.gradients + extra, info.spent.forwards, info.spent.products)
        return State(theta, made | held, state.count + 1), Info(info.loss, info.gradient, spent, done)
