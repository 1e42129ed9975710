"""Every backend agrees with the loop, or steps aside and says why."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.conftest import TOLERANCE
from tests.core.test_objectives import OBJECTIVES, nearby
from thalweg.core.statistics import Recalibrate
from thalweg.errors import BackendWarning

ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.GELU, nn.Softplus]


@given(
    widths=st.lists(st.integers(1, 7), min_size=2, max_size=4),
    rows=st.integers(1, 30),
    block=st.integers(1, 12),
    points=st.integers(1, 20),
    activation=st.sampled_from(ACTIVATIONS),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=25, deadline=None)
def test_vmap_agrees_with_the_loop_on_random_networks(widths, rows, block, points, activation, dtype) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), activation()]
    net = nn.Sequential(*layers[:-1]).to(dtype)
    data = (torch.randn(rows, widths[0]), torch.randn(rows, widths[-1]))
    risk = tw.EmpiricalRisk(net, nn.MSELoss(), data, block_rows=block)
    thetas = torch.randn(points, risk.space.size, dtype=dtype)
    vmap = risk.with_backend("vmap")
    torch.testing.assert_close(vmap.losses(thetas), risk.losses(thetas), **TOLERANCE[dtype])
    assert vmap.backend[0] == "vmap"
    found, expected = vmap.value_and_grad(thetas), risk.value_and_grad(thetas)
    torch.testing.assert_close(found[0], expected[0], **TOLERANCE[dtype])
    # Entries of a gradient cancel, so its rounding is relative to its norm and not to each entry.
    gap, size = (found[1] - expected[1]).double().norm(dim=1), expected[1].double().norm(dim=1)
    assert (gap <= TOLERANCE[dtype]["rtol"] * size + TOLERANCE[dtype]["atol"]).all()


@pytest.mark.parametrize("name", ["mlp", "conv", "conv_batch", "attention", "encoder"])
def test_vmap_runs_real_modules(name: str) -> None:
    risk = OBJECTIVES[name]().to(torch.float64)
    assert isinstance(risk, tw.EmpiricalRisk)
    vmap, thetas = risk.with_backend("vmap"), nearby(risk, 3)
    torch.testing.assert_close(vmap.losses(thetas), risk.losses(thetas), rtol=1e-12, atol=1e-14)
    assert vmap.backend[0] == "vmap", vmap.backend


@pytest.mark.parametrize("name", ["recurrent", "custom", "branching", "filling"])
def test_modules_that_refuse_vmap_fall_to_the_loop_and_say_so(name: str) -> None:
    risk = OBJECTIVES[name]().to(torch.float64)
    assert isinstance(risk, tw.EmpiricalRisk)
    vmap, thetas = risk.with_backend("vmap"), nearby(risk, 2)
    with pytest.warns(BackendWarning, match="the loop runs instead"):
        found = vmap.losses(thetas)
    torch.testing.assert_close(found, risk.with_backend("loop").losses(thetas), rtol=0, atol=0)
    chosen, reason = vmap.backend
    assert chosen == "loop" and "vmap refused the model" in reason


def test_a_policy_that_differs_by_point_falls_to_the_loop() -> None:
    risk = OBJECTIVES["conv"]()
    assert isinstance(risk, tw.EmpiricalRisk)
    with pytest.warns(BackendWarning, match="differs from point to point"):
        assert risk.with_statistics(Recalibrate()).with_backend("vmap").backend[0] == "loop"


def test_a_backend_that_differs_is_not_used() -> None:
    class Branch(nn.Module):
        """Under vmap this module computes something else: the self-check must see it."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            extra = 1.0 if torch._C._functorch.is_batchedtensor(self.linear.weight) else 0.0
            return self.linear(x) + extra

    risk = tw.EmpiricalRisk(Branch(), nn.MSELoss(), (torch.randn(5, 3), torch.randn(5, 2)), backend="vmap")
    with pytest.warns(BackendWarning):
        chosen, reason = risk.backend
    assert chosen == "loop" and "differs from the loop" in reason


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(tw.errors.InputError, match="'fast'"):
        OBJECTIVES["mlp"]().with_backend("fast")  # type: ignore[attr-defined]


def test_row_blocks_do_not_change_values_beyond_rounding() -> None:
    torch.manual_seed(0)
    net, data = nn.Linear(6, 4), (torch.randn(101, 6), torch.randint(0, 4, (101,)))
    found = [
        tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), data, block_rows=b)
        .to(torch.float64)
        .losses(torch.ones(1, 28, dtype=torch.float64))
        for b in (1, 7, 100, 101, 1000)
    ]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-13, atol=0)


def test_row_blocks_are_near_equal_and_whole() -> None:
    risk = tw.EmpiricalRisk(nn.Linear(2, 1), nn.MSELoss(), (torch.randn(1025, 2), torch.randn(1025, 1)))
    sizes = [high - low for low, high in risk._parts.blocks.bounds]
    assert sizes == [512, 513]
