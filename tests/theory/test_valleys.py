"""Paths down from any point of a wide network, and none where a layer is one unit too narrow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import thalweg as tw
from thalweg.core.risk import EmpiricalRisk
from thalweg.records import VerdictStatus
from thalweg.theory import Subject
from thalweg.theory.certificates.head import head_of
from thalweg.theory.certificates.planted import narrow, wide
from thalweg.theory.valleys import NoBasin, NoValley, down, freed, nearby
from thalweg.theory.valleys.path import TABLE, along, rank_of


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("seed", range(20))
def test_from_any_start_the_loss_falls_to_its_least_value(seed: int) -> None:
    risk = tw.zoo.wide_tanh(seed=seed)
    subject = Subject(risk, 3 * drawn(seed, risk.space.size))
    size, theta, _ = nearby(subject)
    path = down(subject, theta)
    assert path.rises <= 1e-10 and path.descends and path.losses[-1] < 1e-6 < path.losses[0]
    direct = risk.losses(torch.stack([theta, path.ends[-1]])).numpy()
    assert size == 0 and np.allclose(path.losses[[0, -1]], direct, rtol=1e-12) and len(path.losses) == TABLE


def test_from_a_planted_bad_minimum_a_wide_network_escapes_and_a_narrow_one_cannot() -> None:
    """The one unit of the narrow network, copied: the same outputs, so the same F, in a network of six units."""
    small, theta = narrow()
    w, v = theta
    model = nn.Sequential(nn.Linear(1, 6, bias=False), small.network.module[1], nn.Linear(6, 1, bias=False)).double()
    large = EmpiricalRisk(model, nn.MSELoss(reduction="sum"), (small.table.inputs, small.table.targets))
    start = torch.cat([w.repeat(6), (v / 6).repeat(6)])
    assert float(large.losses(start[None])) == pytest.approx(float(small.losses(theta[None])), rel=1e-14)
    verdict = NoBasin().examine(Subject(large, start))
    assert verdict.status is VerdictStatus.HOLDS and 0 < verdict.values["perturbation"] <= 1e-2
    assert verdict.values["end"] < 1e-6 and verdict.values["largest_rise"] <= 1e-10
    assert verdict.values["rise"] < 1e-3
    refused = NoBasin().examine(Subject(small, theta))
    assert refused.status is VerdictStatus.HYPOTHESIS_UNMET and "path" not in refused.conclusion


def test_a_wall_stands_between_the_minima_of_one_leaky_unit() -> None:
    case = NoValley().control()
    w = torch.linspace(-3, 3, 61, dtype=torch.float64)
    v = torch.linspace(-3, 3, 61, dtype=torch.float64)
    grid = case.objective.losses(torch.cartesian_prod(w, v)).reshape(61, 61)
    here = float(case.objective.losses(torch.as_tensor(case.point)[None]))
    wall = float(grid[30].min())  # w = 0: F is ‖y‖² whatever v
    assert wall == pytest.approx(1.25) and here < wall - 0.2 and float(grid[31:].min()) < here - 0.5
    assert float(grid[:30].min()) >= here - 1e-12  # nothing on this side is lower


def test_units_are_freed_without_changing_the_loss() -> None:
    case = NoValley().example()
    subject = Subject(case.objective, case.point)
    corners = freed(subject)
    flat = along(subject, corners)
    assert len(corners) == 3 and np.abs(flat - flat[0]).max() <= 1e-12 * flat[0]
    ranks = [rank_of(head_of(subject, theta).features) for theta in (corners[0], corners[-1])]
    assert ranks[0] < ranks[1] == 6
    verdict = NoValley().examine(subject)
    assert verdict.values["largest_rise"] <= 1e-10 and verdict.values["end"] < 1e-6


def test_cross_entropy_falls_towards_its_infimum() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 12), nn.LeakyReLU(), nn.Linear(12, 3)).double()
    risk = EmpiricalRisk(model, nn.CrossEntropyLoss(), (drawn(0, 9, 4), torch.arange(9) % 3))
    for claim in (NoBasin(), NoValley()):
        verdict = claim.examine(Subject(risk, risk.initial))
        assert verdict.status is VerdictStatus.HOLDS
        assert verdict.values["end"] < 1e-5 and verdict.values["largest_rise"] <= 1e-10


@pytest.mark.parametrize("loss", [nn.L1Loss(), nn.HuberLoss(), nn.BCEWithLogitsLoss()], ids=lambda x: type(x).__name__)
def test_losses_with_kinks_and_without_a_minimum(loss: nn.Module) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 12), nn.LeakyReLU(), nn.Linear(12, 2)).double()
    risk = EmpiricalRisk(model, loss, (drawn(0, 8, 4), drawn(1, 8, 2).sign().clamp(min=0)))
    for claim in (NoBasin(), NoValley()):
        verdict = claim.examine(Subject(risk, risk.initial))
        assert verdict.status is VerdictStatus.HOLDS and verdict.values["end"] < 1e-5


def test_layers_below_that_give_samples_the_same_features_are_not_decided() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(), nn.Linear(3, 8), nn.LeakyReLU(), nn.Linear(8, 1)).double()
    risk = EmpiricalRisk(model, nn.MSELoss(), (drawn(0, 5, 2), drawn(1, 5, 1)))
    theta = drawn(2, risk.space.size)
    verdict = NoValley().examine(Subject(risk, theta))
    assert verdict.status is VerdictStatus.HOLDS
    theta[risk.space["0.weight"].span] = 0.0  # all samples look alike to the second layer
    verdict = NoValley().examine(Subject(risk, theta))
    assert verdict.status is VerdictStatus.INCONCLUSIVE and verdict.values["missing_rank"] == 4
    near = NoBasin().examine(Subject(risk, theta))  # piecewise linear: the rank is missing in a neighbourhood
    assert [check.name for check in near.unmet] == ["relative distance of features of rank n"]
    smooth = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    other = EmpiricalRisk(smooth, nn.MSELoss(), (risk.table.inputs, risk.table.targets))
    verdict = NoBasin().examine(Subject(other, theta))
    assert verdict.status is VerdictStatus.HOLDS and verdict.values["perturbation"] > 0


@pytest.mark.parametrize(
    ("activation", "missing"),
    [(nn.ReLU, "activations are strictly monotone"), (nn.Tanh, "activations are onto"),
     (nn.ELU, "activations are onto"), (nn.SiLU, "activations are strictly monotone")],
)  # fmt: skip
def test_activations_that_the_theorem_leaves_out(activation: type[nn.Module], missing: str) -> None:
    verdict = NoValley().examine(Subject(*wide(activation=activation)))
    assert missing in [check.name for check in verdict.unmet]


def test_a_linear_network_is_a_sum_of_its_shifts() -> None:
    risk = tw.zoo.deep_linear(widths=(3, 60, 3))
    verdict = NoValley().examine(Subject(risk, risk.initial))
    assert [check.name for check in verdict.unmet] == ["distance from sums of 6 random shifts"]
