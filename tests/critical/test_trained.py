"""A trained network of 1,229 parameters: every zero mode counted and explained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.critical import classify, inertia
from thalweg.curvature import Operator
from thalweg.descent import Adam, Descent


@pytest.mark.slow
def test_zero_modes_of_a_trained_network_of_1229_parameters() -> None:
    """Fan-in of the last layer + 1 = 25, by the shift of all logits; the sign at 0 counts their rounding instead."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(45, 24), nn.Tanh(), nn.Linear(24, 5)).double()
    x = torch.randn(160, 45, dtype=torch.float64)
    objective = tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), (x, torch.randint(0, 5, (160,))))
    assert objective.space.size == 1229
    run = Descent(rule=Adam(0.01), steps=60, every=60)(objective, objective.initial)
    theta = torch.from_numpy(run.final[0].copy())
    record = classify(objective, theta)
    assert record.nullity.lower == record.nullity.upper == 25 and record.explained == {"shift of all outputs": 25}
    with Operator(objective, theta) as matrix:
        dense = matrix.dense()
    values = np.linalg.eigvalsh(dense.numpy())
    assert record.index.lower == (values < -record.threshold).sum() < (values < 0).sum()
    assert inertia(dense).certain
