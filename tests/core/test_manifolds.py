"""Functions on products of spheres: retraction, gradient and Hessian against finite differences along geodesics."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import thalweg as tw
from thalweg.core.manifolds import Spheres
from thalweg.errors import InputError


def quartic(size: int, seed: int) -> tuple[tw.Function, object]:
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(size, size, generator=generator, dtype=torch.float64)

    def fn(x: Tensor) -> Tensor:
        return x @ a.to(x) @ x + (x**3).sum() * x[0] + torch.sin(x).sum()

    return fn, generator


def on(count: int, each: int, seed: int) -> tuple[tw.Function, object, Tensor, Tensor]:
    """A function on ``count`` spheres, its formula, a point and a tangent vector."""
    fn, generator = quartic(count * each, seed)
    objective = tw.Function(fn, count * each, manifold="oblique", spheres=count)
    x = objective.retract(torch.randn(count * each, generator=generator, dtype=torch.float64))
    v = objective.spheres.project(x, torch.randn(count * each, generator=generator, dtype=torch.float64))
    return objective, fn, x, v


def geodesic(x: Tensor, v: Tensor, t: float, count: int) -> Tensor:
    rows, along = x.reshape(count, -1), v.reshape(count, -1)
    speed = along.norm(dim=1, keepdim=True)
    return (torch.cos(t * speed) * rows + torch.sin(t * speed) * along / speed).reshape(-1)


shapes = {"count": st.integers(1, 4), "each": st.integers(2, 5), "seed": st.integers(0, 1000)}


@settings(max_examples=25, deadline=None)
@given(**shapes)
def test_the_retraction_agrees_with_geodesics_to_second_order(count: int, each: int, seed: int) -> None:
    objective, _, x, v = on(count, each, seed)
    assert torch.allclose(objective.retract(x).reshape(count, each).norm(dim=1), torch.ones(count).double())
    assert float((objective.retract(x) - x).abs().max()) < 1e-15
    errors = [float((objective.retract(x + t * v) - geodesic(x, v, t, count)).norm()) for t in (2e-2, 1e-2)]
    assert errors[0] / errors[1] == pytest.approx(8, rel=0.1)  # third order


@settings(max_examples=25, deadline=None)
@given(**shapes)
def test_gradient_and_products_are_derivatives_along_geodesics(count: int, each: int, seed: int) -> None:
    objective, fn, x, v = on(count, each, seed)
    value, gradient = objective.value_and_grad(x[None])
    assert float(value[0]) == pytest.approx(float(fn(x)))
    normals = tw.core.metered.Metered(objective).normals(x)
    assert normals is not None and len(normals) == count
    assert float((normals @ gradient[0]).abs().max()) < 1e-12 * (1 + float(gradient.norm()))
    h = 1e-4
    low, middle, high = (float(fn(geodesic(x, v, t, count))) for t in (-h, 0, h))
    scale = 1 + float(v.norm()) ** 4
    assert float(gradient[0] @ v) == pytest.approx((high - low) / (2 * h), abs=1e-6 * scale)
    with objective.linearized(x[None]) as linear:
        product = linear.hvp(v[None, None])[0, 0]
    assert float(product @ v) == pytest.approx((high - 2 * middle + low) / h**2, abs=1e-5 * scale)
    assert float((normals @ product).abs().max()) < 1e-10 * scale


@settings(max_examples=25, deadline=None)
@given(**shapes)
def test_products_are_those_of_the_formula(count: int, each: int, seed: int) -> None:
    """P(H − diag(xᵢ·∇ᵢF))P (Absil, Mahony & Sepulchre 2008, §5.3); without the radial term they are not."""
    objective, fn, x, _ = on(count, each, seed)
    slope = torch.autograd.functional.jacobian(fn, x).reshape(count, each)
    radial = (slope * x.reshape(count, each)).sum(1).repeat_interleave(each)
    normals = objective.spheres.normals(x)
    project = torch.eye(len(x), dtype=torch.float64) - normals.T @ normals
    hessian = torch.autograd.functional.hessian(fn, x)
    expected = project @ (hessian - torch.diag(radial)) @ project
    with objective.linearized(torch.stack([x, x])) as linear:  # two points: the batched way
        found = linear.hvp(torch.eye(len(x), dtype=torch.float64).expand(2, -1, -1))
    with objective.linearized(x[None]) as linear:
        alone = linear.hvp(torch.eye(len(x), dtype=torch.float64)[None])
    for matrix in (*found, alone[0]):
        assert float((matrix - expected).norm()) < 1e-10 * (1 + float(expected.norm()))
    wrong = project @ hessian @ project
    assert float((wrong - expected).norm()) == pytest.approx(
        float((project @ torch.diag(radial) @ project).norm()), rel=1e-9
    )


def test_every_descent_stays_on_the_manifold_and_stops_where_the_tangential_gradient_vanishes() -> None:
    values = torch.arange(1.0, 6.0, dtype=torch.float64)

    def fn(x: Tensor) -> Tensor:
        return (x.reshape(2, 5).square() * values.to(x)).sum()

    objective = tw.Function(fn, 10, manifold="oblique", spheres=2)
    rule = tw.descent.GradientDescent(0.1)
    run = tw.descent.Descent(rule, steps=2000, stop_gradient=1e-9)(objective, objective.initial)
    assert run.endings[0].name == "GRADIENT" and run.final_loss[0] == pytest.approx(2, abs=1e-12)
    rows = torch.from_numpy(run.data["thetas"].copy()).reshape(-1, 2, 5)
    assert float((rows.norm(dim=2) - 1).abs().max()) < 1e-14


def test_a_retraction_is_that_of_a_ray() -> None:
    spheres = Spheres(2, 6)
    x = torch.tensor([3.0, 0, 4, 0, 0, -2], dtype=torch.float64)
    assert spheres.retract(x).tolist() == [0.6, 0, 0.8, 0, 0, -1]
    objective = tw.Function(lambda x: x[0] * x[3], 6, manifold="oblique", spheres=2)
    assert objective.initial.theta.reshape(2, 3).norm(dim=1).tolist() == pytest.approx([1, 1])
    assert float(objective.losses(7 * objective.initial.theta[None])[0]) == pytest.approx(1 / 3)
    assert math.isnan(float(objective.losses(0 * objective.initial.theta[None])[0]))


def test_what_is_no_manifold_is_refused() -> None:
    def fn(x: Tensor) -> Tensor:
        return x.sum()

    for options, match in (
        ({"manifold": "torus"}, "torus"),
        ({"manifold": "sphere", "spheres": 2}, "oblique"),
        ({"spheres": 2}, "oblique"),
        ({"manifold": "oblique", "spheres": 4}, "spheres=4 of 6"),
        ({"manifold": "oblique", "spheres": 6}, "spheres=6 of 6"),
        ({"manifold": "sphere", "initial": torch.zeros(6)}, "zeros"),
    ):
        with pytest.raises(InputError, match=match):
            tw.Function(fn, 6, **options)
