"""Outliers by their gap and by class means, on digits and where there are none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.core.pullback import pulled
from thalweg.curvature import Operator, Outliers
from thalweg.errors import InputError
from thalweg.records import Guarantee, OutlierStatus
from thalweg.zoo.datasets import load
from thalweg.zoo.networks import mlp


def digits(classes: int, hidden: int = 20, seed: int = 0) -> tw.EmpiricalRisk:
    table = load("digits", dtype=torch.float64)
    x, y = table.inputs.flatten(1), table.labels
    keep = y < classes
    model = mlp((64, hidden, classes), activation="tanh", seed=seed, dtype=torch.float64)
    return tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), (x[keep][:300], y[keep][:300]))


@pytest.mark.parametrize("classes", [3, 5])
def test_the_gauss_newton_matrix_at_initialisation_has_its_gap_after_one_less_than_the_classes(classes: int) -> None:
    objective = digits(classes, hidden=10)
    record = Outliers()(objective, objective.initial)
    assert record.count == classes - 1 and record.status is OutlierStatus.GAP
    assert record.guarantee is Guarantee.EXACT and record.classes == classes
    assert 0 <= record.explained <= 1 + 1e-9


def test_class_means_are_a_part_of_the_whole_matrix() -> None:
    objective = digits(4, hidden=6)
    record = Outliers(k=8)(objective, objective.initial)
    means, whole = record.data["class_means"], record.data["eigenvalues"]
    assert (means <= whole[: len(means)] + 1e-12).all() and means.min() > -1e-12 and means[0] > 0.05 * whole[0]


def test_a_matrix_without_a_gap_is_said_to_have_none() -> None:
    values = torch.linspace(1, 2, 12, dtype=torch.float64)
    objective = tw.Function(lambda x: (values.to(x) * x * x).sum() / 2, 12, initial=torch.ones(12))
    record = Outliers(operator="hessian", k=10)(objective, objective.initial)
    assert record.status is OutlierStatus.NO_GAP and "No gap" in record.summary and "class_means" not in record.data
    np.testing.assert_allclose(record.data["overlap"].sum(), 1, atol=0.35)  # ten of twelve directions of the gradient


def test_lanczos_and_the_dense_matrix_agree() -> None:
    objective = digits(3, hidden=6)
    dense, sparse = (
        Outliers(k=6)(objective, objective.initial),
        Outliers(k=6, dense_below=10)(objective, objective.initial),
    )
    np.testing.assert_allclose(dense.data["eigenvalues"][:4], sparse.data["eigenvalues"][:4], rtol=1e-5)
    assert sparse.guarantee is Guarantee.ADAPTIVE and sparse.count == dense.count


def test_pulled_back_cotangents_are_products_with_the_jacobian() -> None:
    objective = digits(3, hidden=4).rows(torch.arange(40))
    assert isinstance(objective, tw.EmpiricalRisk)
    u = torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    jacobian = objective.jacobian(objective.initial)
    expected = torch.einsum("knc,ncp->kp", u, jacobian)
    torch.testing.assert_close(pulled(objective, objective.initial, u), expected, rtol=1e-10, atol=1e-10)
    with pytest.raises(InputError, match="cotangents have shape"):
        pulled(objective, objective.initial, u[..., :2])
    with Operator(objective, objective.initial, "ggn") as matrix:
        assert matrix.definite
    with pytest.raises(InputError, match="k=2"):
        Outliers(k=2)
