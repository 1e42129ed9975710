"""Perturbed accelerated gradient descent: momentum that leaves saddles, with an energy that never rises."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent.constants import Assumptions
from thalweg.descent.noisy import unit
from thalweg.descent.perturbed import NEVER
from thalweg.descent.rule import Info, Rule, Spent, State, at_least, fraction, positive


@dataclass(frozen=True)
class PerturbedAGD(Rule):
    """Perturbed accelerated gradient descent (Jin, Netrapalli & Jordan 2018, Algorithms 2 and 3).

    y = x + (1 − friction)·v; x⁺ = y − lr·∇F(y); v⁺ = x⁺ − x. Where F is more concave between x and y than
    ``curvature``, F(x) <= F(y) + ∇F(y)·(x − y) − curvature·|x − y|²/2, negative curvature is exploited instead: the
    velocity is dropped, and if it was shorter than ``length``, x moves by that length along it, to the better side.
    With it the energy F(x) + |v|²/(2·lr) rises in no step but a kick (their Lemmas 9 and 10); ``exploit=False``
    leaves it out, and the energy can rise (their Appendix A.1). At v = 0 the test holds with equality and is not
    made, and concavity within the rounding of F is none.

    Where |∇F(x)| <= ``g_thres`` and the last kick is more than ``t_thres`` steps ago, the point is kept and kicked
    uniformly within ``radius``, in a step of its own. If the energy has not fallen by ``e_thres`` in ``t_thres`` steps,
    the kept point is returned; ``e_thres`` None never returns.

    Raises
    ------
    InputError
        If a constant is out of range.
    """

    lr: float = 0.1
    friction: float = 0.1
    curvature: float = 0.1
    length: float = 0.1
    radius: float = 1e-3
    g_thres: float = 1e-3
    t_thres: int = 100
    e_thres: float | None = None
    exploit: bool = True
    assumed: Assumptions | None = None

    def __post_init__(self) -> None:
        for name in ("lr", "curvature", "length", "radius"):
            positive(name, getattr(self, name))
        fraction("1 − friction", 1 - self.friction)
        at_least("g_thres", self.g_thres, 0)
        at_least("t_thres", self.t_thres, 1)
        if self.e_thres is not None:
            positive("e_thres", self.e_thres)

    @classmethod
    def theory(cls, assumed: Assumptions, c: float = 1.0) -> PerturbedAGD:
        """The constants of the paper, with the factor c that it asks to be large enough."""
        k = assumed.accelerated(c)
        return cls(
            lr=k["lr"],
            friction=k["friction"],
            curvature=k["curvature"],
            length=k["length"],
            radius=k["radius"],
            g_thres=k["g_thres"],
            t_thres=math.ceil(k["t_thres"]),
            e_thres=k["e_thres"],
            assumed=assumed,
        )

    @classmethod
    def practical(
        cls, dimension: int = 100, curvature: float = 0.1, radius: float = 1e-3, lr: float = 0.1, failure: float = 0.01
    ) -> PerturbedAGD:
        """Constants for leaving saddles with an eigenvalue <= −``curvature``.

        friction = √(lr·curvature), a fraction of the critical one, so that the unstable direction grows by about
        1 + √(lr·curvature) a step. Concavity is exploited from ``curvature`` on, by moves as long as a hundred kicks.
        Thresholds are those of :meth:`thalweg.descent.Perturbed.practical` at that growth. Nothing is certified.
        """
        positive("lr", lr)
        positive("curvature", curvature)
        positive("failure", failure)
        friction = min(0.5, math.sqrt(lr * curvature))
        rate = math.log(growth(lr, friction, curvature))
        steps = math.log(2 * math.sqrt(dimension) / (failure * math.sqrt(math.pi / 2))) / rate
        return cls(
            lr=lr,
            friction=friction,
            curvature=curvature,
            length=100 * radius,
            radius=radius,
            g_thres=curvature * radius,
            t_thres=max(1, math.ceil(steps)),
            e_thres=curvature * radius**2 / 2,
        )

    def table(self) -> str:
        """Its constants, one a line."""
        rows = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "assumed"}
        lines = [
            f"{name:9} {value:.6g}" if isinstance(value, float) else f"{name:9} {value}" for name, value in rows.items()
        ]
        return "\n".join([*lines, f"{'assumed':9} {self.assumed or 'nothing: practical constants'}"])

    @property
    def certifies(self) -> str:
        """What is promised of a returned point; empty for practical constants."""
        return "" if self.assumed is None else self.assumed.certificate

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No velocity; the point kept at the last kick with its energy, the steps since, and counts."""
        zero = torch.zeros((len(theta), 1), dtype=torch.float64, device=theta.device)
        own = {"kept": theta.clone(), "kept_energy": zero, "since": zero + NEVER, "kicks": zero, "exploits": zero}
        return State(theta, {"velocity": torch.zeros_like(theta)} | own)

    def observed(self, state: State, loss: Tensor) -> dict[str, Tensor]:
        """The energy F(x) + |v|²/(2·lr), and how often the point was kicked and concavity exploited."""
        counts = {name: state.slots[name][:, 0] for name in ("kicks", "exploits")}
        return {"hamiltonian": self._energy(loss, state.slots["velocity"]), **counts}

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """Two gradients, one where the point is kicked, and two values where concavity is exploited at low speed."""
        x, slots, v = state.theta, state.slots, state.slots["velocity"]
        loss, gradient = objective.value_and_grad(x)
        energy = self._energy(loss, v)
        since = slots["since"][:, 0]
        done = torch.zeros_like(since, dtype=torch.bool)
        if self.e_thres is not None:
            done = (since == self.t_thres) & (slots["kept_energy"][:, 0] - energy < self.e_thres)
        small = gradient.double().norm(dim=1) <= self.g_thres
        kick = small & ((since < 0) | (since > self.t_thres)) & ~done
        if state.running is not None:
            kick, done = kick & state.running, done & state.running
        here, moved, velocity = kick[:, None], x, v
        spent, exploits = Spent(), torch.zeros_like(since)
        if not bool((kick | done).all()):
            moved, velocity, fires, slow = self._accelerated(objective, x, v, loss)
            exploits = (fires & ~kick).double()
            spent = Spent(2.0 - (kick | done).double(), 2.0 * (slow & ~kick & ~done).double())
        if bool(kick.any()):
            moved = torch.where(here, x + self.radius * state.draws.ball(x, state.count, kick), moved)
            velocity = torch.where(here, v, velocity)
        made = {
            "velocity": velocity,
            "kept": torch.where(here, x, slots["kept"]),
            "kept_energy": torch.where(here, energy[:, None], slots["kept_energy"]),
            "since": torch.where(here, 0.0, torch.where(slots["since"] < 0, NEVER, slots["since"] + 1)),
            "kicks": slots["kicks"] + here,
            "exploits": slots["exploits"] + exploits[:, None],
        }
        moved = torch.where(done[:, None], slots["kept"], moved)
        return State(moved, made, state.count + 1), Info(loss, gradient, spent, done)

    def _accelerated(
        self, objective: Objective, x: Tensor, v: Tensor, loss: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The next x and v, and which points exploited concavity, and which of these by trying both sides."""
        y = x + (1 - self.friction) * v
        above, slope = objective.value_and_grad(y)
        moved = y - self.lr * slope
        velocity = moved - x
        back = (x - y).double()
        bound = above + (slope.double() * back).sum(1) - self.curvature / 2 * back.square().sum(1)
        speed = v.double().norm(dim=1)
        rounding = objective.tolerance * (loss.abs() + above.abs())  # what lies within it is no concavity
        fires = (loss <= bound - rounding) & (speed > 0) & self.exploit
        slow = fires & (speed < self.length)
        if bool(fires.any()):
            exploited = x
            if bool(slow.any()):
                along = self.length * unit(v)
                better = objective.losses(x + along) <= objective.losses(x - along)
                exploited = torch.where(better[:, None], x + along, x - along)
            fast = fires & ~slow
            velocity = torch.where(fires[:, None], 0.0, velocity)
            kept = torch.where(slow[:, None], exploited, moved)
            moved = torch.where(fast[:, None], x, kept)  # at speed, dropping the velocity is enough of a fall
        return moved, velocity, fires, slow

    def _energy(self, loss: Tensor, velocity: Tensor) -> Tensor:
        return loss + velocity.double().square().sum(1) / (2 * self.lr)


def growth(lr: float, friction: float, curvature: float) -> float:
    """How much the unstable direction of −``curvature``·x²/2 grows in a step without exploitation: the larger root.

    x⁺ = (1 + lr·γ)((2 − f)x − (1 − f)x⁻), so the factor solves μ² − (1 + lr·γ)(2 − f)μ + (1 + lr·γ)(1 − f) = 0.
    """
    up = 1 + lr * curvature
    half = up * (2 - friction) / 2
    return half + math.sqrt(half**2 - up * (1 - friction))
