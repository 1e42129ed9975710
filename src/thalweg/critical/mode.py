"""Uphill along the lowest modes and downhill across them: from anywhere to a saddle, from a saddle to either side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core import krylov
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.descent import Info, Rule, State
from thalweg.descent.rule import positive
from thalweg.errors import InputError

WHOLE_BELOW = 64
"""Up to so many parameters the modes of all points come from their whole Hessians, P products at once."""


@dataclass(frozen=True)
class MinimumMode(Rule):
    """Up along the ``index`` lowest modes and down across them, to a saddle of that index (Henkelman & Jónsson 1999).

    Modes are followed by Lanczos from the last one, with at most ``products`` products a step. Where all of their
    curvatures are negative, the step along each is Newton's, and across them the gradient's over the largest curvature
    met; while one is not, the step goes uphill along those alone. No step is longer than ``radius``. More modes than
    one are eigenvector following (Cerjan & Miller 1981); 0 goes down to a minimum by plain gradient steps.

    Raises
    ------
    InputError
        If radius is not positive, index negative, or products below 4.
    """

    radius: float = 0.1
    rng: int | Stream = 0
    products: int = 20
    index: int = 1

    needs: ClassVar[frozenset[str]] = frozenset({"gradient", "product"})

    def __post_init__(self) -> None:
        positive("radius", self.radius)
        if self.index < 0 or self.products < 4:
            raise InputError(
                f"index={self.index}, products={self.products}: at least 0 modes and 4 products are needed"
            )

    def init(self, objective: Objective, theta: Tensor) -> State:
        """No mode is known: give one in the slot ``mode`` [B, P], or the first is sought from a random start."""
        return State(theta, {"mode": torch.zeros_like(theta)})

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """One gradient, and at every point P products or those of a short Lanczos run."""
        losses, gradients = objective.value_and_grad(state.theta)
        size = state.theta.shape[1]
        if self.index > size:
            raise InputError(f"index={self.index}: F has {size} parameters, and no saddle of it has more modes")
        whole = self._whole(objective, state.theta) if size <= WHOLE_BELOW else None
        steps, modes = torch.zeros_like(state.theta), state.slots["mode"].clone()
        for b, gradient in enumerate(gradients):
            if not bool(gradient.isfinite().all()):
                continue
            if whole is not None:
                values, vectors = whole[0][b, : self.index], whole[1][b, :, : self.index].T
                norm = float(whole[0][b].abs().max())
            else:
                values, vectors, norm = self._ritz(objective, state, b)
            steps[b] = self._move(gradient, values.to(gradient), vectors.to(gradient), norm)
            if len(vectors):
                modes[b] = vectors[0].to(gradient)
        return State(state.theta + steps, {"mode": modes}, state.count + 1), Info(losses, gradients)

    def _whole(self, objective: Objective, thetas: Tensor) -> tuple[Tensor, Tensor] | None:
        """Eigenvalues [B, P] ascending and eigenvectors in columns [B, P, P]; None where a product is not finite."""
        with objective.linearized(thetas) as linear:
            eye = torch.eye(thetas.shape[1], dtype=thetas.dtype, device=thetas.device)
            hessian = linear.hvp(eye.expand(len(thetas), -1, -1)).double()
        if not bool(hessian.isfinite().all()):
            return None
        values, vectors = torch.linalg.eigh((hessian + hessian.transpose(1, 2)) / 2)
        return values, vectors

    def _ritz(self, objective: Objective, state: State, b: int) -> tuple[Tensor, Tensor, float]:
        """The lowest Ritz values ascending, their vectors, and the largest |Ritz value|; NaN where it fails."""
        theta, mode = state.theta[b : b + 1], state.slots["mode"][b]
        size, k = theta.shape[1], 2 * max(self.index, 1)
        with objective.linearized(theta) as linear:
            pairs = krylov.lanczos(
                lambda vectors: linear.hvp(vectors.to(theta)[None])[0].cpu(),
                size,
                k,
                stream(self.rng)(state.count),
                which="BE",
                tol=1e-4,
                max_products=max(self.products, k + 2),
                start=mode if float(mode.norm()) > 0 else None,
            )
        if not len(pairs.values):
            return torch.full((1,), torch.nan), torch.full((1, size), torch.nan), 1.0
        low = pairs.values.argsort()[: self.index]
        return pairs.values[low], pairs.vectors[low], pairs.norm

    def _move(self, gradient: Tensor, values: Tensor, vectors: Tensor, norm: float) -> Tensor:
        along = vectors @ gradient
        upward = values >= 0
        if bool(upward.any()):
            sign = torch.where(along >= 0, 1.0, -1.0).to(vectors)
            step = self.radius * (sign * upward) @ vectors
        else:
            step = -(gradient - along @ vectors) / max(norm, 1e-300) - (along / values) @ vectors
        length = float(step.norm())
        return step if length != length else step * min(1.0, self.radius / max(length, 1e-300))


@dataclass(frozen=True, eq=False)
class Aimed(Rule):
    """:class:`MinimumMode` whose first mode [P] is given."""

    rule: MinimumMode
    mode: Tensor

    needs: ClassVar[frozenset[str]] = MinimumMode.needs

    def init(self, objective: Objective, theta: Tensor) -> State:
        """The mode at every point."""
        return State(theta, {"mode": self.mode.expand_as(theta).clone()})

    def step(self, objective: Objective, state: State) -> tuple[State, Info]:
        """As the rule."""
        return self.rule.step(objective, state)


def both_sides(objective: Objective, saddle: Tensor, mode: Tensor, reach: float = 1e-2) -> Tensor:
    """The points ``reach`` to either side of a saddle [P] along a mode [P]: [2, P], from which descents part.

    Raises
    ------
    InputError
        If reach is not positive, or the mode is zero.
    """
    positive("reach", reach)
    length = float(mode.norm())
    if not length > 0:
        raise InputError("the mode is zero: give a direction along which F falls, such as a classification's descent")
    step = reach / length * mode.to(saddle)
    return objective.retract(torch.stack([saddle - step, saddle + step]))
