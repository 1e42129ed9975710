"""The objective: a function F of one flat vector, and everything methods may ask of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.core.computed import Computed
from thalweg.core.directions import Directions, as_directions
from thalweg.core.products import Linearization, differentiable_twice
from thalweg.core.space import ParameterSpace, Point
from thalweg.core.subspace import Located, Subspace
from thalweg.core.twice import refuse_once
from thalweg.errors import InputError
from thalweg.records import Fingerprint

CHUNK_BYTES = 64 * 2**20
"""Points are formed a chunk at a time, so that a grid of any size needs no more than this for them."""


class Objective(Computed):
    """Base of everything that has a landscape: F(theta) for theta [P], a batch [B, P].

    Values are float64; gradients and products have the dtype of the space. ``facts`` holds what is known
    about a landscape of the zoo and is None for a user's. ``initial`` is the point it came with.
    """

    space: ParameterSpace
    initial: Point
    row_count: int = 1
    facts: Any = None
    metrics: Sequence[str] = ()
    tolerance: float = 1e-12
    """Relative rounding that values of F carry; recorded with every answer."""

    @abstractmethod
    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """F at thetas [B, P] as ``loss``, and every metric by name: float64 [B]."""

    @abstractmethod
    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """F float64 [B] and its gradient [B, P] at thetas [B, P]."""

    @abstractmethod
    def linearized(self, thetas: Tensor) -> Linearization:
        """Products with the Hessian and the Gauss–Newton matrix at thetas [B, P], as a context."""

    @abstractmethod
    def scalar(self, theta: Tensor) -> Tensor:
        """F at theta [P] as a differentiable scalar; the route by which any derivative can be taken."""

    @abstractmethod
    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> Objective:
        """The same F in another dtype or on another device."""

    @abstractmethod
    def fingerprint(self) -> Fingerprint:
        """What identifies this objective: shapes, data, policy, and F at two fixed points."""

    def losses(self, thetas: Tensor) -> Tensor:
        """F at thetas [B, P], float64 [B]."""
        return self.evaluate(thetas, metrics=False)["loss"]

    def along(self, points: Located) -> dict[str, Tensor]:
        """F and every metric at points of a subspace, formed a chunk at a time: {name: float64 [B]}."""
        size = max(1, CHUNK_BYTES // (self.space.size * points.subspace.theta0.element_size()))
        parts = [self.evaluate(chunk.thetas()) for chunk in points.split(size)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def restrict(self, theta0: Tensor | Point, directions: Directions | Tensor | Sequence[Tensor]) -> Subspace:
        """F on the affine subspace theta0 + c·directions."""
        return Subspace(self, theta_of(theta0), as_directions(self.space, directions))

    def rows(self, index: Tensor) -> Objective:
        """F over some of the rows: index [n], or [B, n] for one set of rows per point."""
        raise InputError(f"{type(self).__name__} has no rows: only an EmpiricalRisk can be cut into minibatches")

    def with_data(self, data: Any) -> Objective:
        """The same network, loss and statistics over other rows, such as a test set."""
        raise InputError(f"{type(self).__name__} has no data: only an EmpiricalRisk can take other rows")

    @property
    def test(self) -> Objective | None:
        """The same network, loss and statistics over the test rows it was given; None where there are none."""
        return None

    def at(self, *points: Point) -> Objective:
        """This objective with the statistics policy for values reported at these points."""
        return self

    def training(self) -> Objective:
        """This objective as a training step sees it: normalising layers use the batch at hand."""
        return self

    def reporting(self) -> Objective:
        """This objective for values reported at points that move: statistics are estimated at each."""
        return self

    def point(self, theta: Tensor | np.ndarray | Point, name: str = "theta") -> Point:
        """Theta as a Point with the statistics that belong to it."""
        return theta if isinstance(theta, Point) else Point(self.space.check(theta), None, name)

    def retract(self, thetas: Tensor) -> Tensor:
        """Thetas [B, P] moved back onto the objective's domain; the identity unless it is a manifold."""
        return thetas

    def normals(self, theta: Tensor) -> Tensor | None:
        """Orthonormal rows [k, P] that span what is not tangent at theta [P]; None unless it is a manifold."""
        return None

    def directional(self, theta: Tensor | Point, v: Tensor, order: int = 2) -> Tensor:
        """d^j/dt^j F(theta + t·v) at t = 0 for j = 0 … order <= 4, float64 [order + 1].

        Nested backward passes through the one variable t. Nested forward mode would be cheaper, but torch
        2.13 returns wrong second derivatives from it, silently, for LayerNorm and for batch statistics.

        Raises
        ------
        InputError
            If order is not between 1 and 4, or F has an operation that may be differentiated once only.
        """
        if not 1 <= order <= 4:
            raise InputError(f"order={order}: directional derivatives are taken up to order 4, from 1")
        double = self if self.space.dtype == torch.float64 else self.to(torch.float64)
        base, along = double.space.check(theta_of(theta)), double.space.check(v, "v")
        t = torch.zeros((), dtype=torch.float64, device=base.device, requires_grad=True)
        with differentiable_twice():
            value = double.scalar(base + t * along)
            found, whole = [value.detach()], value
            for _ in range(order):
                if value.requires_grad:
                    (value,) = torch.autograd.grad(value, t, create_graph=True, materialize_grads=True)
                else:
                    value = torch.zeros_like(value)
                if len(found) == 1:
                    refuse_once([value], [whole])
                found.append(value.detach())
        return torch.stack(found)


def theta_of(point: Tensor | Point) -> Tensor:
    """The vector [P] of a point or tensor."""
    return point.theta if isinstance(point, Point) else point
