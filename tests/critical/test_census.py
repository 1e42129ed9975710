"""Index against loss, and the warning without which the curve is an artefact."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.critical import Census
from thalweg.errors import InputError
from thalweg.records import CensusStatus, Guarantee


def points(size: int, hidden: int) -> tuple[torch.Tensor, list]:
    known = [
        tw.zoo.autoencoder_point(kept, size, hidden)
        for count in range(hidden + 1)
        for kept in itertools.combinations(range(size), count)
    ]
    return torch.tensor([p.theta for p in known], dtype=torch.float64), known


def test_all_critical_points_of_an_autoencoder_by_loss_and_index() -> None:
    objective = tw.zoo.linear_autoencoder(5, 2)
    thetas, known = points(5, 2)
    record = Census()(objective, thetas)
    assert record.status is CensusStatus.CRITICAL and record.guarantee is Guarantee.EXACT
    np.testing.assert_array_equal(record.data["index_low"], [p.index for p in known])
    np.testing.assert_allclose(record.data["loss"], [p.value for p in known])
    assert np.corrcoef(record.data["loss"], record.share)[0, 1] > 0.9  # the higher, the more ways down
    assert record.kinds == {"strict saddle": 15, "flat": 1}


def test_points_that_are_not_critical_are_said_to_make_an_artefact() -> None:
    objective = tw.zoo.linear_autoencoder(4, 1)
    thetas, _ = points(4, 1)
    noise = 0.3 * torch.randn(thetas.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wild = Census()(objective, thetas + noise)
    assert wild.status is CensusStatus.NONE and "artefact" in wild.message
    mixed = Census()(objective, thetas, (thetas + noise)[0])
    assert mixed.status is CensusStatus.MIXED and mixed.data["critical"].sum() == len(thetas)


def test_the_theory_is_laid_over_in_units_of_the_loss() -> None:
    objective = tw.zoo.linear_autoencoder(3, 1)
    record = Census(residuals=60, energy=2.0, floor=0.5)(objective, objective.initial.theta)
    assert record.curves == ("wigner", "relu")
    loss, share = record.data["wigner.loss"], record.data["wigner.share"]
    critical = tw.zoo.random_matrix.critical_energy(6 / 60)
    assert (share[2 * (loss - 0.5) < critical] == 0).all() and (np.diff(share) >= 0).all()
    assert Census(residuals=5)(objective, objective.initial.theta).curves == ()  # φ ≥ 1 has no transition
    with pytest.raises(InputError, match="0 points"):
        Census()(objective)
    with pytest.raises(InputError, match="residuals=0"):
        Census(residuals=0)
