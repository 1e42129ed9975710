"""Curvature operators against dense matrices: every kind, blocks, and the view for SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh

import thalweg as tw
from tests.core.test_objectives import OBJECTIVES
from thalweg.curvature import Operator
from thalweg.errors import InputError


def double(name: str) -> tw.Objective:
    return OBJECTIVES[name]().to(torch.float64)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_empirical_fisher_matrix_is_the_sum_of_outer_products_of_row_gradients(weighted: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3)).double()
    x = torch.randn(23, 5, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (23,), generator=generator)
    weight = torch.tensor([1.0, 5.0, 0.2], dtype=torch.float64) if weighted else None
    objective = tw.EmpiricalRisk(model, torch.nn.CrossEntropyLoss(weight=weight), (x, y))
    theta = objective.initial.theta
    rows = []
    for i in range(23):
        one = objective.with_data((x[i : i + 1], y[i : i + 1]))
        share = one.z / objective.z if weighted else 1 / 23  # a row's own mean divides by its own weight
        rows.append(one.value_and_grad(theta[None])[1][0] * share * objective.z)
    gradients = torch.stack(rows)
    with Operator(objective, theta, "fisher") as fisher:
        torch.testing.assert_close(fisher.dense(), gradients.T @ gradients / objective.z, rtol=1e-10, atol=1e-13)
        assert torch.linalg.eigvalsh(fisher.dense()).min() > -1e-12


def test_blocks_between_layers_are_those_of_the_dense_matrix() -> None:
    objective = double("mlp")
    first, second = objective.space.blocks("layer")[:2]
    with Operator(objective, objective.initial) as matrix:
        dense = matrix.dense()
        torch.testing.assert_close(matrix.block(first.name, second.name), dense[first.index][:, second.index])
        torch.testing.assert_close(matrix.block(second.name), dense[second.index][:, second.index])
        with pytest.raises(InputError, match="layer 'head' is unknown"):
            matrix.block("head")


def test_scipy_sees_the_same_matrix() -> None:
    objective = double("mlp")
    with Operator(objective, objective.initial) as matrix:
        found = eigsh(matrix.to_scipy(), k=3, which="LA", return_eigenvectors=False)
        np.testing.assert_allclose(np.sort(found), torch.linalg.eigvalsh(matrix.dense())[-3:], rtol=1e-9)


def test_what_is_not_defined_is_refused() -> None:
    function = tw.zoo.scalar_factorisation()
    with pytest.raises(InputError, match="operator='inverse'"):
        Operator(function, function.initial, "inverse")  # type: ignore[arg-type]
    for kind, words in (("fisher", "loss for every row"), ("residual", "outputs")):
        with Operator(function, function.initial, kind) as matrix, pytest.raises(InputError, match=words):  # type: ignore[arg-type]
            matrix.dense()
