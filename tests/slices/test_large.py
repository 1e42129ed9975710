"""A line of a model that fills the memory: how many vectors of all parameters are alive beside the model's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

import thalweg as tw
from thalweg.core import subspace
from thalweg.core.backends import loop
from thalweg.slices import Line

FLOOR = 2
"""The direction and a point on it; theta is the model's own."""

TENSOR = 0.6
"""A direction is drawn in float64 and scaled tensor by tensor; the largest tensor is an eighth of this model."""


def risk(width: int = 500) -> tw.EmpiricalRisk:
    torch.manual_seed(0)
    layers = [nn.Linear(width, width, bias=False) for _ in range(8)]
    model = nn.Sequential(*layers, nn.Linear(width, 3))
    data = torch.randn(4, width), torch.arange(4) % 3
    return tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), data, backend="loop")


def peak(work: Any, size: int) -> float:
    """Most that is allocated while the work runs, in float32 vectors of this size."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    now = most = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most / (4 * size)


def test_a_line_holds_a_direction_and_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gap above the floor is what one tensor needs while it is drawn; all points at once would be 9 vectors."""
    monkeypatch.setattr(loop, "FORMED_BYTES", 2**20)
    monkeypatch.setattr(subspace, "JOINED_BYTES", 2**20)
    objective = risk()
    size = objective.space.size
    assert FLOOR <= peak(lambda: Line(steps=9)(objective, objective.initial), size) <= FLOOR + TENSOR
    monkeypatch.setattr(loop, "FORMED_BYTES", 2**30)
    assert peak(lambda: Line(steps=9)(objective, objective.initial), size) > 9


def test_a_model_is_held_once() -> None:
    """Its own parameters are parts of the point that it came with, and the copy for batch statistics shares them."""
    objective = risk(60)
    theta, module = objective.initial.theta, objective.network.module
    for parameter in module.parameters():
        assert parameter.untyped_storage().data_ptr() == theta.untyped_storage().data_ptr()
    shared = {id(p) for p in module.parameters()}
    assert all(id(p) in shared for p in objective.network._batch.parameters())
    double = objective.to(torch.float64)
    assert double.initial.theta.dtype == torch.float64 and theta.dtype == torch.float32
    torch.testing.assert_close(double.losses(double.initial.theta[None]), objective.losses(theta[None]))
