"""Null directions counted by the symmetry that makes them, against counts that are known."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.critical import Classify, classify
from thalweg.descent import Descent


def data(rows: int, width: int, classes: int, rank: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    if rank is not None:
        x = x[:, :rank] @ torch.randn(rank, width, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, classes, (rows,), generator=generator)


def mlp(*widths: int, act: type[nn.Module] = nn.Tanh, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(itertools.pairwise(widths)):
        layers += [nn.Linear(a, b, bias=bias)] + ([act()] if i < len(widths) - 2 else [])
    return nn.Sequential(*layers).double()


def test_a_softmax_does_not_see_a_shift_of_all_outputs() -> None:
    """Fan-in of the last layer + 1 null directions, wherever the network is."""
    objective = tw.EmpiricalRisk(mlp(6, 10, 3), nn.CrossEntropyLoss(), data(80, 6, 3))
    record = classify(objective, objective.initial)
    assert record.explained == {"shift of all outputs": 11}
    assert record.nullity.lower == record.nullity.upper == 11
    x, y = data(80, 6, 3)
    squared = tw.EmpiricalRisk(mlp(6, 10, 3), nn.MSELoss(), (x, nn.functional.one_hot(y, 3).double()))
    assert classify(squared, squared.initial).explained == {}  # a control: squared loss sees the shift


def test_inputs_of_lower_rank_leave_weights_unused() -> None:
    """Width of the first layer × (inputs − rank)."""
    objective = tw.EmpiricalRisk(mlp(6, 5, 3), nn.CrossEntropyLoss(), data(60, 6, 3, rank=4))
    record = classify(objective, objective.initial)
    assert record.explained == {"unused inputs": 5 * 2, "shift of all outputs": 6}
    assert record.nullity.lower == 16 and "16 by symmetry" in record.summary


def test_dead_units_and_what_follows_them_are_null() -> None:
    model = mlp(4, 5, 2, act=nn.ReLU)
    with torch.no_grad():
        model[0].bias[2] = -100.0
    objective = tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), data(50, 4, 2))
    record = classify(objective, objective.initial)
    # 5 weights into it, 2 out of it; of the 6 shifts of the outputs one moves only the dead unit's weights.
    assert record.explained == {"unused inputs": 2, "dead units": 5, "shift of all outputs": 5}
    assert record.nullity.lower == 12


@pytest.mark.parametrize("inplace", [False, True])
def test_rescaling_of_units_is_null_at_critical_points_only(inplace: bool) -> None:
    model = mlp(2, 3, 1, act=nn.ReLU)
    model[1].inplace = inplace
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    teacher = mlp(2, 3, 1, act=nn.ReLU)
    with torch.no_grad():
        y = teacher(x)
    objective = tw.EmpiricalRisk(model, nn.MSELoss(), (x, y))
    at_minimum = classify(objective, objective.initial)  # the teacher itself
    assert at_minimum.gradient_norm < 1e-12 and at_minimum.explained.get("rescaling of units") == 3
    elsewhere = classify(objective, objective.initial.theta + 0.1)
    assert "rescaling of units" not in elsewhere.explained


def test_a_linear_network_at_a_minimum_has_a_change_of_basis_between_layers() -> None:
    objective = tw.zoo.deep_linear(widths=(3, 3, 3), rows=40)
    run = Descent(steps=4000, stop_gradient=1e-9, rule=tw.descent.Momentum(0.05))(objective, objective.initial)
    record = classify(objective, torch.from_numpy(run.final[0].copy()))
    assert record.critical and record.explained == {"change of basis": 9}
    assert record.nullity.lower == 9 and record.kind == "flat"


def test_every_zero_mode_of_a_trained_network_is_explained() -> None:
    objective = tw.EmpiricalRisk(mlp(5, 6, 3), nn.CrossEntropyLoss(), data(40, 5, 3))
    run = Descent(steps=150, rule=tw.descent.Adam(0.05))(objective, objective.initial)
    record = Classify()(objective, torch.from_numpy(run.final[0].copy()))
    assert record.nullity.lower == sum(record.explained.values()) == 7


def test_a_function_has_no_layers_to_explain_anything_by() -> None:
    objective = tw.Function(lambda x: x[0] ** 2, 3, initial=torch.zeros(3))
    record = classify(objective, objective.initial)
    assert record.nullity.lower == 2 and record.explained == {}
