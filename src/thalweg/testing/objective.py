"""The contract of an objective: values, gradients, products, batches, dtypes and subspaces agree with ``scalar``."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.products import differentiable_twice
from thalweg.core.rng import Stream
from thalweg.errors import InputError, ThalwegError
from thalweg.testing.contract import Contract, close, keeps, same, skip

RADIUS = 0.1
"""Points are drawn this far around the initial one, in each coordinate."""


class ObjectiveContract(Contract):
    """What every objective keeps, examined in float64 near its initial point.

    The reference is :meth:`Objective.scalar`, F at one point as autograd sees it; everything else must agree with it.
    ``double`` is what :meth:`make` gave, in float64.
    """

    @abstractmethod
    def make(self) -> Objective:
        """The objective that is examined; the same one at every call."""

    @property
    def double(self) -> Objective:
        """What is examined, in float64."""
        return self.make().to(torch.float64)

    def points(self, objective: Objective, count: int) -> Tensor:
        """Points [count, P] that are the same at every call; override it where F is not defined all around."""
        drawn = torch.randn(count, objective.space.size, generator=_generator("points"), dtype=torch.float64)
        initial = objective.initial.theta
        return objective.retract(initial + RADIUS * drawn.to(initial))

    def test_the_initial_point_is_one_of_the_space(self) -> None:
        """``initial`` is finite and as long as the space says, and F there is a number."""
        objective = self.make()
        theta = objective.space.check(objective.initial.theta)
        keeps(bool(theta.isfinite().all()), "initial.theta is not finite")
        value = objective.losses(theta[None])
        keeps(bool(value.isfinite().all()), f"F at the initial point is {float(value[0])}")

    def test_values_do_not_depend_on_the_batch(self) -> None:
        """F of five points at once is F of each by itself, float64 [B], and the same again."""
        objective = self.double
        thetas = self.points(objective, 5)
        found = objective.losses(thetas)
        keeps(found.dtype == torch.float64, f"losses returned {found.dtype}: values are float64")
        keeps(not found.requires_grad, "losses returned a tensor that requires a gradient")
        keeps(found.shape == (5,), f"losses returned {list(found.shape)} for 5 points: it is [B]")
        same(objective.losses(thetas).cpu(), found.cpu(), "losses, evaluated again")
        apart = torch.cat([objective.losses(theta[None]) for theta in thetas])
        close(found, apart, 1e-12, 1e-14, "losses of 5 points against those of each alone")

    def test_values_are_those_of_the_scalar(self) -> None:
        """``losses`` is ``scalar``, point by point."""
        objective = self.double
        thetas = self.points(objective, 3)
        scalars = torch.stack([objective.scalar(theta).detach() for theta in thetas])
        close(objective.losses(thetas), scalars, 1e-12, 1e-14, "losses against scalar")

    def test_every_metric_has_a_value(self) -> None:
        """``evaluate`` gives ``loss`` and every metric that is promised, float64 [B]."""
        objective = self.double
        found = objective.evaluate(self.points(objective, 2))
        missing = [name for name in ("loss", *objective.metrics) if name not in found]
        keeps(not missing, f"evaluate has no {missing}, and metrics promise them")
        for name, values in found.items():
            shaped = values.dtype == torch.float64 and values.shape == (2,)
            keeps(shaped, f"evaluate's {name!r} is {values.dtype}{list(values.shape)}: it is float64 [B]")

    def test_gradients_are_those_of_the_scalar(self) -> None:
        """``value_and_grad`` is F and autograd's gradient of ``scalar``."""
        objective = self.double
        thetas = self.points(objective, 3)
        values, gradients = objective.value_and_grad(thetas)
        close(values, objective.losses(thetas), 1e-12, 1e-14, "value_and_grad's value against losses")
        keeps(values.dtype == torch.float64, f"value_and_grad's value is {values.dtype}: it is float64")
        expected = torch.stack([_gradient(objective, theta) for theta in thetas])
        close(gradients, expected, 1e-10, 1e-12, "value_and_grad's gradient against autograd's of scalar")

    def test_products_are_those_of_the_hessian(self) -> None:
        """``hvp`` is the derivative of the gradient; on a manifold, along its tangent space."""
        objective = self.double
        thetas = self.points(objective, 2)
        drawn = torch.randn(2, 3, objective.space.size, generator=_generator("vectors"), dtype=torch.float64)
        vectors = torch.stack([_tangent(objective, t, v) for t, v in zip(thetas, drawn.to(thetas), strict=True)])
        with objective.linearized(thetas) as linear:
            found = linear.hvp(vectors)
            same(linear.hvp(vectors).cpu(), found.cpu(), "hvp, taken again")
        for b, theta in enumerate(thetas):
            expected = _tangent(objective, theta, _products(objective, theta, vectors[b]))
            close(found[b], expected, 1e-9, 1e-11, "hvp against two backward passes of scalar")

    def test_directional_derivatives_agree(self) -> None:
        """``directional`` gives F, the gradient and the product along one direction."""
        objective = self.double
        theta = self.points(objective, 1)[0]
        v = torch.randn(objective.space.size, generator=_generator("along"), dtype=torch.float64).to(theta)
        found = objective.directional(theta, v, 2)
        slope, bend = _gradient(objective, theta) @ v, _products(objective, theta, v[None])[0] @ v
        close(found, torch.stack([objective.losses(theta[None])[0], slope, bend]), 1e-8, 1e-10, "directional")

    def test_a_subspace_is_points_of_the_space(self) -> None:
        """``restrict(theta0, D)`` at c is F at theta0 + c·D."""
        objective = self.double
        theta = self.points(objective, 1)[0]
        directions = torch.randn(2, objective.space.size, generator=_generator("subspace"), dtype=torch.float64)
        directions = directions.to(theta)
        at = torch.tensor([[0.0, 0.0], [0.2, -0.1], [0.0, 0.3]], dtype=torch.float64, device=theta.device)
        found = objective.restrict(theta, directions).evaluate(at)["loss"]
        close(found, objective.losses(theta + at @ directions), 1e-10, 1e-12, "restrict against losses")

    def test_another_dtype_is_the_same_function(self) -> None:
        """In float32 F is the same to rounding, and so is the fingerprint."""
        double = self.double
        single = double.to(torch.float32)
        keeps(single.space.dtype == torch.float32, f"to(float32) has a space of {single.space.dtype}")
        keeps(double.space.dtype == torch.float64, "to(float32) changed the objective that it was called on")
        theta = double.initial.theta[None]
        close(single.losses(theta.float()), double.losses(theta), 1e-5, 1e-6, "F in float32 against float64")
        differences = double.fingerprint().differences(single.fingerprint())
        keeps(not differences, f"the fingerprint changes with the dtype: {differences}")

    def test_a_point_of_another_length_is_refused(self) -> None:
        """A tensor that is no point of the space is an error in one line, and no broadcast."""
        objective = self.double
        wrong = torch.zeros(1, objective.space.size + 1, dtype=torch.float64)
        try:
            objective.losses(wrong)
        except ThalwegError:
            return
        except Exception as error:
            raise AssertionError(f"losses raised {type(error).__name__} for a point of another length") from error
        raise AssertionError("losses took a point of another length: check thetas by self.space.check")

    def test_each_point_may_have_rows_of_its_own(self) -> None:
        """``rows`` [B, n] is ``rows`` [n] of each point."""
        objective = self.double
        if objective.row_count < 3:
            skip(f"{type(objective).__name__} has {objective.row_count} row")
        thetas = self.points(objective, 2)
        index = torch.tensor([[0, 1, 2], [2, 2, objective.row_count - 1]])
        try:
            found = objective.rows(index).losses(thetas)
        except InputError as refusal:
            skip(str(refusal))
        apart = [objective.rows(i).losses(t[None])[0] for i, t in zip(index, thetas, strict=True)]
        close(found, torch.stack(apart), 1e-12, 1e-14, "rows [B, n] against rows [n] of each point")

    def test_a_manifold_is_kept(self) -> None:
        """``retract`` leads onto the manifold and leaves it alone there; ``normals`` are orthonormal."""
        objective = self.double
        thetas = self.points(objective, 2)
        close(objective.retract(thetas), thetas, 1e-12, 1e-14, "retract of points that it gave")
        normals = objective.normals(thetas[0])
        if normals is None:
            return
        identity = torch.eye(len(normals), dtype=torch.float64)
        close(normals @ normals.T, identity.to(normals), 1e-10, 1e-12, "normals: inner products")
        _, gradient = objective.value_and_grad(thetas[:1])
        close(normals @ gradient[0], torch.zeros_like(normals[:, 0]), 0, 1e-10, "the gradient along the normals")


def _generator(name: str) -> torch.Generator:
    return Stream(0)("testing", name).torch()


def _gradient(objective: Objective, theta: Tensor) -> Tensor:
    leaf = theta.clone().requires_grad_()
    value = objective.scalar(leaf)
    if not value.requires_grad:
        return torch.zeros_like(leaf)
    return torch.autograd.grad(value, leaf, materialize_grads=True)[0]


def _products(objective: Objective, theta: Tensor, vectors: Tensor) -> Tensor:
    """H v for each v [k, P], one backward pass through the gradient after another."""
    leaf = theta.clone().requires_grad_()
    with differentiable_twice():
        value = objective.scalar(leaf)
        if not value.requires_grad:
            return torch.zeros_like(vectors)
        (gradient,) = torch.autograd.grad(value, leaf, create_graph=True, materialize_grads=True)
        if not gradient.requires_grad:
            return torch.zeros_like(vectors)
        found = [torch.autograd.grad(gradient @ v, leaf, retain_graph=True, materialize_grads=True)[0] for v in vectors]
    return torch.stack(found)


def _tangent(objective: Objective, theta: Tensor, vectors: Tensor) -> Tensor:
    normals = objective.normals(theta)
    return vectors if normals is None else vectors - (vectors @ normals.T) @ normals
