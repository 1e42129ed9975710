"""Every kind of critical point on landscapes where it is known, and indices that are never overstated."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from thalweg.critical import Classify, classify, inertia
from thalweg.errors import InputError
from thalweg.records import Guarantee, PointStatus


def function(fn, size: int = 2) -> tw.Function:
    return tw.Function(fn, size, initial=torch.zeros(size))


KINDS = {
    "bowl": (lambda x: x[0] ** 2 + 3 * x[1] ** 2, "strict minimum", (0, 0), None),
    "hill": (lambda x: -(x[0] ** 2) - 3 * x[1] ** 2, "strict maximum", (2, 0), None),
    "pass": (lambda x: x[0] ** 2 - x[1] ** 2, "strict saddle", (1, 0), None),
    "trough of a saddle": (lambda x: -(x[1] ** 2), "strict saddle", (1, 1), None),
    "x³ + y²": (lambda x: x[0] ** 3 + x[1] ** 2, "degenerate saddle", (0, 1), 3),
    "monkey saddle": (lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2, "degenerate saddle", (0, 2), 3),
    "x⁴ + y⁴": (lambda x: x[0] ** 4 + x[1] ** 4, "degenerate minimum", (0, 2), 4),
    "x² − y⁴": (lambda x: x[0] ** 2 - x[1] ** 4, "degenerate saddle", (0, 1), 4),
    # Along x alone F rises like x⁴/2, but it falls along the curve y = −x².
    "bent valley": (lambda x: x[1] ** 2 + 2 * x[0] ** 2 * x[1] + x[0] ** 4 / 2, "degenerate saddle", (0, 1), 4),
    "bent gutter": (lambda x: (x[1] + x[0] ** 2) ** 2 + x[0] ** 4 / 2, "degenerate minimum", (0, 1), 4),
    "parabola of minima": (lambda x: (x[1] + x[0] ** 2) ** 2, "flat", (0, 1), None),
    "plateau": (lambda x: torch.relu(x[0] - 1) + torch.relu(x[1] - 1), "flat", (0, 2), None),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_that_are_known(name: str) -> None:
    fn, kind, (index, nullity), order = KINDS[name]
    objective = function(fn)
    record = classify(objective, objective.initial)
    assert record.kind == kind
    assert (record.index.lower, record.index.upper) == (index, index)
    assert (record.nullity.lower, record.nullity.upper) == (nullity, nullity)
    assert record.order == order and record.critical
    if "saddle" in kind:  # along the direction named, F falls
        way = torch.from_numpy(record.data["descent"].copy())
        steps = torch.tensor([1e-2, -1e-2])[:, None] * way
        if name != "bent valley":
            assert float(objective.losses(steps).min()) < record.value
    if kind in ("degenerate minimum", "flat"):
        assert record.guarantee is Guarantee.SAMPLED  # only some directions were looked at
    elif kind.startswith("strict"):
        assert record.guarantee is Guarantee.EXACT


@pytest.mark.parametrize("landscape", [tw.zoo.scalar_factorisation, tw.zoo.scalar_chain, tw.zoo.single_neuron])
def test_kinds_that_the_zoo_states(landscape) -> None:
    words = {
        "strict saddle": {PointStatus.STRICT_SADDLE},
        "degenerate saddle": {PointStatus.DEGENERATE_SADDLE},
        "global minimum": {PointStatus.STRICT_MINIMUM, PointStatus.FLAT, PointStatus.DEGENERATE_MINIMUM},
        "local minimum": {PointStatus.STRICT_MINIMUM, PointStatus.FLAT, PointStatus.DEGENERATE_MINIMUM},
    }
    objective = landscape()
    for point in objective.facts.critical_points:
        record = classify(objective, torch.tensor(point.theta, dtype=torch.float64))
        assert record.index.lower == record.index.upper == point.index, point.name
        assert record.status in words[point.kind], (point.name, record.message)


def test_a_point_that_is_not_critical_is_no_saddle() -> None:
    objective = tw.zoo.scalar_factorisation()
    record = classify(objective, torch.tensor([0.3, -0.2], dtype=torch.float64))
    assert record.status is PointStatus.NOT_CRITICAL and not record.critical
    assert record.index.lower == record.index.upper == 1 and record.index_fraction.lower == 0.5  # said all the same
    assert record.distance == pytest.approx(0.3, abs=0.2) and record.r < 1e-12


def test_a_gradient_in_the_null_space_is_a_gradient_flat_region() -> None:
    """A slope without curvature, and steep walls: Newton's method stops without a critical point (Frye et al. 2021)."""
    objective = function(lambda x: x[0] + 50 * x[1] ** 2)
    record = classify(objective, objective.initial)
    assert record.status is PointStatus.GRADIENT_FLAT
    assert record.r == pytest.approx(1) and record.r_hessian == pytest.approx(0)


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(1, 12),
    negative=st.integers(0, 12),
    zero=st.integers(0, 12),
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1e-6, 1.0, 1e5]),
)
def test_inertia_of_matrices_with_planted_zeros(size: int, negative: int, zero: int, seed: int, scale: float) -> None:
    negative, zero = min(negative, size), min(zero, size - min(negative, size))
    generator = torch.Generator().manual_seed(seed)
    values = 0.5 + torch.rand(size, generator=generator, dtype=torch.float64)
    values[:negative] *= -1
    values[negative : negative + zero] = 0
    q = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
    matrix = scale * q @ torch.diag(values) @ q.T
    found = inertia((matrix + matrix.T) / 2)
    assert (found.negative, found.zero, found.positive) == (negative, zero, size - negative - zero)
    assert found.certain or zero == size


def test_signs_of_rounding_are_not_an_index() -> None:
    """Why the factorisation is shifted: at zero it counts the rounding of a null space of ten."""
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(40, 30, generator=generator, dtype=torch.float64)
    matrix = half @ half.T
    assert int((torch.linalg.eigvalsh(matrix) < 0).sum()) > 0
    assert (inertia(matrix).negative, inertia(matrix).zero) == (0, 10)


def network(seed: int, widths: tuple[int, ...] = (3, 6, 2)) -> tw.EmpiricalRisk:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.Tanh()]
    x = torch.randn(20, widths[0])
    return tw.EmpiricalRisk(nn.Sequential(*layers[:-1]), nn.MSELoss(), (x, torch.randn(20, widths[-1]))).to(
        torch.float64
    )


def test_a_certified_index_never_exceeds_the_exact_one() -> None:
    """Over 200 random networks the bracket holds the exact index, and it is not empty."""
    sharp = 0
    for seed in range(200):
        objective = network(seed)
        exact = Classify()(objective, objective.initial)
        bracket = Classify(dense_below=1, products=24)(objective, objective.initial, rng=seed)
        assert bracket.index.lower <= exact.index.lower <= bracket.index.upper
        assert bracket.index.guarantee is Guarantee.CERTIFIED
        assert bracket.smallest.upper >= exact.smallest.lower
        sharp += bracket.index.lower > 0
    assert sharp > 150


def test_the_origin_of_a_deep_network_is_a_saddle_that_second_derivatives_do_not_show() -> None:
    """Three layers at zero, targets centred: no gradient and no Hessian but in the last bias (Kawaguchi 2016)."""
    objective = network(1, (4, 10, 10, 2))
    targets = objective.table.targets
    centred = objective.with_data((objective.table.inputs, targets - targets.mean(0)))
    theta = torch.zeros(objective.space.size, dtype=torch.float64)
    record = Classify(tolerance=1e-8)(centred, theta)
    assert record.status is PointStatus.DEGENERATE_SADDLE and record.order == 3
    assert record.index.upper == 0 and record.nullity.lower > 100
    step = torch.from_numpy(record.data["descent"].copy())
    assert float(centred.losses((theta + 0.1 * step)[None])) < record.value
    bracket = Classify(tolerance=1e-8, dense_below=10, products=40)(centred, theta)
    assert bracket.critical and bracket.status is PointStatus.UNDECIDED  # products alone show neither


def test_critical_points_of_a_quadratic_form_on_the_sphere() -> None:
    """Eigenvectors of A, the k-th with index k (Absil, Mahony & Sepulchre 2008, §4.6)."""
    generator = torch.Generator().manual_seed(5)
    a = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    a = a + a.T
    objective = tw.Function(lambda x: x @ a.to(x) @ x / 2, 5, manifold="sphere", initial=torch.eye(5)[0])
    values, columns = torch.linalg.eigh(a)
    for k in range(5):
        record = classify(objective, columns[:, k])
        assert record.critical and record.size == 4
        assert record.index.lower == record.index.upper == k
        np.testing.assert_allclose(record.eigenvalues, np.delete(values.numpy(), k) - float(values[k]), atol=1e-12)


def test_critical_points_on_several_spheres_add_their_indices() -> None:
    """Rows that are eigenvectors of ranks j and k: index j + k, each row with its own size − 1 directions."""
    generator = torch.Generator().manual_seed(6)
    a = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    a = a + a.T
    objective = tw.Function(
        lambda x: ((x.reshape(2, 4) @ a.to(x)) * x.reshape(2, 4)).sum(), 8, manifold="oblique", spheres=2
    )
    _, columns = torch.linalg.eigh(a)
    for j, k in itertools.product(range(4), repeat=2):
        record = classify(objective, torch.cat([3 * columns[:, j], -columns[:, k]]))  # off the manifold: put onto it
        assert record.critical and record.size == 6 and record.nullity.upper == 0
        assert record.index.lower == record.index.upper == j + k
    bracket = Classify(dense_below=1, products=24)(objective, torch.cat([columns[:, 3], columns[:, 2]]), rng=1)
    assert bracket.index.lower <= 5 <= bracket.index.upper and bracket.index.lower > 0
    beside = Classify()(objective, columns[:, :2].flatten())  # rows that are not eigenvectors
    assert not beside.critical and beside.gradient_norm > 0.1


@pytest.mark.parametrize(
    ("fn", "kind", "order"),
    [
        (lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2, "degenerate saddle", 3),
        (lambda x: x[0] ** 4 + x[1] ** 4, "degenerate minimum", 4),
        (lambda x: x[1] ** 2 - x[0] ** 4, "degenerate saddle", 4),
    ],
)
def test_orders_of_degenerate_points_on_the_sphere(fn, kind: str, order: int) -> None:
    """At the pole a function of the other two coordinates has the order that it has in the plane."""
    pole = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    record = classify(tw.Function(fn, 3, manifold="sphere", initial=pole), pole)
    assert record.kind == kind and record.order == order and record.size == 2


def test_what_is_not_finite_is_said_and_options_are_checked() -> None:
    objective = function(lambda x: torch.log(x[0]) + x[1])
    record = classify(objective, torch.tensor([-1.0, 0.0]))
    assert record.status is PointStatus.NONFINITE and record.guarantee is None
    with pytest.raises(InputError, match="tolerance=0"):
        Classify(tolerance=0)
    with pytest.raises(InputError, match="products=2"):
        Classify(dense_below=1, products=2)(objective, torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize(
    "fn", [lambda x: 0 * x.sum() + 1, lambda x: torch.tensor(2.0, dtype=x.dtype), lambda x: 3 * x[0]]
)
def test_functions_without_curvature_are_flat_or_not_critical(fn) -> None:
    found = classify(tw.Function(fn, 3), torch.zeros(3, dtype=torch.float64))
    assert found.kind == ("flat" if found.gradient_norm == 0 else "gradient flat")
    assert found.index.lower == found.index.upper == 0 and found.nullity.lower == 3
