"""Certificates hold as often as they say, fail where they should, and start from nothing but random vectors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn.datasets import load_digits
from torch import nn

import thalweg as tw
from tests.conftest import DictConvNet, conv_data
from thalweg import records
from thalweg.core.rng import Stream
from thalweg.critical import Certify, certify, cnc_ratio, krylov_ends
from thalweg.descent import Adam, Descent
from thalweg.errors import InputError
from thalweg.records import CertificateStatus, Guarantee


def turned(values: torch.Tensor, seed: int) -> torch.Tensor:
    """A symmetric matrix with these eigenvalues and random eigenvectors."""
    generator = torch.Generator().manual_seed(seed)
    frame = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator, dtype=torch.float64)).Q
    matrix = frame @ torch.diag(values.double()) @ frame.T
    return (matrix + matrix.T) / 2


def saddle(values: torch.Tensor, seed: int = 0) -> tw.Function:
    """A function whose Hessian at 0 has these eigenvalues, bounded below."""
    hessian = turned(values, seed)
    return tw.Function(lambda x: x @ hessian @ x / 2 + x.pow(4).sum() / 4, len(values))


def strict(index: int) -> tuple[tw.Function, float]:
    """The strict saddle of this number: 10 to 1,000 dimensions, smallest eigenvalue −1e-3 to −1."""
    rng = np.random.default_rng(index)
    size = round(10 ** rng.uniform(1, 3))
    smallest = -(10 ** rng.uniform(-3, 0))
    values = torch.from_numpy(rng.uniform(0, 1, size) ** rng.choice([0.5, 1, 2]))  # bulks that do and do not reach 0
    values[0] = smallest
    return saddle(values, index), smallest


def judged(index: int) -> tuple[bool, bool]:
    """Whether a strict saddle was certified, and whether its bracket misses the smallest eigenvalue."""
    objective, smallest = strict(index)
    record = certify(objective, objective.initial, rng=index)
    low, high, slack = record.smallest.lower, record.smallest.upper, 1e-12
    assert record.status is not CertificateStatus.NONFINITE and low is not None and high is not None
    if record.status is CertificateStatus.ESCAPES:
        assert record.decrease is not None and record.step is not None
        moved = record.step * torch.from_numpy(record.direction.copy())
        fell = record.value - float(objective.losses(moved[None])[0])
        assert fell == pytest.approx(record.decrease) and fell > 0
    return record.stationary, not low - slack <= smallest <= high + slack


def test_no_strict_saddle_is_certified() -> None:
    found = [judged(index) for index in range(12)]
    assert not any(certified for certified, _ in found) and not any(missed for _, missed in found)


@pytest.mark.slow
def test_no_strict_saddle_is_certified_of_a_thousand() -> None:
    found = [judged(index) for index in range(1000)]
    assert not any(certified for certified, _ in found) and not any(missed for _, missed in found)


def test_minima_are_certified() -> None:
    for size, least in ((1, 0.5), (7, 0.0), (300, 0.0), (300, 0.2)):
        values = torch.linspace(least, 1, size, dtype=torch.float64)
        objective = saddle(values, size)
        record = certify(objective, objective.initial)
        assert record.stationary and record.direction is not None and "steps" not in record.data
        assert record.smallest.lower <= least + 1e-12 and record.smallest.upper >= least - 1e-12
        assert record.guarantee is (Guarantee.EXACT if record.basis == size else Guarantee.CERTIFIED)
        assert record.failure == (0 if record.basis == size else 1e-6)
    assert record.products < 100  # far fewer than 300, where the smallest eigenvalue is far from 0


def test_the_bound_fails_as_rarely_as_it_says_and_is_not_empty() -> None:
    """With a stated failure of 0.3 over 400 starts; with the random part of the bound left out it fails often."""
    size, most, failure = 60, 12, 0.3
    values = torch.linspace(0, 1, size, dtype=torch.float64).square()
    values[0] = -0.02
    diagonal = values.clone()
    missed = blind = tight = 0
    for seed in range(400):
        found = krylov_ends.ends(
            lambda v: v * diagonal, size, Stream(seed), lambda ends: False, block=1, failure=failure, most=most
        )
        low = found.smallest - found.margin
        missed += low > -0.02 + 1e-12
        # The same bound for a start that was taken for a good one: cos²φ = 1/2.
        square = math.sinh(math.asinh(1.0) / (2 * most - 1)) ** 2
        careless = (found.largest - found.smallest) * square / (1 - square)
        blind += found.smallest - careless > -0.02 + 1e-12
        tight += low > -0.5
    assert missed <= 400 * failure + 4 * math.sqrt(400 * failure * (1 - failure))
    assert blind > 4 * missed + 40
    assert tight > 300


@pytest.mark.parametrize("failure", [0.9, 0.3, 1e-3, 1e-9])
def test_a_start_is_as_blind_as_the_beta_law_says(failure: float) -> None:
    for size in (2, 3, 5, 30, 1000, 10**6):
        for block in (b for b in (1, 2, 3, 8) if b < size):
            low = krylov_ends.aligned(size, block, failure)
            law = float(special.betainc(block / 2, (size - block) / 2, low))
            assert 0 < low <= 0.5 and law <= failure * (1 + 1e-9)
            assert law >= 0.5 * failure or low == 0.5 or failure > 0.1  # and hardly less often


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 30), block=st.integers(1, 4), seed=st.integers(0, 10**6), repeated=st.booleans())
def test_ends_enclose_the_spectrum(size: int, block: int, seed: int, repeated: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(size, generator=generator, dtype=torch.float64)
    if repeated:
        values = values.round()
    matrix = turned(values, seed)
    for most in (3, size):
        found = krylov_ends.ends(
            lambda v: v @ matrix,
            size,
            Stream(seed),
            lambda ends: False,
            block=block,
            failure=1e-9,
            most=max(most, block),
        )
        slack = found.slack + 1e-12
        assert values.min() - slack <= found.smallest <= found.largest <= values.max() + slack
        assert found.smallest - found.margin - slack <= values.min()
        assert found.largest + found.margin + slack >= values.max()
    assert found.smallest == pytest.approx(float(values.min()), abs=1e-10) and found.margin == 0


def test_a_start_that_is_not_random_would_certify_a_saddle() -> None:
    """Why none can be given: from a vector without a part along the eigenvector, Lanczos sees a minimum."""
    objective = saddle(torch.tensor([-0.5, 0.3, 0.7, 1.0]), 5)
    values, columns = torch.linalg.eigh(turned(torch.tensor([-0.5, 0.3, 0.7, 1.0]), 5))
    blind = columns[:, 1:].sum(1)
    found = tw.curvature.Lanczos(k=1, which="SA", start=blind, dense_below=1, max_products=3)(objective, torch.zeros(4))
    assert float(found.eigenvalues[0]) > 0.29  # a minimum, it would seem
    assert certify(objective, torch.zeros(4)).status is CertificateStatus.ESCAPES
    for name in ("start", "seed", "probe", "vector"):
        with pytest.raises(InputError, match="random vectors alone"):
            certify(objective, torch.zeros(4), **{name: blind})


def test_two_points_draw_different_starts_from_one_seed() -> None:
    flat = tw.Function(lambda x: 0 * x.sum() + x[0] ** 2 / 2, 50)
    one, two = (certify(flat, at * torch.ones(50), products=4) for at in (0.0, 1e-7))
    assert not np.allclose(np.abs(one.direction), np.abs(two.direction))
    again = certify(flat, torch.zeros(50), products=4)
    np.testing.assert_array_equal(one.direction, again.direction)


def test_what_products_do_not_show_is_inconclusive() -> None:
    objective = saddle(torch.linspace(0, 1, 400, dtype=torch.float64))
    record = certify(objective, objective.initial, products=30)
    assert record.status is CertificateStatus.INCONCLUSIVE and record.smallest.lower < -1e-4
    enough = certify(objective, objective.initial, products=30, curvature=record.attained)
    assert enough.stationary
    none = certify(objective, objective.initial, products=4)
    assert none.smallest.lower is None and none.attained is None and none.guarantee is Guarantee.SAMPLED


def test_a_slope_is_not_stationary_and_says_what_it_knows_of_the_curvature() -> None:
    objective = saddle(torch.tensor([-0.5, 0.3, 0.7, 1.0]))
    record = certify(objective, 0.1 * torch.ones(4))
    assert record.status is CertificateStatus.NOT_STATIONARY and record.smallest.upper < -0.4
    assert record.decrease > 0 and certify(objective, 1e-6 * torch.ones(4)).status is CertificateStatus.ESCAPES


def test_the_origin_of_the_zoo_is_left_and_its_minima_are_certified() -> None:
    for objective in (tw.zoo.scalar_factorisation(), tw.zoo.scalar_chain(), tw.zoo.single_neuron()):
        for point in objective.facts.critical_points:
            record = certify(objective, torch.tensor(point.theta, dtype=torch.float64))
            # A degenerate saddle is second-order stationary: nothing beyond second derivatives is claimed.
            assert record.stationary is (point.index == 0), (point.name, record.summary)
            assert (record.status is CertificateStatus.ESCAPES) is (point.index > 0)


def test_on_a_sphere_the_tangent_space_is_what_counts() -> None:
    hessian = turned(torch.tensor([3.0, 2.0, 1.0, -1.0]), 2)
    objective = tw.Function(lambda x: x @ hessian.to(x) @ x / 2, 4, manifold="sphere", initial=torch.eye(4)[0])
    values, columns = torch.linalg.eigh(hessian)
    for k in range(4):
        record = certify(objective, columns[:, k])
        assert record.size == 3 and record.stationary is (k == 0)
        assert record.smallest.upper == pytest.approx(float(np.delete(values.numpy(), k)[0] - values[k]), abs=1e-10)


def test_a_network_with_dict_inputs_and_batch_normalisation_is_judged_and_the_record_kept() -> None:
    torch.manual_seed(0)
    risk = tw.EmpiricalRisk(DictConvNet(), nn.CrossEntropyLoss(), conv_data(32))
    record = certify(risk, risk.initial, products=24)
    assert record.status is CertificateStatus.NOT_STATIONARY and record.provenance.dtype == "float64"
    assert record.smallest.lower is None or record.smallest.lower <= record.smallest.upper
    metadata, arrays = records.pack(record)
    again = records.unpack(json.loads(json.dumps(metadata, allow_nan=False)), arrays)
    assert again.smallest == record.smallest and again.summary == record.summary


def test_minima_of_digits_end_with_a_bracket() -> None:
    """Two trained networks; the whole Hessian's smallest eigenvalue lies in every bracket, however few products."""
    found = load_digits()
    data = torch.tensor(found.data / 16)[:300], torch.tensor(found.target)[:300]
    for seed in range(2):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, 10)).double()
        risk = tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), data)
        trained = torch.from_numpy(Descent(Adam(0.05), steps=250, every=250)(risk, risk.initial).final[0].copy())
        with risk.linearized(trained[None]) as linear:
            matrix = linear.hvp(torch.eye(len(trained), dtype=torch.float64)[None])[0]
        smallest = float(torch.linalg.eigvalsh((matrix + matrix.T) / 2)[0])
        statuses = set()
        for products, curvature in ((12, 1e-3), (60, 1e-3), (60, 0.5)):
            record = certify(risk, trained, tolerance=0.1, curvature=curvature, products=products, rng=seed)
            low, high = record.smallest.lower, record.smallest.upper
            assert (low is None or low - 1e-10 <= smallest) and smallest <= high + 1e-10
            assert record.products <= products + 1
            statuses.add(record.status)
            assert not (record.stationary and smallest < -curvature)
        assert low is not None and CertificateStatus.SECOND_ORDER_STATIONARY in statuses


def test_what_is_not_finite_or_out_of_range_is_said() -> None:
    objective = tw.Function(lambda x: x.log().sum(), 3, initial=torch.ones(3))
    record = certify(objective, -torch.ones(3))
    assert record.status is CertificateStatus.NONFINITE and record.guarantee is None
    assert "Nothing" in record.summary
    for options in (dict(failure=1.0), dict(failure=0.0), dict(curvature=-1.0), dict(products=0), dict(block=0)):
        with pytest.raises(InputError, match=next(iter(options))):
            Certify(**options)
    with pytest.raises(InputError, match="memory=8"):
        certify(objective, torch.ones(3), memory=8)


def test_noise_that_hides_the_decrease_is_said() -> None:
    objective = tw.Function(lambda x: 1e12 + x[0] ** 2 / 2 - 2e-4 * x[1] ** 2 / 2 + x[1].abs() ** 3, 2)
    record = certify(objective, torch.zeros(2))
    assert record.status is CertificateStatus.NEGATIVE_CURVATURE and record.step is None


# --- the noise of gradients along negative curvature --------------------------------------------------


def test_the_cnc_ratio_is_that_of_every_row() -> None:
    """Against row-by-row gradients and a dense eigenvector, and 1 within its error for isotropic noise."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    data = (torch.randn(40, 3).double(), torch.randn(40, 1).double())
    risk = tw.EmpiricalRisk(model, nn.MSELoss(), data)
    theta = risk.initial.theta
    with risk.linearized(theta[None]) as products:
        hessian = products.hvp(torch.eye(len(theta), dtype=torch.float64)[None])[0]
    v = torch.linalg.eigh(hessian).eigenvectors[:, 0]
    rows = torch.stack([risk.rows(torch.tensor([i])).value_and_grad(theta[None])[1][0] for i in range(40)])
    expected = len(theta) * float((rows @ v).square().mean() / rows.square().sum(1).mean())
    whole = cnc_ratio(risk, risk.initial)
    assert whole.status.name == "EXACT" and whole.error == 0
    assert whole.value == pytest.approx(expected, rel=1e-6)
    some = [cnc_ratio(risk, risk.initial, draws=10, rng=seed) for seed in range(60)]
    values, errors = np.array([r.value for r in some]), np.array([r.error for r in some])
    assert (
        abs(values.mean() - expected) < 4 * values.std() / math.sqrt(60) + 0.05 * expected
    )  # a ratio is biased by 1/m
    # Draws without replacement spread less than the error says, by at most sqrt(1 − 10/40).
    assert 0.4 < values.std() / np.median(errors) < 2


def test_the_cnc_ratio_of_isotropic_noise_is_one_and_of_aligned_noise_large() -> None:
    generator = torch.Generator().manual_seed(1)
    size = 20
    inputs = torch.randn(4000, size, generator=generator, dtype=torch.float64)
    quadratic = torch.diag(torch.linspace(0, 1, size, dtype=torch.float64) - 0.2)

    def risk(rows: torch.Tensor) -> tw.EmpiricalRisk:
        model = nn.Linear(size, 1, bias=False).double()
        nn.init.zeros_(model.weight)
        bowl = lambda named: named["weight"][0] @ quadratic @ named["weight"][0] / 2  # noqa: E731
        targets = torch.ones(len(rows), dtype=torch.float64)
        return tw.EmpiricalRisk(model, lambda z, y: z[:, 0] * y, (rows, targets), regulariser=bowl)

    even = risk(inputs)
    record = cnc_ratio(even, even.initial, draws=1200)
    assert abs(record.value - 1) < 4 * record.error and record.error < 0.15
    leaning = inputs.clone()
    leaning[:, 0] *= 5  # the direction of the smallest eigenvalue, −0.2
    aligned = risk(leaning)
    law = 25 / ((25 + size - 1) / size)
    found = cnc_ratio(aligned, aligned.initial, draws=1200)
    assert abs(found.value - law) < 4 * found.error
    batches = cnc_ratio(aligned, aligned.initial, draws=300, batch=8)  # the noise of a mean has the same shape
    assert abs(batches.value - law) < 4 * batches.error


def test_a_function_without_rows_has_no_gradient_noise() -> None:
    objective = saddle(torch.tensor([-0.5, 0.3]))
    with pytest.raises(InputError, match="rows"):
        cnc_ratio(objective, objective.initial)
    with pytest.raises(InputError, match="draws=1"):
        cnc_ratio(objective, objective.initial, draws=1)
