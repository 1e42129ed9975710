"""The filter rule, exactly: norms per filter, orthogonality per filter, zeros where they belong."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.conftest import DictConvNet, TinyAttention
from thalweg.core.rng import Stream
from thalweg.core.space import ParameterSpace
from thalweg.slices import RandomDirections


class Layers(nn.Module):
    """One of each kind whose filters lie along a different axis."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.conv = nn.Conv2d(2, 4, 3, groups=2)
        self.transposed = nn.ConvTranspose2d(4, 6, 3, groups=2)
        self.embedding = nn.Embedding(5, 4)
        self.norm = nn.LayerNorm(4)


def of(module: nn.Module, **options: object) -> tuple[ParameterSpace, torch.Tensor, RandomDirections]:
    torch.manual_seed(0)
    for p in module.parameters():
        nn.init.normal_(p)
    space = ParameterSpace.of_module(module.double())
    theta = space.ravel(dict(module.named_parameters()))
    return space, theta, RandomDirections(space, theta, 2, Stream(0), **options)  # type: ignore[arg-type]


def filters(space: ParameterSpace, vector: torch.Tensor) -> dict[str, torch.Tensor]:
    return {block.name: vector[block.index] for block in space.blocks("filter")}


@pytest.mark.parametrize("module", [Layers, DictConvNet, TinyAttention])
def test_each_filter_has_the_norm_of_thetas_and_directions_are_orthogonal_in_it(module: type[nn.Module]) -> None:
    space, theta, directions = of(module())
    vectors = {e.name for e in space.entries if e.vector}
    first, second = directions.dense()
    one, two, own = filters(space, first), filters(space, second), filters(space, theta)
    checked = 0
    for name, block in one.items():
        if name.rpartition("[")[0] in vectors:
            assert not block.any() and not two[name].any()
            continue
        torch.testing.assert_close(block.norm(), own[name].norm(), rtol=1e-12, atol=0)
        torch.testing.assert_close(two[name].norm(), own[name].norm(), rtol=1e-12, atol=0)
        assert abs(float(block @ two[name])) <= 1e-12 * float(own[name].norm()) ** 2
        checked += 1
    assert checked > 3
    assert abs(directions.summary().cosines[0]) < 1e-13


def test_filters_of_a_grouped_transposed_convolution_are_its_outputs() -> None:
    space = ParameterSpace.of_module(Layers())
    blocks = [b for b in space.blocks("filter") if b.name.startswith("transposed.weight")]
    assert len(blocks) == 6 and all(len(b.index) == 2 * 9 for b in blocks)
    weight = torch.arange(space.size)[space["transposed.weight"].span].reshape(4, 3, 3, 3)
    assert set(blocks[0].index.tolist()) == set(weight[:2, 0].flatten().tolist())
    assert set(blocks[5].index.tolist()) == set(weight[2:, 2].flatten().tolist())


def test_blocks_cover_every_parameter_once() -> None:
    space = ParameterSpace.of_module(Layers())
    for by in ("tensor", "layer", "filter"):
        index = torch.cat([b.index for b in space.blocks(by)])  # type: ignore[arg-type]
        assert torch.equal(index.sort().values, torch.arange(space.size))


def test_one_element_filters_cannot_be_orthogonal_and_the_cosine_shows_it() -> None:
    space, _, directions = of(nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)))
    assert abs(directions.summary().cosines[0]) > 1e-3
    flat = directions.dense()
    inner = flat[:, space["2.weight"].span]
    assert abs(float(inner[0] @ inner[1])) < 1e-13


@pytest.mark.parametrize("norm", ["filter", "layer", "whole", None])
@pytest.mark.parametrize("biases", ["zero", "scale"])
def test_every_rule_keeps_its_promise(norm: str | None, biases: str) -> None:
    space, theta, directions = of(Layers(), norm=norm, biases=biases)
    dense = directions.dense()
    assert abs(directions.summary().cosines[0]) < 1e-12 or biases == "scale"
    if norm == "layer":
        span = space["conv.weight"].span
        torch.testing.assert_close(dense[0, span].norm(), theta[span].norm(), rtol=1e-12, atol=0)
    if norm == "whole":
        torch.testing.assert_close(dense.norm(dim=1), theta.norm().expand(2), rtol=1e-12, atol=0)
    bias = dense[:, space["linear.bias"].span]
    assert bias.any() == (biases == "scale")


def test_any_tensors_part_is_made_alone_and_the_seed_decides() -> None:
    space, theta, directions = of(Layers())
    whole = directions.dense()
    block = directions.block("conv.weight")
    assert torch.equal(block.reshape(2, -1), whole[:, space["conv.weight"].span])
    again = RandomDirections(space, theta, 2, Stream(0))
    other = RandomDirections(space, theta, 2, Stream(1))
    assert torch.equal(again.dense(), whole) and not torch.equal(other.dense(), whole)


def test_a_third_direction_does_not_change_the_first_two() -> None:
    space, theta, directions = of(Layers())
    three = RandomDirections(space, theta, 3, Stream(0)).dense()
    assert torch.equal(three[:2], directions.dense())


@given(scale=st.floats(0.1, 10.0))
@settings(max_examples=10, deadline=None)
def test_rescaled_relu_networks_look_alike(scale: float) -> None:
    """Multiply one layer by a and divide the next: the same function; the filter-normalised plane is unchanged."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False)).double()
    data = (torch.randn(20, 4), torch.randint(0, 3, (20,)))
    twin = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False)).double()
    twin[0].weight.data = net[0].weight.data * scale
    twin[2].weight.data = net[2].weight.data / scale
    risks = [tw.EmpiricalRisk(m, nn.CrossEntropyLoss(), data) for m in (net, twin)]
    planes = [tw.slices.Plane(steps=5)(r, r.initial).loss for r in risks]
    torch.testing.assert_close(torch.tensor(planes[0]), torch.tensor(planes[1]), rtol=1e-9, atol=1e-12)
    raw = [tw.slices.Plane(steps=5, norm=None)(r, r.initial).loss for r in risks]
    if not 0.9 < scale < 1.1:
        assert abs(raw[0] - raw[1]).max() > 1e-4  # the control: without the rule the twins look different


def test_zero_directions_are_refused() -> None:
    net = nn.Linear(3, 2)
    nn.init.zeros_(net.weight)
    risk = tw.EmpiricalRisk(net, nn.MSELoss(), (torch.randn(4, 3), torch.randn(4, 2)))
    with pytest.raises(tw.errors.InputError, match="norm 0"):
        tw.slices.Plane(steps=3)(risk, risk.initial)
