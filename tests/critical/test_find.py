"""Searches from many starts, what they are judged by, and where they start."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.critical import METHODS, Census, Classify, Search, uniform_in_loss
from thalweg.descent import Descent, GradientDescent
from thalweg.errors import InputError
from thalweg.records import CensusStatus
from thalweg.zoo.autoencoder import kept_by


def walk(objective: tw.Function, steps: int = 400) -> tw.records.Run:
    return Descent(GradientDescent(0.05), steps=steps, every=5)(objective, objective.initial)


def test_starts_are_uniform_in_loss_and_not_in_steps() -> None:
    """Against the uniform law by Kolmogorov and Smirnov's distance; pictures drawn evenly fail by far."""
    steps = np.linspace(0, 1, 4001)
    loss = np.exp(-8 * steps)  # most pictures lie low, as in training
    run = tw.records.Run(
        **{f: getattr(walk(tw.zoo.scalar_factorisation((0.3, 0.2)), 5), f) for f in ("status", "cost", "provenance")},
        data={"steps": np.arange(4001), "thetas": steps[:, None, None], "loss": loss[:, None],
              "gradient_norm": loss[:, None], "ended": np.array([4000])},
        rule="GradientDescent", endings=(),
    )  # fmt: skip
    drawn = np.exp(-8 * uniform_in_loss(run, 400, 3)[:, 0].numpy())
    level = np.sort((drawn - loss.min()) / (loss.max() - loss.min()))
    assert np.abs(level - np.arange(1, 401) / 400).max() < 1.63 / 400**0.5  # the 1 % point
    assert np.abs(np.sort(loss[::10]) - np.arange(1, 402) / 401).max() > 0.5
    noisy = uniform_in_loss(run, 400, 3, noise=0.1)[:, 0].numpy()
    moved = noisy - np.log(drawn) / -8
    assert np.abs(moved[::2]).max() < 1e-12 and 0.08 < moved[1::2].std() < 0.12
    with pytest.raises(InputError, match="count=0"):
        uniform_in_loss(run, 0)


@pytest.mark.parametrize("method", ["newton_mr", "damped_newton", "saddle_free"])
def test_every_method_finds_known_critical_points(method: str) -> None:
    objective = tw.zoo.linear_autoencoder(4, 1)
    starts = uniform_in_loss(walk(objective), 6, 1, noise=0.3)
    record = Search(method, steps=40)(objective, starts)
    assert record.search == method and method in record.summary
    np.testing.assert_array_equal(record.data["starts"], starts.numpy())
    np.testing.assert_allclose(record.data["start_loss"], objective.losses(starts))
    critical = record.data["critical"]
    assert critical.sum() >= 3
    for theta, loss, index in zip(
        record.data["thetas"][critical], record.data["loss"][critical], record.data["index_low"][critical], strict=True
    ):
        kept, _ = kept_by(torch.from_numpy(theta.copy()), 4, 1)
        known = tw.zoo.autoencoder_point(kept, 4, 1)
        assert loss == pytest.approx(known.value, abs=1e-6) and index == known.index
        if method == "saddle_free":
            assert index == 0  # it lowers F, and leaves saddles behind
    assert record.cost.products >= 6


def test_one_start_gives_a_classification_of_what_was_found() -> None:
    objective = tw.zoo.scalar_factorisation()
    record = Search().one(objective, torch.tensor([0.12, -0.1], dtype=torch.float64))
    assert record.kind == "strict saddle" and record.index.upper == 1
    assert np.abs(record.data["theta"]).max() < 1e-6 and record.data["start"].tolist() == [0.12, -0.1]
    stuck = Search(steps=1).one(objective, torch.tensor([2.0, -1.5], dtype=torch.float64))
    assert not stuck.critical


def test_searches_on_the_sphere_end_at_eigenvectors() -> None:
    """Of every rank, found by Newton-MR; with the Euclidean gradient no search would end."""
    generator = torch.Generator().manual_seed(4)
    a = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    a = a + a.T
    objective = tw.Function(lambda x: x @ a.to(x) @ x, 5, manifold="sphere")
    starts = objective.retract(torch.randn(40, 5, generator=generator, dtype=torch.float64))
    values, columns = torch.linalg.eigh(a)
    starts[:5] = objective.retract(columns.T + 0.1 * starts[:5])  # the widest gaps draw most of the others
    record = Search(steps=60)(objective, starts)
    values = values.numpy()
    critical = record.data["critical"]
    assert record.size == 4 and critical.sum() >= 30
    np.testing.assert_allclose(np.linalg.norm(record.data["thetas"], axis=1), 1, atol=1e-14)
    ranks = np.abs(record.data["loss"][critical][:, None] - values).argmin(1)
    np.testing.assert_allclose(record.data["loss"][critical], values[ranks], atol=1e-9)
    np.testing.assert_array_equal(record.data["index_low"][critical], ranks)
    assert set(ranks) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("index", [1, 2])
def test_modes_are_followed_to_the_index_asked_for(index: int) -> None:
    """Σ (x² − 1)²/4: k zeros make a critical point of index k and value k/4; Newton-MR finds every index instead."""
    objective = tw.Function(lambda x: (x**2 - 1).square().sum() / 4, 3)
    starts = 0.8 * torch.randn(8, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    record = Search("minimum_mode", steps=40, index=index)(objective, starts)
    assert set(record.data["index_low"]) == {index} and record.status is CensusStatus.CRITICAL
    np.testing.assert_allclose(record.data["loss"], index / 4, atol=1e-9)
    assert len(set(Search(steps=40)(objective, starts).data["index_low"])) > 1


def test_networks_that_normalise_are_searched_from_on_the_surface_of_their_own_statistics() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    x = torch.randn(30, 3)
    objective = tw.EmpiricalRisk(model, nn.MSELoss(), (x, torch.randn(30, 2)))
    before = Census()(objective, objective.initial).data["gradient_norm"][0]
    record = Search("newton_mr", steps=15)(objective, objective.initial, objective.initial)
    assert record.provenance.dtype == "float32" and record.data["thetas"].dtype == np.float64
    assert record.data["gradient_norm"].max() < 0.1 * before
    assert record.data["gradient_norm"][0] == record.data["gradient_norm"][1]


def test_a_budget_ends_the_search_and_what_was_reached_is_judged() -> None:
    objective = tw.zoo.linear_autoencoder(4, 1)
    record = Search(steps=200)(objective, objective.initial, budget=tw.Budget(gradients=30))
    assert record.status is CensusStatus.NONE and len(record.data["loss"]) == 1
    judged = Census(Classify(dense_below=1, products=16))
    thetas = torch.randn(20, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    part = judged(tw.zoo.linear_autoencoder(4, 1), thetas, budget=tw.Budget(gradients=100))
    assert 0 < len(part.data["loss"]) < 20 and "budget" in part.provenance.notes[0]


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="newton_mr, damped_newton"):
        Search("simplex")
    with pytest.raises(InputError, match="steps=0"):
        Search(steps=0)
    assert "minimum_mode" in METHODS and "saddle_free" in METHODS
