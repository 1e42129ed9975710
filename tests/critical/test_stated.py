"""What the sources state, at the sizes that they state it for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from thalweg.core.rng import Stream
from thalweg.critical import Search, inertia
from thalweg.curvature import Operator, Outliers
from thalweg.records import OutlierStatus
from thalweg.zoo import random_matrix
from thalweg.zoo.autoencoder import kept_by
from thalweg.zoo.datasets import load
from thalweg.zoo.networks import mlp

SIZE, HIDDEN = 16, 4
CLASSES = ((), (15,), (2, 9), (12, 13, 14, 15), (1, 5, 8, 13), (4, 6, 7, 10))


def test_points_of_the_autoencoder_of_frye_are_found_with_the_loss_and_index_of_their_class() -> None:
    """From 0.01 away in every entry, to a squared gradient norm below 1e-10; BA tells the class."""
    objective = tw.zoo.linear_autoencoder(SIZE, HIDDEN)
    known = [tw.zoo.autoencoder_point(kept, SIZE, HIDDEN) for kept in CLASSES]
    exact = torch.tensor([p.theta for p in known], dtype=torch.float64)
    noise = torch.randn(exact.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    record = Search("damped_newton", steps=30)(objective, exact + 0.01 * noise)
    assert (np.abs(record.data["start_loss"] - record.data["loss"]) > 1e-4).all()  # the starts are elsewhere
    assert (record.data["gradient_norm"] ** 2 < 1e-10).all()
    for i, (point, kept) in enumerate(zip(known, CLASSES, strict=True)):
        found, away = kept_by(torch.from_numpy(record.data["thetas"][i].copy()), SIZE, HIDDEN)
        assert found == kept and away < 1e-3
        assert record.data["loss"][i] == pytest.approx(point.value, abs=1e-8)
        assert record.data["index_low"][i] == record.data["index_high"][i] == point.index, kept


@pytest.mark.parametrize("phi", [pytest.param(0.1, marks=pytest.mark.slow), 0.25, 0.5])
@pytest.mark.parametrize("kind", ["wigner", "relu"])
def test_drawn_hessians_follow_the_theory_within_five_thousandths(kind: random_matrix.Kind, phi: float) -> None:
    """α(ε) over a grid of energies on both sides of the critical one."""
    for times in (0.5, 1.5, 2.0, 3.0, 5.0):
        energy = times * random_matrix.critical_energy(phi, kind)
        drawn = random_matrix.sample(energy, phi, 600, Stream(1)(kind, int(10 * times)), kind)
        share = float((drawn < 0).double().mean())
        assert abs(share - random_matrix.negative_share(energy, phi, kind)) < 0.005, times
        if times < 1:
            assert share == 0


@settings(max_examples=15, deadline=None)
@given(
    widths=st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(2, 3)),
    activation=st.sampled_from(["tanh", "relu", "linear"]),
    squared=st.booleans(),
    seed=st.integers(0, 50),
)
def test_the_index_is_at_most_that_of_the_residual(
    widths: tuple[int, int, int], activation: str, squared: bool, seed: int
) -> None:
    """H = G + R with G ⪰ 0 (Weyl)."""
    generator = torch.Generator().manual_seed(seed)
    model = mlp(widths, activation=activation, seed=seed, dtype=torch.float64)
    x = torch.randn(12, widths[0], generator=generator, dtype=torch.float64)
    if squared:
        loss: nn.Module = nn.MSELoss()
        y = torch.randn(12, widths[-1], generator=generator, dtype=torch.float64)
    else:
        loss, y = nn.CrossEntropyLoss(), torch.randint(0, widths[-1], (12,), generator=generator)
    objective = tw.EmpiricalRisk(model, loss, (x, y))
    matrices = []
    for name in ("hessian", "ggn", "residual"):
        with Operator(objective, objective.initial, name) as matrix:
            matrices.append(matrix.dense())
    h, g, r = matrices
    threshold = 1e-10 * max(float(h.abs().max()), float(r.abs().max()), 1.0)
    negative = [int((torch.linalg.eigvalsh(m) < -threshold).sum()) for m in (h, g, r)]
    assert negative[0] <= negative[2] and negative[1] == 0
    torch.testing.assert_close(h, g + r, rtol=0, atol=1e-10)
    assert inertia(h, threshold).negative == negative[0]


def test_the_residual_of_a_saddle_has_its_descent() -> None:
    """A control: G itself has no negative eigenvalue where H has one, so that R must have it."""
    objective = tw.zoo.deep_linear(0, (2, 1, 2))
    theta = torch.zeros(objective.space.size, dtype=torch.float64)
    with Operator(objective, theta, "ggn") as g, Operator(objective, theta, "residual") as r:
        assert float(g.dense().abs().max()) == 0
        assert np.linalg.eigvalsh(r.dense().numpy())[0] < -0.1


def test_ten_classes_leave_nine_outliers_at_initialisation() -> None:
    """64-20-10 on digits; with the Hessian in place of the Gauss–Newton matrix no gap stands out there."""
    images = load("digits", dtype=torch.float64)
    model = mlp((64, 20, 10), activation="tanh", seed=0, dtype=torch.float64)
    objective = tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), (images.inputs.flatten(1)[:200], images.labels[:200]))
    record = Outliers(k=16, dense_below=100)(objective, objective.initial)
    assert record.count == 9 and record.status is OutlierStatus.GAP and record.gap > 2 * record.next_gap
    hessian = Outliers(k=16, dense_below=100, operator="hessian")(objective, objective.initial)
    assert hessian.status is OutlierStatus.NO_GAP or hessian.count != 9
