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


NULL = 1e-10
"""Below this share of the largest, a curvature is rounding."""

Modes = tuple[Tensor, Tensor, float]
"""Curvatures [k] ascending, their directions [k, P], and the largest |curvature| met."""


@dataclass(frozen=True)
class MinimumMode(Rule):
    """Up along the ``index`` lowest modes and down across them, to a saddle of that index (Henkelman & Jónsson 1999).

    Modes are followed by Lanczos from the last one, with at most ``products`` products a step. Where all of their
    curvatures are negative, the step along each is Newton's, and across them the gradient's over the largest curvature
    met; while one is not, the step goes uphill along those alone. No step is longer than ``radius``. More modes than
    one are eigenvector following (Cerjan & Miller 1981); 0 goes down to a minimum. With ``newton`` the whole Hessian is
    formed, and the step across is Newton's too with every curvature taken as positive.

    Raises
    ------
    InputError
        If radius is not positive, index negative, or products below 4.
    """

    radius: float = 0.1
    rng: int | Stream = 0
    products: int = 20
    index: int = 1
    newton: bool = False

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
        whole = self._whole(objective, state.theta) if self.newton or size <= WHOLE_BELOW else None
        steps, modes = torch.zeros_like(state.theta), state.slots["mode"].clone()
        for b, gradient in enumerate(gradients):
            if not bool(gradient.isfinite().all()):
                continue
            values, vectors, norm = self._ritz(objective, state, b) if whole is None else whole[b]
            steps[b] = self._move(gradient, values.to(gradient), vectors.to(gradient), norm)
            if len(vectors):
                modes[b] = vectors[0].to(gradient)
        return State(state.theta + steps, {"mode": modes}, state.count + 1), Info(losses, gradients)

    def _whole(self, objective: Objective, thetas: Tensor) -> list[Modes] | None:
        """The lowest modes at every point from the whole Hessian; None where a product is not finite."""
        with objective.linearized(thetas) as linear:
            eye = torch.eye(thetas.shape[1], dtype=thetas.dtype, device=thetas.device)
            hessians = linear.hvp(eye.expand(len(thetas), -1, -1)).double()
        if not bool(hessians.isfinite().all()):
            return None
        found: list[Modes] = []
        for theta, hessian in zip(thetas, hessians, strict=True):
            hessian, norm, normals = (hessian + hessian.T) / 2, float(hessian.norm()), objective.normals(theta)
            if normals is not None:  # beyond every mode, so that none of them is taken for the lowest
                hessian = hessian + 2 * (norm + 1) * normals.T @ normals
            values, columns = torch.linalg.eigh(hessian)
            tangent = values[: len(theta) - (0 if normals is None else len(normals))]
            kept = len(tangent) if self.newton else self.index
            found.append((values[:kept], columns[:, :kept].T, float(tangent.abs().max())))
        return found

    def _ritz(self, objective: Objective, state: State, b: int) -> Modes:
        """The lowest modes at one point from a short Lanczos run; NaN where it fails."""
        theta, start, source = state.theta[b : b + 1], state.slots["mode"][b], stream(self.rng)(state.count)
        size, k, normals = theta.shape[1], 2 * max(self.index, 1), objective.normals(theta[0])
        if not float(start.norm()) > 0:
            start = torch.randn(size, generator=source("mode").torch(), dtype=torch.float64).to(theta)
        if normals is not None:
            start = start - (normals @ start) @ normals
        with objective.linearized(theta) as linear:
            pairs = krylov.lanczos(
                lambda vectors: linear.hvp(vectors.to(theta)[None])[0].cpu(),
                size,
                krylov.Ends(k, "BE", tol=1e-4, max_products=max(self.products, k + 2)),
                source,
                start=start,
            )
        if not len(pairs.values):
            return torch.full((1,), torch.nan), torch.full((1, size), torch.nan), 1.0
        low = pairs.values.argsort()[: self.index]
        return pairs.values[low], pairs.vectors[low], pairs.norm

    def _move(self, gradient: Tensor, values: Tensor, vectors: Tensor, norm: float) -> Tensor:
        along = vectors @ gradient
        up = (values >= 0) & (torch.arange(len(values)) < self.index)
        if bool(up.any()):
            sign = torch.where(along >= 0, 1.0, -1.0).to(vectors)
            step = self.radius * (sign * up) @ vectors
        else:
            curved = values.clone()
            curved[self.index :] = curved[self.index :].abs()
            curved[curved.abs() <= NULL * norm] = torch.inf  # F is flat there to second order: no step
            step = -(along / curved) @ vectors
            if not self.newton:
                step = step - (gradient - along @ vectors) / max(norm, 1e-300)
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
