"""What the zoo states about its landscapes, against differences and dense Hessians in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

import thalweg as tw
from thalweg.core.function import Function
from thalweg.errors import InputError
from thalweg.zoo.factorisation import factorisation_point, gapped
from thalweg.zoo.quadratic_network import quadratic_point
from thalweg.zoo.wells import mean_passage_time

LANDSCAPES = {
    "matrix_factorisation": lambda: tw.zoo.matrix_factorisation(6, 0.05),
    "rank three": lambda: tw.zoo.matrix_factorisation(6, 0.3, rank=3),
    "rotated": lambda: tw.zoo.matrix_factorisation(5, 0.3, rank=2, rotation=1),
    "asymmetric": lambda: tw.zoo.asymmetric_factorisation(5, 0.1),
    "sensing": lambda: tw.zoo.matrix_sensing(5, 2, rows=40),
    "completion": lambda: tw.zoo.matrix_completion(6, 2, share=0.4, seed=3),
    "phase_retrieval": lambda: tw.zoo.phase_retrieval(5),
    "phase on draws": lambda: tw.zoo.phase_retrieval(4, rows=20),
    "quadratic_network": tw.zoo.quadratic_network,
    "wide": lambda: tw.zoo.quadratic_network(5, 3, (2.0, 1.0)),
    "narrow": lambda: tw.zoo.quadratic_network(5, 1, (2.0, 1.0)),
    "tensor": lambda: tw.zoo.orthogonal_tensor(4),
    "tensors": lambda: tw.zoo.orthogonal_tensor(3, components=True),
    "two-spin": lambda: tw.zoo.spherical_spin(4, 2),
    "two tensors": lambda: tw.zoo.orthogonal_tensor(2, components=True),
    "octopus": lambda: tw.zoo.octopus(4, 2.0, 0.5),
    "strict_saddle": lambda: tw.zoo.strict_saddle(5),
    "quadratic": lambda: tw.zoo.strict_saddle(5, quartic=0.0),
    "monkey_saddle": tw.zoo.monkey_saddle,
    "cubic_saddle": tw.zoo.cubic_saddle,
    "triple_product": tw.zoo.triple_product,
    "quartic_minimum": tw.zoo.quartic_minimum,
    "double_well": tw.zoo.double_well,
    "stiffening_valley": tw.zoo.stiffening_valley,
    "planted_minimum": lambda: tw.zoo.planted_minimum(0.3, 0.2, dimension=3),
}


def hessian(objective: Function, theta: torch.Tensor) -> torch.Tensor:
    with objective.linearized(theta[None]) as products:
        found = products.hvp(torch.eye(len(theta), dtype=torch.float64)[None])[0]
    return (found + found.T) / 2


@pytest.mark.parametrize("name", LANDSCAPES)
def test_critical_points_are_as_stated(name: str) -> None:
    objective = LANDSCAPES[name]()
    tangent = objective.space.size - (0 if objective.spheres is None else objective.spheres.count)
    for point in objective.facts.critical_points:
        theta = torch.tensor(point.theta, dtype=torch.float64)
        value, gradient = objective.value_and_grad(theta[None])
        scale = max(1.0, float(np.abs(point.spectrum).max()))
        assert float(value) == pytest.approx(point.value, abs=1e-12 * scale), point.name
        assert float(gradient.norm()) < 1e-13 * scale, point.name
        found = torch.linalg.eigvalsh(hessian(objective, theta)).numpy()
        if objective.spheres is not None:  # the normals are null directions of the Riemannian Hessian
            found = np.delete(found, np.argsort(np.abs(found), kind="stable")[: len(found) - tangent])
        assert len(point.spectrum) == tangent, point.name
        np.testing.assert_allclose(found, point.spectrum, rtol=0, atol=1e-11 * scale, err_msg=point.name)
        assert point.index == (np.array(point.spectrum) < 0).sum(), point.name
        if point.kind == "strict maximum":
            assert point.index == tangent
        assert (point.index > 0) == (point.kind in ("strict saddle", "strict maximum")), point.name
    assert objective.facts.infimum == min((p.value for p in objective.facts.minima()), default=-np.inf)


@pytest.mark.parametrize("name", LANDSCAPES)
def test_gradients_and_products_agree_with_differences(name: str) -> None:
    """Fourth-order central differences, at a point that is nobody's own."""
    objective = LANDSCAPES[name]()
    generator = torch.Generator().manual_seed(3)
    theta, v = torch.randn(2, objective.space.size, generator=generator, dtype=torch.float64)
    theta = objective.retract((objective.initial.theta + 0.3 * theta)[None])[0]
    v, h = v / v.norm(), 1e-3
    offsets = torch.tensor([2.0, 1.0, -1.0, -2.0], dtype=torch.float64)
    weights = torch.tensor([-1.0, 8.0, -8.0, 1.0], dtype=torch.float64) / (12 * h)
    places = theta + h * offsets[:, None] * v
    values, gradients = objective.value_and_grad(places)
    _, gradient = objective.value_and_grad(theta[None])
    scale = float(values.abs().max()) + 1
    assert float(weights @ values) == pytest.approx(float(gradient[0] @ v), abs=1e-9 * scale)
    if objective.spheres is None:
        np.testing.assert_allclose(weights @ gradients, hessian(objective, theta) @ v, rtol=0, atol=1e-8 * scale)


@pytest.mark.parametrize("name", ["matrix_factorisation", "rank three", "quadratic"])
def test_curvature_stays_below_the_stated_constants(name: str) -> None:
    objective = LANDSCAPES[name]()
    facts, generator = objective.facts, torch.Generator().manual_seed(0)
    worst = slope = 0.0
    for radius in (0.0, 0.5, 1.0):
        for _ in range(10):
            theta, v = torch.randn(2, objective.space.size, generator=generator, dtype=torch.float64)
            theta, v = radius * (facts.radius or 1.0) * theta / theta.norm(), v / v.norm()
            worst = max(worst, float(torch.linalg.matrix_norm(hessian(objective, theta), 2)))
            third = float(objective.directional(theta, v, order=3)[3])
            slope = max(slope, abs(third))
    if facts.radius:  # along the minimum itself the bound of the third derivative is attained
        aligned = torch.tensor(facts.point("minimum").theta, dtype=torch.float64)
        aligned = facts.radius * aligned / aligned.norm()
        slope = max(slope, abs(float(objective.directional(aligned, aligned / aligned.norm(), order=3)[3])))
    assert worst <= facts.smoothness + 1e-12 and slope <= facts.hessian_lipschitz + 1e-12
    assert worst > 0.3 * facts.smoothness  # no idle bound
    if name == "matrix_factorisation":
        assert slope == pytest.approx(facts.hessian_lipschitz, rel=1e-9)  # attained


@given(st.integers(2, 7), st.floats(0.01, 0.99), st.data())
@settings(max_examples=25, deadline=None)
def test_every_subset_of_eigenvectors_is_a_critical_point(dimension: int, gap: float, data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, dimension - 1))
    kept = data.draw(st.sets(st.integers(0, dimension - 1), max_size=rank))
    objective = tw.zoo.matrix_factorisation(dimension, gap, rank)
    point = factorisation_point(kept, gapped(dimension, gap, rank), rank)
    theta = torch.tensor(point.theta, dtype=torch.float64)
    value, gradient = objective.value_and_grad(theta[None])
    assert float(value) == pytest.approx(point.value, abs=1e-13) and float(gradient.norm()) < 1e-13
    found = torch.linalg.eigvalsh(hessian(objective, theta)).numpy()
    np.testing.assert_allclose(found, point.spectrum, rtol=0, atol=1e-12)


@given(st.integers(1, 4), st.sets(st.integers(0, 4)), st.lists(st.floats(0.1, 3.0), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_every_subset_of_axes_is_a_critical_point_of_a_quadratic_network(
    width: int, kept: set[int], weights: list[float]
) -> None:
    teacher = tuple(sorted({round(w, 2) for w in weights}, reverse=True))
    kept = set(sorted(kept)[:width])
    objective, point = tw.zoo.quadratic_network(5, width, teacher), quadratic_point(kept, 5, width, teacher)
    theta = torch.tensor(point.theta, dtype=torch.float64)
    value, gradient = objective.value_and_grad(theta[None])
    assert float(value) == pytest.approx(point.value, abs=1e-12) and float(gradient.norm()) < 1e-12
    found = torch.linalg.eigvalsh(hessian(objective, theta)).numpy()
    np.testing.assert_allclose(found, point.spectrum, rtol=0, atol=1e-11)


def test_problems_that_are_the_same_have_the_same_values() -> None:
    """One quadratic unit is phase retrieval; all entries seen, and many measurements, are the factorisation."""
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one = tw.zoo.quadratic_network(6, 1, (1.0,)).losses(x)
    torch.testing.assert_close(one, tw.zoo.phase_retrieval(6).losses(x), rtol=1e-12, atol=1e-12)
    planted = torch.tensor(tw.zoo.matrix_completion(6, share=1.0).facts.point("planted").theta, dtype=torch.float64)
    whole = (x[:, :, None] * x[:, None] - planted[:, None] * planted).square().sum((1, 2)) / 4
    torch.testing.assert_close(tw.zoo.matrix_completion(6, share=1.0).losses(x), whole, rtol=1e-12, atol=1e-12)
    few, many = ((tw.zoo.matrix_sensing(6, rows=n).losses(x) / whole - 1).abs().mean() for n in (25, 2500))
    assert many < 0.2 * few < 0.2  # a tenth is expected: the error falls with the square root of the rows
    few, many = ((tw.zoo.phase_retrieval(6, rows=n).losses(x) / one - 1).abs().mean() for n in (200, 20_000))
    assert many < 0.3 * few


def test_critical_points_of_the_tensor_are_counted() -> None:
    """Newton's method from many starts on the sphere in three dimensions finds nothing that is not listed."""
    objective = tw.zoo.orthogonal_tensor(3)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 3).double()
    listed = torch.nn.functional.normalize(signs[signs.any(1)], dim=1)
    assert len(listed) == objective.facts.count == 26
    _, gradients = objective.value_and_grad(listed)
    assert float(gradients.norm(dim=1).max()) < 1e-14
    generator = torch.Generator().manual_seed(0)
    u = torch.nn.functional.normalize(torch.randn(500, 3, generator=generator, dtype=torch.float64), dim=1)
    eye = torch.eye(3, dtype=torch.float64)
    for _ in range(25):
        _, gradient = objective.value_and_grad(u)
        with objective.linearized(u) as products:
            matrices = products.hvp(eye.expand(len(u), 3, 3)) + u[:, :, None] * u[:, None]
        u = objective.retract(u - (torch.linalg.pinv(matrices) @ gradient[:, :, None])[:, :, 0])
    u = u[objective.value_and_grad(u)[1].norm(dim=1) < 1e-12]
    distances = torch.cdist(u, listed, compute_mode="donot_use_mm_for_euclid_dist")
    assert len(u) > 400 and float(distances.amin(1).max()) < 1e-9
    found = set(distances.argmin(1).tolist())
    assert len(found) == 26


def test_the_first_saddle_has_the_gap_and_a_point_beside_it_is_none() -> None:
    objective = tw.zoo.matrix_factorisation(50, 0.05)
    saddle = objective.facts.saddles()[0]
    assert saddle.index == 1 and saddle.spectrum[0] == pytest.approx(-0.05)
    assert torch.equal(objective.initial.theta, torch.tensor(saddle.theta, dtype=torch.float64))
    assert objective.facts.infimum < objective.facts.escape_level(saddle) < saddle.value
    aside = objective.initial.theta.clone()
    aside[0] += 1e-3
    assert float(objective.value_and_grad(aside[None])[1].norm()) > 1e-5
    with pytest.raises(InputError, match="no escape level"):
        objective.facts.escape_level(objective.facts.point("minimum"))
    with pytest.raises(InputError, match="'keeps 2'"):
        objective.facts.point("keep 2")


def test_degenerate_saddles_are_left_along_a_line_and_the_quartic_minimum_is_not() -> None:
    way = {"monkey_saddle": (1.0, 1.0), "cubic_saddle": (-1.0, 0.0), "triple_product": (-1.0, 1.0, 1.0)}
    for name, v in way.items():
        objective = getattr(tw.zoo, name)()
        assert float(objective.losses(0.01 * torch.tensor([v], dtype=torch.float64))) < 0
        assert not any(objective.facts.critical_points[0].spectrum[:1])
    around = torch.randn(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(tw.zoo.quartic_minimum().losses(around).min()) > 0


def test_mean_passage_time_against_independent_answers() -> None:
    """A flat potential has (end² − start²)/2T; adaptive quadrature agrees for the double well; Kramers is above."""
    flat = mean_passage_time(np.zeros_like, 0.25, 1.0, 0.3, wall=0.0)
    assert flat == pytest.approx((1 - 0.25**2) / 0.6, rel=1e-10)

    def well(x: np.ndarray) -> np.ndarray:
        return (x**2 - 1) ** 2 / 4

    assert mean_passage_time(well, 1, -1, 0.08, 4) == pytest.approx(mean_passage_time(well, -1, 1, 0.08, -4))

    def density(z: float, y: float, temperature: float) -> float:
        return np.exp((well(y) - well(z)) / temperature) / temperature

    for temperature in (0.08, 0.05):
        exact, _ = integrate.dblquad(density, -1, 1, -3, lambda y: y, args=(temperature,), epsrel=1e-8)
        ours = mean_passage_time(well, -1, 1, temperature, -3)
        kramers = 2 * np.pi / np.sqrt(2) * np.exp(0.25 / temperature)
        assert ours == pytest.approx(exact, rel=1e-6)
        assert 0.7 * ours < kramers < ours  # the law is near and not the same: quadrature is what is tested
    with pytest.raises(InputError, match="between the wall and the end"):
        mean_passage_time(well, -2, 1, 0.1, -1)


def test_a_planted_minimum_keeps_its_barrier_whatever_its_width() -> None:
    for width in (0.1, 0.5, 0.9):
        objective = tw.zoo.planted_minimum(width, 0.1)
        line = torch.linspace(0, width, 1001, dtype=torch.float64)[:, None]
        assert float(objective.losses(line).max()) == pytest.approx(0.1)
        assert objective.facts.infimum < 0
    with pytest.raises(InputError, match=r"width=1\.0, distance=2\.0"):
        tw.zoo.planted_minimum(1.0)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("matrix_factorisation", {"gap": 1.0}),
        ("matrix_factorisation", {"dimension": 3, "rank": 3}),
        ("matrix_sensing", {"rows": 0}),
        ("matrix_completion", {"share": 0.0}),
        ("phase_retrieval", {"dimension": 1}),
        ("orthogonal_tensor", {"dimension": 1}),
        ("quadratic_network", {"width": 5}),
        ("octopus", {"L": 0.5}),
        ("strict_saddle", {"gamma": 0.0}),
        ("double_well", {"barrier": -1.0}),
    ],
)
def test_wrong_parameters_are_quoted(name: str, wrong: dict[str, float]) -> None:
    key, value = list(wrong.items())[-1]
    with pytest.raises(InputError, match=f"{key}={value}"):
        tw.zoo.build(name, **wrong)
