"""Online L-BFGS, the noise of products against dense references, and a narrow slice of the reproduction."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thalweg.core.function import Function
from thalweg.core.metered import Metered
from thalweg.core.rng import stream
from thalweg.descent import Descent, GradientDescent
from thalweg.errors import InputError
from thalweg.reproductions import build
from thalweg.reproductions.classifiers import Classifier
from thalweg.reproductions.product_noise import constants
from thalweg.reproductions.stochastic_lbfgs import OnlineLBFGS, two_loops


def test_two_loops_are_the_matrix_of_bfgs() -> None:
    """Against B ← (I − ρsyᵀ)B(I − ρysᵀ) + ρssᵀ in full, from the scaled identity, with a pair that is not there."""
    draw = torch.Generator().manual_seed(0)
    square = torch.randn(5, 5, generator=draw, dtype=torch.float64)
    hessian = square @ square.T + torch.eye(5, dtype=torch.float64)
    s = torch.randn(3, 1, 5, generator=draw, dtype=torch.float64)
    y = s @ hessian
    gradient = torch.randn(1, 5, generator=draw, dtype=torch.float64)
    inverse = torch.eye(5, dtype=torch.float64) * float((s[0] * y[0]).sum() / y[0].square().sum())
    for si, yi in [(s[i, 0], y[i, 0]) for i in (2, 1, 0)]:
        left = torch.eye(5, dtype=torch.float64) - torch.outer(si, yi) / (si @ yi)
        inverse = left @ inverse @ left.T + torch.outer(si, si) / (si @ yi)
    pairs = [(s[i], y[i]) for i in range(3)]
    absent = (torch.zeros(1, 5, dtype=torch.float64),) * 2
    assert torch.allclose(two_loops(gradient, [*pairs, absent])[0], inverse @ gradient[0], rtol=1e-10)
    assert torch.equal(two_loops(gradient, [absent, absent]), gradient)


def test_online_lbfgs_is_fast_on_a_quadratic_where_descent_is_slow() -> None:
    scales = torch.logspace(0, 3, 8, dtype=torch.float64)
    bowl = Function(lambda x: 0.5 * (scales * x**2).sum(), 8)
    start = torch.ones(2, 8, dtype=torch.float64)
    run = Descent(OnlineLBFGS(1.0, memory=8, damping=0.0, longest=10.0), steps=60)(bowl, start)
    slow = Descent(GradientDescent(1e-3), steps=120)(bowl, start)
    assert run.final_loss.max() < 1e-8 < 1e-2 < slow.final_loss.min()
    assert run.data["gradients"].tolist() == [120.0, 120.0]


def test_noise_constants_are_those_of_dense_derivatives() -> None:
    classifier = Classifier((3,), rows=30)
    risk = classifier.risk()
    theta = classifier.starts(risk, 1, stream(0))[0]
    found = constants(Metered(risk), theta, stream(5))
    v = torch.randn(len(theta), generator=stream(5).torch(), dtype=torch.float64)
    gradients, products = [], []
    for i in range(risk.row_count):
        row = risk.rows(torch.tensor([i]))
        gradients.append(row.value_and_grad(theta[None])[1][0])
        with row.linearized(theta[None]) as linear:
            products.append(linear.hvp(v[None, None])[0, 0])
    for name, each in (("gradient", torch.stack(gradients)), ("product_random", torch.stack(products))):
        mean = each.mean(0)
        exact = float((each - mean).square().sum(1).mean() / mean.square().sum())
        assert float(found[name]) == pytest.approx(exact, rel=1e-5)
    # Drawn with replacement, the error of a batch is what c says.
    draw, each = torch.Generator().manual_seed(1), torch.stack(products)
    batches = each[torch.randint(len(each), (4000, 10), generator=draw)].mean(1)
    error = float((batches - each.mean(0)).square().sum(1).mean() / each.mean(0).square().sum())
    assert error == pytest.approx(float(found["product_random"]) / 10, rel=0.1)


def test_a_slice_ranks_by_equal_work() -> None:
    record = build("second_order", hidden=(4,), epochs=1, seeds=3, batches=(100,), rates=(0.1, 0.5), rank=3)()
    rows = {row.claim: row for row in record.rows}
    least = min(record.data[f"loss.sgd_{r:g}.100"].mean() for r in (0.1, 0.5))
    assert rows["sgd_100"].ours == pytest.approx(least)
    row = rows["lbfgs_against_sgd_100"]
    assert row.interval is not None and row.agrees == (row.interval[0] > 0)
    half, whole = (rows[f"gradient_{level:g}_start"].ours for level in (0.5, 1.0))
    assert half == pytest.approx(4 * whole) and np.isfinite(half)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="rates"):
        build("second_order", rates=())
    with pytest.raises(InputError, match="rank=1"):
        build("second_order", rank=1)
