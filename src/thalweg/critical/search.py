"""Rules that look for a zero of the gradient, whatever its kind; they run on the one descent loop.

All three here go after ‖∇F‖ rather than F, so that they end at saddles as well as at minima, and in gradient-flat
regions where ‖∇F‖² has a minimum that is not zero: judge what they find with :class:`thalweg.critical.Classify`.
Saddle-free Newton (:class:`thalweg.descent.saddle_free.SaddleFree`) lowers F and leaves saddles behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.minres import SINGULAR, minres
from thalweg.core.objective import Objective
from thalweg.core.products import Linearization
from thalweg.descent import Info, Rule, State
from thalweg.descent.rule import fraction, positive
from thalweg.descent.saddle_free import SaddleFree
from thalweg.errors import InputError

DENSE_BELOW = 512
"""Up to so many parameters a Newton step comes from the Hessian itself."""

HALVINGS = 40
"""Step lengths that a line search tries before it leaves a point where it is."""


@dataclass(frozen=True)
class NewtonMR(Rule):
    """θ ← θ + αp, p = −H⁺∇F by MINRES, α by backtracking on ‖∇F‖² (Roosta, Liu, Xu & Mahoney 2018, Algorithm 1).

    A step is accepted where ‖∇F(θ + αp)‖² ≤ ‖∇F‖² + 2ρα⟨p, H∇F⟩; a point none of whose steps is accepted is returned
    where it is, since every further step would be refused as this one was. ``inner`` bounds the products of a step;
    without it, small Hessians are formed and their pseudo-inverse is taken. α = 1 is tried first; with ``first`` that
    length is, and at later steps 1/β times the last one accepted, up to 1 (the code of Frye et al. 2021: 0.1).

    Raises
    ------
    InputError
        If rho or beta is outside [0, 1), tol not positive, or first outside (0, 1].
    """

    tol: float = 1e-10
    rho: float = 1e-4
    beta: float = 0.5
    inner: int | None = None
    first: float | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"gradient", "product"})

    def __post_init__(self) -> None:
        positive("tol", self.tol)
        fraction("rho", self.rho)
        fraction("beta", self.beta)
        if self.first is not None and not 0 < self.first <= 1:
            raise InputError(f"first={self.first}: a step length lies in (0, 1], and None always tries 1")

    def init(self, objective: Objective, theta: Tensor) -> State:
        """The step length of each point, in every entry of its slot, where it is kept."""
        return State(theta, {} if self.first is None else {"length": torch.full_like(theta, self.first)})

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient, one least-squares solution, and a gradient for every length tried."""
        loss, gradient = objective.value_and_grad(state.theta)
        with objective.linearized(state.theta) as linear:
            solve = _solver(linear, gradient.double(), self.tol, self.inner)
            p = solve(0.0).to(state.theta)
            slope = 2 * (p.double() * linear.hvp(gradient[:, None])[:, 0].double()).sum(1)
        if self.first is None:
            theta, _, stuck = backtracked(objective, state.theta, p, gradient, slope, self.rho, self.beta)
            return State(theta, {}, state.count + 1), Info(loss, gradient, done=stuck)
        first = state.slots["length"][:, 0]
        theta, alpha, stuck = backtracked(objective, state.theta, p, gradient, slope, self.rho, self.beta, first)
        kept = (alpha / self.beta).clamp(max=1.0)[:, None].expand_as(theta).clone()
        return State(theta, {"length": kept}, state.count + 1), Info(loss, gradient, done=stuck)


@dataclass(frozen=True)
class DampedNewton(Rule):
    """θ ← θ − (H + γI)⁺∇F with the γ of ``dampings`` that leaves ‖∇F‖ least (Dauphin et al. 2014, §6).

    The norm may rise: with a step refused wherever it does, most starts would stay where they are.
    """

    dampings: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    tol: float = 1e-10
    inner: int | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"gradient", "product"})

    def __post_init__(self) -> None:
        positive("tol", self.tol)
        for damping in self.dampings:
            positive("dampings", damping)

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No state of its own."""
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient, and for every damping a solution and a gradient."""
        loss, gradient = objective.value_and_grad(state.theta)
        best, least = state.theta, torch.full_like(loss, torch.inf)
        with objective.linearized(state.theta) as linear:
            solve = _solver(linear, gradient.double(), self.tol, self.inner)
            for damping in self.dampings:
                p = solve(damping).to(state.theta)
                norm = _norm(objective, state.theta + p)
                better = norm < least
                best = torch.where(better[:, None], state.theta + p, best)
                least = torch.where(better, norm, least)
        return State(best, {}, state.count + 1), Info(loss, gradient)


@dataclass(frozen=True)
class GradientNorm(Rule):
    """Gradient descent on ½‖∇F‖², whose gradient is H∇F, with backtracking (Frye et al. 2021, §2.3).

    A step length is tried twice as long as the last one accepted; a point where none is accepted is returned.
    """

    rho: float = 1e-4
    beta: float = 0.5
    lr: float = 0.1

    needs: ClassVar[frozenset[str]] = frozenset({"gradient", "product"})

    def __post_init__(self) -> None:
        fraction("rho", self.rho)
        fraction("beta", self.beta)
        positive("lr", self.lr)

    def init(self, objective: Objective, theta: Tensor) -> State:
        """The step length of each point, in every entry of its slot."""
        return State(theta, {"length": torch.full_like(theta, self.lr)})

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient, one product, and a gradient for every length tried."""
        loss, gradient = objective.value_and_grad(state.theta)
        with objective.linearized(state.theta) as linear:
            p = -linear.hvp(gradient[:, None])[:, 0]
        slope = -2 * p.double().square().sum(1)
        first = 2 * state.slots["length"][:, 0]
        theta, alpha, stuck = backtracked(objective, state.theta, p, gradient, slope, self.rho, self.beta, first)
        slots = {"length": alpha[:, None].expand_as(theta).clone()}
        return State(theta, slots, state.count + 1), Info(loss, gradient, done=stuck)


SEARCHES: dict[str, Callable[..., Rule]] = {
    "newton_mr": NewtonMR,
    "damped_newton": DampedNewton,
    "gradient_norm": GradientNorm,
    "saddle_free": SaddleFree,
}
"""Every search by its name."""


def backtracked(
    objective: Objective,
    theta: Tensor,
    p: Tensor,
    gradient: Tensor,
    slope: Tensor,
    rho: float,
    beta: float,
    first: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """θ + αp [B, P] with the largest α of a, aβ, aβ², … at which ‖∇F‖² falls by ρα·slope; α; where none is, [B].

    ``first`` [B] are the a, 1 by default. θ stays where none of ``HALVINGS`` lengths does; a gradient that is not
    finite is left to the loop, which calls its point diverged.
    """
    square = gradient.double().square().sum(1)
    found, open_ = theta.clone(), torch.ones(len(theta), dtype=torch.bool, device=theta.device)
    alpha = torch.ones_like(theta[:, 0]) if first is None else first.clone()
    for _ in range(HALVINGS):
        tried = theta[open_] + alpha[open_, None] * p[open_]
        fell = _norm(objective, tried).square() <= (square + rho * alpha * slope)[open_]
        rows = open_.nonzero()[:, 0]
        found[rows[fell]] = tried[fell]
        open_[rows[fell]] = False
        if not bool(open_.any()):
            break
        alpha = torch.where(open_, beta * alpha, alpha)
    return found, alpha, open_ & square.isfinite()


def _solver(linear: Linearization, gradient: Tensor, tol: float, inner: int | None) -> Callable[[float], Tensor]:
    """From damping γ to −(H + γI)⁺∇F, float64 [B, P]: by the matrices themselves where they are small, else MINRES.

    P products taken at once cost less than as many one after the other, and serve every damping.
    """
    count, size = gradient.shape
    if size <= DENSE_BELOW and inner is None:
        eye = torch.eye(size, dtype=gradient.dtype, device=gradient.device).expand(count, -1, -1)
        hessian = linear.hvp(eye).double()
        values, vectors = torch.linalg.eigh((hessian + hessian.transpose(1, 2)) / 2)
        along = torch.einsum("bpi,bp->bi", vectors, gradient)

        def exactly(damping: float) -> Tensor:
            moved = values + damping
            zero = moved.abs() <= SINGULAR * moved.abs().amax(1, keepdim=True)
            inverse = torch.where(zero, 0.0, 1 / torch.where(zero, 1.0, moved))
            return -torch.einsum("bpi,bi->bp", vectors, inverse * along)

        return exactly

    def iterated(damping: float) -> Tensor:
        return minres(lambda v: linear.hvp(v[:, None])[:, 0].double() + damping * v, -gradient, tol, inner).x

    return iterated


def _norm(objective: Objective, thetas: Tensor) -> Tensor:
    """‖∇F‖ at thetas [B, P], float64 [B]; infinite where it is not a number."""
    norms = objective.value_and_grad(objective.retract(thetas))[1].double().norm(dim=1)
    return torch.where(norms.isnan(), torch.inf, norms)
