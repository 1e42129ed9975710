"""A parameter of no axes, such as a learnable temperature, is a parameter like any other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.errors import InputError


class Tempered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)
        self.temperature = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x) / self.temperature


def test_planes_gradients_and_curvature_of_a_network_with_a_scalar_parameter() -> None:
    torch.manual_seed(0)
    data = torch.randn(9, 3).double(), torch.randint(0, 2, (9,))
    risk = tw.EmpiricalRisk(Tempered().double(), nn.CrossEntropyLoss(), data)
    plane = tw.slices.Plane(steps=3, biases="scale")(risk, risk.initial)
    model = Tempered().double()
    model.load_state_dict({n: x.clone() for n, x in risk.space.unravel(risk.initial.theta).items()})
    assert abs(plane.center_loss - float(nn.CrossEntropyLoss()(model(data[0]), data[1]).detach())) < 1e-12
    assert tw.critical.classify(risk, risk.initial).size == 9
    assert tw.curvature.Lanczos(k=2)(risk, risk.initial).eigenvalues.size == 2


def test_what_is_no_vector_and_no_budget_is_refused_in_one_line() -> None:
    risk = tw.zoo.polynomial()
    with pytest.raises(InputError, match="theta is a Linear"):
        risk.point(nn.Linear(2, 2))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="budget=5"):
        tw.slices.Plane(steps=3)(risk, risk.initial, budget=5)  # type: ignore[arg-type]
