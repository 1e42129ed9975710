"""Third-order descent: out of saddles that second derivatives do not show, for a few dozen parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.descent import spectral
from thalweg.descent.awake import Awake, awake
from thalweg.descent.cubic import minimiser
from thalweg.descent.rule import Info, Rule, Spent, State, at_least, positive
from thalweg.errors import InputError

MOST = 50
"""Parameters up to which the third derivative is formed: it takes 2P² products."""

POWER = 40
"""Steps of the power iteration from each random direction, shifted so that it climbs (Kolda & Mayo 2011)."""

TIE = 1e-3
"""Spans whose third derivatives differ by less than this share count as equal."""


@dataclass(frozen=True)
class ThirdOrder(Rule):
    """A cubic step, then −(c/L)u where u shows a third derivative c = D³F(u, u, u) that outweighs what is lower.

    Anandkumar & Ge 2016, §5: ``lipschitz`` bounds the Lipschitz constant of the Hessian, and ``third`` = L that of the
    third derivative. u lies in the span of the eigenvectors with eigenvalues up to some τ ≤ c²/(12L), and
    ‖∇F‖ ≤ c³/(24L²); then t = c/L gives t³c/6 − t²τ/2 − t‖∇F‖ − Lt⁴/24 ≥ c⁴/(24L³). Their c is C/Q, with C the norm of
    D³F on the span and Q a bound of order P^1.5 on what a random u misses of it; here it is that of the best of
    ``tries`` random directions after some steps of the shifted power iteration, which is never less. The power of L
    in the condition on ‖∇F‖ is the one that this sum needs. D³F is a central difference of Hessians ``radius`` apart:
    exact where F is a polynomial of degree 4 at most. Finding a fourth-order descent is NP-hard (ibid., §6).

    Raises
    ------
    InputError
        If a number is not positive, tries is below 1, or there are more than 50 parameters.
    """

    lipschitz: float = 10.0
    third: float = 10.0
    tries: int = 16
    radius: float = 1e-3

    needs: ClassVar[frozenset[str]] = frozenset({"gradient", "product"})

    def __post_init__(self) -> None:
        for name in ("lipschitz", "third", "radius"):
            positive(name, getattr(self, name))
        at_least("tries", self.tries, 1)

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No state of its own."""
        if theta.shape[1] > MOST:
            raise InputError(
                f"{theta.shape[1]:,} parameters: third derivatives are formed up to {MOST}; use Cubic, which takes "
                f"products alone"
            )
        return State(theta)

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """Two gradients and 2P + 2P² products."""
        loss, gradient = objective.value_and_grad(state.theta)
        here = awake(objective, state, loss, gradient, "third_order")
        size = state.theta.shape[1]
        with here.objective.linearized(here.theta) as linear:
            pairs = spectral.whole(linear)
        sigma = torch.full_like(here.loss, self.lipschitz / 2)
        y = minimiser(pairs.values, pairs.along(here.gradient), sigma, pairs.along(here.noise)[:, 0].sign())
        middle = here.objective.retract(here.theta + pairs.combine(y).to(here.theta))
        slope = here.objective.value_and_grad(middle)[1].double()
        with here.objective.linearized(middle) as linear:
            pairs = spectral.whole(linear)
        wide = here.gradient.new_empty(1).expand(len(loss), self.tries * size)
        drawn = state.draws.normal(wide, state.count, "third_order.tries")[here.which].view(-1, self.tries, size)
        best, weight = _steepest(pairs, slope, _third(here, middle, self.radius), drawn, self.third)
        moved = middle - (weight / self.third)[:, None].to(middle) * best.to(middle)
        spent = Spent(gradients=2.0, products=here.counted(loss, 2 * size + 2 * size**2))
        return State(here.spread(state.theta, moved), {}, state.count + 1), Info(loss, gradient, spent)


def _third(here: Awake, theta: Tensor, radius: float) -> Tensor:
    """D³F at theta [r, P], float64 [r, P, P, P], symmetrised."""
    count, size = theta.shape
    eye = torch.eye(size, dtype=theta.dtype, device=theta.device)
    shifts = radius * torch.cat([eye, -eye])
    around = (theta[:, None] + shifts).reshape(-1, size)
    with here.objective.linearized(around) as linear:
        hessians = linear.hvp(eye.expand(len(around), -1, -1)).double().view(count, 2, size, size, size)
    found = (hessians[:, 0] - hessians[:, 1]) / (2 * radius)
    orders = ((0, 1, 2, 3), (0, 1, 3, 2), (0, 2, 1, 3), (0, 2, 3, 1), (0, 3, 1, 2), (0, 3, 2, 1))
    return torch.stack([found.permute(order) for order in orders]).mean(0)


def _steepest(
    pairs: spectral.Pairs, slope: Tensor, third: Tensor, drawn: Tensor, lipschitz: float
) -> tuple[Tensor, Tensor]:
    """The unit vector u [r, P] with the largest c = D³F(u, u, u) [r] that meets both conditions; c = 0 where none."""
    frame = pairs.vectors
    turned = torch.einsum("rabc,ria,rjb,rkc->rijk", third, frame, frame, frame)
    count, size = slope.shape
    steep, weight = slope.norm(dim=1), torch.zeros_like(slope[:, 0])
    best = torch.zeros_like(slope)
    for k in range(1, size + 1):
        part = turned[:, :k, :k, :k]
        u = torch.nn.functional.normalize(drawn[:, :, :k], dim=2)
        shift = part.flatten(1).norm(dim=1)[:, None, None]
        for _ in range(POWER):
            image = torch.einsum("rijk,rtj,rtk->rti", part, u, u)
            u = torch.nn.functional.normalize(image + shift * u, dim=2, eps=1e-300)
        value = torch.einsum("rijk,rti,rtj,rtk->rt", part, u, u, u)
        c, which = value.abs().max(1)
        at = torch.arange(count, device=u.device)
        good = (pairs.values[:, k - 1] <= c.square() / (12 * lipschitz)) & (steep <= c**3 / (24 * lipschitz**2))
        better = good & (c > 0) & (c >= (1 - TIE) * weight)  # of equals the larger span: eigenvalues may be repeated
        sign = value[at, which].sign()
        chosen = torch.einsum("ri,rip->rp", sign[:, None] * u[at, which], frame[:, :k])
        best = torch.where(better[:, None], chosen, best)
        weight = torch.where(better, c, weight)
    return best, weight
