"""Which way the gradient points: everywhere to the end on a bowl, and not beyond a barrier."""

from __future__ import annotations

import torch
from torch import nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.trajectories.towards import towards, towards_end


def _risk() -> EmpiricalRisk:
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return EmpiricalRisk(nn.Linear(3, 1, bias=False).double(), nn.MSELoss(), (x, x.sum(1, keepdim=True)))


def test_on_a_bowl_all_points_point_to_its_minimum_and_not_to_another_end() -> None:
    risk, end = _risk(), torch.ones(3, dtype=torch.float64)
    starts = torch.tensor([[4.0, 1, 1], [-3.0, 2, 1]], dtype=torch.float64)
    path = torch.stack([end + (starts - end) * (1 - t) for t in (0.0, 0.4, 0.8)] + [end.expand(2, -1)])
    shares = towards_end(risk, path, 0.01, 8, around=64, rng=0)
    assert all(x.shape == (3, 2) for x in shares.values())
    assert shares["along"].min() == shares["smoothed"].min() == shares["about"].min() == 1
    far = path.clone()
    far[-1, 1] = torch.tensor([9.0, 1, 1])  # the end of the other run lies up the bowl for the first
    assert towards_end(risk, far, 0.01, 8, around=2, rng=0)["other"][:, 0].max() == 0


def test_only_a_positive_product_counts() -> None:
    here, end = torch.zeros(3, 2), torch.tensor([[1.0, 0]] * 3)
    assert towards(torch.tensor([[-1.0, 5], [1.0, 5], [0.0, 5]]), here, end).tolist() == [1, 0, 0]
