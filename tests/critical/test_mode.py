"""Following the lowest modes: saddles of a given index from anywhere, and both minima from a saddle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import thalweg as tw
from tests.paths.landscapes import SADDLES, minimum, muller_brown
from thalweg.critical import MinimumMode, both_sides, classify
from thalweg.critical.mode import WHOLE_BELOW
from thalweg.descent import Descent, State
from thalweg.errors import InputError


def product_of_wells(size: int, seed: int = 0) -> tw.Function:
    """Σ (y² − 1)²/4 in rotated coordinates: 3^n critical points, those with k zeros of index k and value k/4."""
    generator = torch.Generator().manual_seed(seed)
    q = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q

    def fn(x: Tensor) -> Tensor:
        return ((q.to(x) @ x) ** 2 - 1).square().sum() / 4

    return tw.Function(fn, size)


@pytest.mark.parametrize("newton", [False, True])
@pytest.mark.parametrize("index", [0, 1, 3])
def test_eigenvector_following_ends_at_the_index_asked_for(index: int, newton: bool) -> None:
    objective = product_of_wells(4)
    starts = 0.6 * torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    run = Descent(MinimumMode(index=index, newton=newton), steps=30 if newton else 300, every=300, stop_gradient=1e-10)(
        objective, starts
    )
    found = [classify(objective, theta) for theta in torch.from_numpy(run.final.copy())]
    reached = [record for record in found if record.critical]
    assert len(reached) >= 5
    assert {record.index.lower for record in reached} == {index}
    np.testing.assert_allclose([record.value for record in reached], index / 4, atol=1e-12)


def test_lanczos_and_whole_hessians_take_the_same_steps() -> None:
    """Just beyond the size at which a Hessian is formed; with as many products as there are directions."""
    size = WHOLE_BELOW + 1
    curvatures = torch.cat([torch.tensor([-2.0, -1.0]), torch.linspace(0.5, 4, size - 2)]).double()
    objective = tw.Function(lambda x: (curvatures * x**2).sum() / 2, size)
    theta = 0.01 * torch.randn(2, size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    rule = MinimumMode(radius=10.0, products=size, index=2)
    state, _ = rule.step(objective, State(theta, {"mode": torch.zeros_like(theta)}))
    expected = theta * (1 - curvatures / 4)
    expected[:, :2] = 0
    assert torch.allclose(state.theta, expected, atol=1e-6)
    alone, _ = rule.step(objective, State(theta[1:], {"mode": torch.zeros_like(theta[1:])}))
    assert torch.allclose(alone.theta[0], state.theta[1], atol=1e-12)  # a batch changes nothing


def test_a_saddle_of_muller_and_brown_leads_to_the_minima_on_both_sides() -> None:
    landscape = muller_brown()
    where, _ = SADDLES["A-I"]
    saddle = torch.tensor(where, dtype=torch.float64)
    refined = Descent(MinimumMode(radius=0.05), steps=100, stop_gradient=1e-9)(landscape, saddle)
    record = classify(landscape, torch.from_numpy(refined.final[0].copy()))
    assert record.index.lower == record.index.upper == 1 and record.critical
    mode = torch.from_numpy(record.data["descent"].copy())
    sides = both_sides(landscape, torch.from_numpy(refined.final[0].copy()), mode)
    assert float((sides[1] - sides[0]).norm()) == pytest.approx(2e-2)
    down = Descent(tw.descent.GradientDescent(2e-4), steps=5000, every=5000, stop_gradient=1e-6)(landscape, sides)
    ends = torch.from_numpy(down.final.copy())
    known = torch.stack([minimum("A"), minimum("I")])
    distances = torch.cdist(known, ends)
    assert distances.min(1).values.max() < 1e-3 and set(distances.argmin(1).tolist()) == {0, 1}


def test_uphill_where_a_curvature_is_positive_and_never_farther_than_the_radius() -> None:
    bowl = tw.Function(lambda x: x[0] ** 2 + 9 * x[1] ** 2, 2)
    start = torch.tensor([[0.5, 0.3]], dtype=torch.float64)
    up, _ = MinimumMode(radius=0.1).step(bowl, State(start, {"mode": torch.zeros_like(start)}))
    assert torch.allclose(up.theta, torch.tensor([[0.6, 0.3]], dtype=torch.float64), atol=1e-12)
    both, _ = MinimumMode(radius=0.1, index=2).step(bowl, State(start, {"mode": torch.zeros_like(start)}))
    assert torch.allclose(both.theta - start, torch.full((1, 2), 0.1 / 2**0.5, dtype=torch.float64), atol=1e-12)


def test_options_are_checked() -> None:
    landscape = product_of_wells(2)
    with pytest.raises(InputError, match="radius=0"):
        MinimumMode(radius=0)
    with pytest.raises(InputError, match="index=-1"):
        MinimumMode(index=-1)
    with pytest.raises(InputError, match="2 parameters"):
        Descent(MinimumMode(index=3), steps=1)(landscape, landscape.initial)
    with pytest.raises(InputError, match="mode is zero"):
        both_sides(landscape, torch.zeros(2), torch.zeros(2))
