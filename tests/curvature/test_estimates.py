"""Traces and densities: exact where theory says so, and intervals that cover as often as they state."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.core.test_objectives import OBJECTIVES
from thalweg.core.quadrature import gauss
from thalweg.core.rng import Stream
from thalweg.curvature import Density, Operator, Trace, probes
from thalweg.errors import InputError
from thalweg.records import EstimateStatus, Guarantee

SPECTRUM = torch.cat([torch.zeros(20), torch.linspace(-1, 1, 60), torch.tensor([5.0, 8.0, 13.0, 21.0])]).double()


def quadratic(values: torch.Tensor) -> tw.Function:
    """½ xᵀ diag(values) x: a Hessian whose spectrum is known; the sphere's probes see no axes."""
    return tw.Function(lambda x: (values.to(x) * x * x).sum() / 2, len(values), initial=torch.zeros(len(values)))


# --- quadrature -----------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(size=st.integers(2, 30), steps=st.integers(1, 12), seed=st.integers(0, 1000))
def test_a_gauss_rule_is_exact_for_polynomials_and_its_bounds_hold_everywhere(size: int, steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(size, generator=generator, dtype=torch.float64).sort().values
    start = torch.randn(size, generator=generator, dtype=torch.float64)
    mass = start.square() / start.square().sum()
    rule = gauss(lambda v: v * values, start, steps)
    assert rule.weights.sum() == pytest.approx(1, abs=1e-12)
    for degree in range(2 * len(rule.nodes)):
        true, found = (mass * values**degree).sum(), (rule.weights * rule.nodes**degree).sum()
        assert found == pytest.approx(float(true), abs=1e-9 * max(1, float(values.abs().max()) ** degree))
    x = torch.cat([values - 1e-9, values + 1e-9, torch.linspace(-4, 4, 50, dtype=torch.float64)])
    true = (mass * (values <= x[:, None])).sum(1)
    lower, upper = rule.mass(x)
    assert (lower <= true + 1e-9).all() and (true <= upper + 1e-9).all()


def test_bounds_of_a_short_rule_are_not_the_distribution_itself() -> None:
    """A control: the rule's own step function, taken for the distribution, is wrong by much."""
    values = torch.linspace(-1, 1, 200, dtype=torch.float64)
    rule = gauss(lambda v: v * values, torch.ones(200, dtype=torch.float64), 6)
    x = torch.linspace(-1, 1, 41, dtype=torch.float64)
    true = (values <= x[:, None]).double().mean(1)
    step = (rule.weights * (rule.nodes <= x[:, None])).sum(1)
    lower, upper = rule.mass(x)
    assert (step - true).abs().max() > 0.08
    assert (lower <= true).all() and (true <= upper).all() and (upper - lower).max() < 0.5


# --- traces ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["hutchinson", "hutch++", "xtrace", "dense"])
def test_every_method_estimates_trace_and_frobenius_norm(method: str) -> None:
    objective = quadratic(SPECTRUM)
    record = Trace(products=60, method=method)(objective, objective.initial, rng=1)
    assert abs(record.value - 47) <= max(5 * record.error, 1e-9)
    assert record.low <= 47 <= record.high or record.status is EstimateStatus.EXACT
    true = float(SPECTRUM.square().sum().sqrt())
    assert abs(record.frobenius - true) <= max(5 * record.frobenius_error, 1e-9)
    assert record.guarantee is (Guarantee.EXACT if method == "dense" else Guarantee.SAMPLED)
    assert record.cost.products == (84 if method == "dense" else 60)


def test_the_error_falls_with_the_budget_as_theory_says() -> None:
    """Hutchinson's like 1/√m; XTrace's far faster on a definite matrix whose eigenvalues decay."""
    decaying = quadratic(0.8 ** torch.arange(100.0).double())
    errors = {
        method: [
            np.median([abs(Trace(m, method=method)(decaying, decaying.initial, rng=s).value - 5) for s in range(12)])  # type: ignore[arg-type]
            for m in (12, 48)
        ]
        for method in ("hutchinson", "xtrace")
    }
    assert 1 < errors["hutchinson"][0] / errors["hutchinson"][1] < 6
    assert errors["xtrace"][0] / errors["xtrace"][1] > 20


def test_a_matrix_of_low_rank_is_caught_exactly_by_xtrace() -> None:
    values = torch.zeros(50, dtype=torch.float64)
    values[:5] = torch.arange(1.0, 6.0)
    objective = quadratic(values)
    record = Trace(40, method="xtrace")(objective, objective.initial)
    assert record.value == pytest.approx(15, abs=1e-8) and record.error < 1e-8


@pytest.mark.parametrize("method", ["hutchinson", "hutch++", "xtrace"])
def test_stated_intervals_of_the_trace_cover(method: str) -> None:
    objective = quadratic(SPECTRUM)
    records = [Trace(24, method=method)(objective, objective.initial, rng=seed) for seed in range(200)]  # type: ignore[arg-type]
    covered = sum(r.low <= 47 <= r.high for r in records)
    assert covered >= 190
    halves = [(r.value - (r.high - r.value) / 8, r.value + (r.high - r.value) / 8) for r in records]
    assert sum(low <= 47 <= high for low, high in halves) < 150  # a control: an eighth of the interval does not


def test_the_method_is_chosen_by_definiteness_and_size() -> None:
    objective = OBJECTIVES["mlp"]().to(torch.float64)
    assert Trace(20)(objective, objective.initial).method == "hutchinson"
    assert Trace(20, operator="ggn")(objective, objective.initial).method == "xtrace"
    assert Trace(2000)(objective, objective.initial).method == "dense"
    with pytest.raises(InputError, match="products=3"):
        Trace(3)


# --- densities ------------------------------------------------------------------------------------------


def test_stated_bounds_of_the_spectral_distribution_cover() -> None:
    """At every fixed point at least 95 % of 200 runs; the points between and inside the clusters."""
    objective = quadratic(SPECTRUM)
    at = [-0.5, -1e-3, 1e-3, 0.5, 3.0, 6.0, 15.0]
    method = Density(probes=3, steps=10, points=30)
    records = [method(objective, objective.initial, rng=seed) for seed in range(200)]
    for x in at:
        true = float((x >= SPECTRUM).double().mean())
        bounds = [r.share_below(x) for r in records]
        assert sum(low <= true <= high for low, high in bounds) >= 190, x
    assert np.mean([high - low for low, high in (r.share_below(3.0) for r in records)]) < 0.35  # and they say something


def test_shares_of_a_beta_law_are_inverted_to_its_quantiles() -> None:
    """The bounds' own law: mass of k of n eigenvectors, simulated."""
    n, k, count = 40, 8, 5
    vectors = probes.sphere(n, 400 * count, Stream(0)).reshape(400, count, n)
    mass = vectors[..., :k].square().sum(-1).mean(1).numpy()
    low, high = probes.share(mass, mass, n, count, level=0.9)
    covered = ((low <= k / n) & (k / n <= high)).mean()
    assert 0.86 < covered < 0.95


def test_density_of_a_network_against_its_dense_spectrum() -> None:
    objective = OBJECTIVES["mlp"]().to(torch.float64)
    with Operator(objective, objective.initial) as matrix:
        truth = torch.linalg.eigvalsh(matrix.dense()).numpy()
    record = Density(probes=8, steps=30)(objective, objective.initial)
    grid = record.data["grid"]
    true = (truth <= grid[:, None]).mean(1)
    assert ((record.data["lower"] <= true) & (true <= record.data["upper"])).mean() > 0.99
    width = (truth[-1] - truth[0]) / 20
    smooth = np.exp(-(((grid[:, None] - truth) / width) ** 2) / 2).mean(1) / (width * np.sqrt(2 * np.pi))
    found = record.density(grid, width)
    assert np.trapezoid(abs(found - smooth), grid) < 0.2
    low, high = record.extremes
    assert truth[0] - 1e-9 <= low and high <= truth[-1] + 1e-9
    assert record.guarantee is Guarantee.SAMPLED and "8 probes" in record.summary


def test_the_mean_of_a_logarithm_is_the_log_determinant_over_the_size() -> None:
    values = torch.linspace(0.5, 4.0, 60, dtype=torch.float64)
    objective = quadratic(values)
    mean, error = Density(probes=20, steps=20)(objective, objective.initial).mean("log")
    assert abs(mean - float(values.log().mean())) < 4 * error and error < 0.05


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_log_determinants_come_with_their_standard_error(shift: float) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.linspace(0.5, 6.0, 60, dtype=torch.float64)
    q = torch.linalg.qr(torch.randn(60, 60, generator=generator, dtype=torch.float64)).Q
    a = q @ torch.diag(values) @ q.T
    objective = tw.Function(lambda x: x @ a.to(x) @ x / 2, 60, initial=torch.zeros(60))
    record = Density(probes=20, steps=25)(objective, objective.initial)
    found, error = record.log_determinant(shift)
    true = float(torch.linalg.slogdet(a + shift * torch.eye(60).double()).logabsdet)
    assert abs(found - true) <= 4 * error < 0.2 * abs(true)
