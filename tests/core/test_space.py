"""What a filter is, for every kind of layer: found a second way, by which weights reach which output."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from thalweg.core.space import ParameterSpace
from thalweg.errors import InputError

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(4, 3), (5, 4)),
    "linear of one output": (lambda: nn.Linear(4, 1), (5, 4)),
    "linear of one input": (lambda: nn.Linear(1, 4), (5, 1)),
    "conv1d": (lambda: nn.Conv1d(2, 4, 3), (5, 2, 6)),
    "conv2d": (lambda: nn.Conv2d(2, 4, 3), (5, 2, 6, 6)),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2), (5, 2, 4, 4, 4)),
    "pointwise convolution of one input": (lambda: nn.Conv2d(1, 4, 1), (5, 1, 3, 3)),
    "grouped conv": (lambda: nn.Conv2d(4, 6, 3, groups=2), (5, 4, 6, 6)),
    "depthwise conv": (lambda: nn.Conv2d(4, 4, 3, groups=4), (5, 4, 6, 6)),
    "depthwise conv, two each": (lambda: nn.Conv1d(3, 6, 3, groups=3), (5, 3, 6)),
    "transposed 1d": (lambda: nn.ConvTranspose1d(2, 5, 3), (5, 2, 6)),
    "transposed 2d": (lambda: nn.ConvTranspose2d(4, 3, 3), (5, 4, 5, 5)),
    "transposed 3d": (lambda: nn.ConvTranspose3d(2, 3, 2), (5, 2, 3, 3, 3)),
    "grouped transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2), (5, 4, 5, 5)),
    "depthwise transposed": (lambda: nn.ConvTranspose1d(3, 3, 3, groups=3), (5, 3, 6)),
    "square transposed": (lambda: nn.ConvTranspose1d(3, 3, 2), (5, 3, 6)),
    "weight-normalised": (lambda: nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 4, 3)), (5, 2, 6)),
}


def reached(module: nn.Module, shape: tuple[int, ...], name: str) -> set[frozenset[int]]:
    """For each output channel, which entries of the tensor its sum depends on."""
    x = torch.randn(shape, dtype=torch.float64)
    outputs = module(x)
    channel = 1 if outputs.ndim > 1 else 0
    weight = module.get_parameter(name)
    found = set()
    for c in range(outputs.shape[channel]):
        (gradient,) = torch.autograd.grad(outputs.select(channel, c).square().sum(), weight, retain_graph=True)
        found.add(frozenset(gradient.flatten().nonzero().flatten().tolist()))
    return found


def blocks(space: ParameterSpace, name: str) -> set[frozenset[int]]:
    start = space[name].offset
    return {frozenset((b.index - start).tolist()) for b in space.blocks("filter") if b.name.rpartition("[")[0] == name}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_filter_is_what_one_output_depends_on(kind: str) -> None:
    torch.manual_seed(0)
    make, shape = LAYERS[kind]
    module = make().double()
    space = ParameterSpace.of_module(module)
    name = "parametrizations.weight.original1" if "normalised" in kind else "weight"
    found = blocks(space, name)
    assert found == reached(module, shape, name)
    assert len(found) == 1 if kind == "linear of one output" else len(found) > 2
    assert not space[name].vector
    assert sorted(i for block in found for i in block) == list(range(space[name].size))


def test_a_bilinear_filter_is_one_outputs_matrix() -> None:
    module = nn.Bilinear(3, 4, 2).double()
    one, two = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    outputs = module(one, two)
    found = set()
    for c in range(2):
        (gradient,) = torch.autograd.grad(outputs[:, c].sum(), module.weight, retain_graph=True)
        found.add(frozenset(gradient.flatten().nonzero().flatten().tolist()))
    assert blocks(ParameterSpace.of_module(module), "weight") == found and len(found) == 2


@pytest.mark.parametrize("module", [nn.Embedding(6, 4), nn.EmbeddingBag(6, 4, mode="sum")], ids=["one", "bag"])
def test_an_embeddings_filter_is_the_row_of_one_token(module: nn.Module) -> None:
    found = set()
    for token in range(6):
        outputs = module(torch.tensor([[token]]))
        (gradient,) = torch.autograd.grad(outputs.sum(), module.get_parameter("weight"))
        found.add(frozenset(gradient.flatten().nonzero().flatten().tolist()))
    assert blocks(ParameterSpace.of_module(module), "weight") == found and len(found) == 6


@pytest.mark.parametrize("kind, gates", [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_a_recurrent_filter_is_a_row_of_one_gate(kind: type[nn.RNNBase], gates: int) -> None:
    module = kind(3, 5, num_layers=2, bidirectional=True)
    space = ParameterSpace.of_module(module)
    for entry in space.entries:
        if entry.name.startswith("bias"):
            assert entry.vector and entry.layout.division("layer")[0] == (gates, 5)
            continue
        width = entry.shape[1]
        assert entry.layout.division("filter") == ((gates * 5, width), (0,))
        assert entry.layout.division("layer") == ((gates, 5 * width), (0,))


def test_the_projection_of_an_lstm_is_a_layer_of_its_own_and_cells_are_like_their_networks() -> None:
    space = ParameterSpace.of_module(nn.LSTM(3, 5, proj_size=2))
    assert space["weight_hr_l0"].layout.division("layer") == ((1, 10), (0,))
    assert space["weight_hh_l0"].layout.division("layer") == ((4, 10), (0,))
    for cell, gates in ((nn.LSTMCell(3, 5), 4), (nn.GRUCell(3, 5), 3), (nn.RNNCell(3, 5), 1)):
        assert ParameterSpace.of_module(cell)["weight_ih"].layout.division("layer") == ((gates, 15), (0,))


def test_fused_attention_divides_as_its_three_projections_would_apart() -> None:
    """By rows, by layers (queries, keys, values) and by heads; the other widths make torch keep them apart."""
    fused = ParameterSpace.of_module(nn.MultiheadAttention(8, 2))
    apart = ParameterSpace.of_module(nn.MultiheadAttention(8, 2, kdim=8, vdim=6))
    weight = fused["in_proj_weight"].layout
    assert weight.division("filter") == ((24, 8), (0,))
    assert weight.division("layer") == ((3, 64), (0,)) and weight.division("head") == ((6, 32), (0,))
    query = apart["q_proj_weight"].layout
    assert query.division("layer") == ((1, 64), (0,)) and query.division("head") == ((2, 32), (0,))
    assert apart["v_proj_weight"].layout.division("head") == ((2, 24), (0,))
    bias = fused["in_proj_bias"]
    assert bias.vector and bias.layout.division("filter") == ((3, 8), (0,))
    assert fused["out_proj.weight"].layout.division("head") == ((8, 8), (0,))  # an output mixes all heads


def test_a_head_is_a_run_of_rows() -> None:
    """The groups of norm="head" are what decides one head's queries, keys or values."""
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, batch_first=True).double()
    x = torch.randn(3, 4, 8, dtype=torch.float64)
    weights = module(x, x, x, average_attn_weights=False)[1]  # [rows, heads, queries, keys]
    view, _ = ParameterSpace.of_module(module)["in_proj_weight"].layout.division("head")
    for head in range(2):
        (gradient,) = torch.autograd.grad(weights[:, head].square().sum(), module.in_proj_weight, retain_graph=True)
        moved = gradient.reshape(view).abs().sum(1) > 0
        assert moved.tolist() == [head == 0, head == 1, head == 0, head == 1, False, False]


class Conv1D(nn.Module):
    """The layer of the GPT-2 family, y = x W + b with W [in, out], as transformers lays it out."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


def test_transformers_own_linear_layer_keeps_its_outputs_in_columns() -> None:
    theirs = pytest.importorskip("transformers.pytorch_utils").Conv1D(3, 4).double()
    assert blocks(ParameterSpace.of_module(theirs), "weight") == reached(theirs, (5, 4), "weight")
    # a class that only has the same name is not taken for it
    assert blocks(ParameterSpace.of_module(Conv1D(3, 4)), "weight") == {
        frozenset(range(3 * i, 3 * i + 3)) for i in range(4)
    }


class Bare(nn.Module):
    """Parameters that belong to no layer torch knows."""

    def __init__(self) -> None:
        super().__init__()
        self.scalar = nn.Parameter(torch.tensor(2.0))
        self.gain = nn.Parameter(torch.randn(5, 1, 1))
        self.column = nn.Parameter(torch.randn(5, 1))
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.row = nn.Parameter(torch.randn(1, 6))
        self.positions = nn.Parameter(torch.randn(1, 7, 6))
        self.matrix = nn.Parameter(torch.randn(3, 6))


def test_what_counts_as_one_axis() -> None:
    space = ParameterSpace.of_module(Bare())
    assert [e.name for e in space.entries if e.vector] == ["scalar", "gain", "column", "token"]
    for norm in (nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.BatchNorm2d(4), nn.InstanceNorm1d(4, affine=True)):
        assert all(e.vector for e in ParameterSpace.of_module(norm).entries)
    assert all(e.vector for e in ParameterSpace.of_module(nn.PReLU(3)).entries)
    assert ParameterSpace.of_module(nn.MultiheadAttention(8, 2, add_bias_kv=True))["bias_k"].vector


def test_the_gain_of_weight_normalisation_is_a_gain_and_belongs_to_the_layer() -> None:
    space = ParameterSpace.of_module(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)))
    assert [e.name for e in space.entries if e.vector] == ["bias", "parametrizations.weight.original0"]
    assert {e.layer for e in space.entries} == {""}
    inner = ParameterSpace.of_module(nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 1))))
    assert {e.layer for e in inner.entries} == {"0"} and not inner["0.parametrizations.weight.original"].vector
    turned = nn.utils.parametrizations.weight_norm(nn.ConvTranspose1d(4, 6, 3, groups=2))
    assert len(blocks(ParameterSpace.of_module(turned), "parametrizations.weight.original1")) == 6


def test_tied_tensors_are_there_once() -> None:
    module = nn.ModuleDict({"embed": nn.Embedding(7, 4), "out": nn.Linear(4, 7, bias=False)})
    module["out"].weight = module["embed"].weight
    space = ParameterSpace.of_module(module)
    assert space.names == ("embed.weight",) and len(blocks(space, "embed.weight")) == 7


def test_filters_can_be_stated() -> None:
    space = ParameterSpace.of_module(nn.Linear(4, 6))
    heads = space.divided({"weight": ((3, 2, 4), (0,))})
    assert blocks(heads, "weight") == {frozenset(range(8 * i, 8 * i + 8)) for i in range(3)}
    columns = space.divided({"weight": ((6, 4), (1,))})
    assert blocks(columns, "weight") == {frozenset(range(i, 24, 4)) for i in range(4)}
    single = space.divided({"weight": ((6, 4), (0, 1))})
    assert len(blocks(single, "weight")) == 24
    freed = space.divided({"bias": ((6,), ())})
    assert not freed["bias"].vector and blocks(freed, "bias") == {frozenset(range(6))}
    assert heads.fingerprint == space.fingerprint  # the same parameters
    for view, axes, word in (((3, 4), (0,), "sizes differ"), ((6, 4), (2,), "axes"), ((6, 4), (0, 0), "axes")):
        with pytest.raises(InputError, match=word):
            space.divided({"weight": (view, axes)})
    with pytest.raises(InputError, match="'wieght'"):
        space.divided({"wieght": ((6, 4), (0,))})


def test_every_entry_is_in_one_filter_and_in_one_layer() -> None:
    module = nn.ModuleList(make() for make, _ in LAYERS.values())
    module.extend([nn.MultiheadAttention(8, 2, add_bias_kv=True), nn.LSTM(3, 4), nn.Embedding(5, 2), Bare()])
    space = ParameterSpace.of_module(module)
    for by in ("tensor", "layer", "filter"):
        index = torch.cat([b.index for b in space.blocks(by)])  # type: ignore[arg-type]
        assert torch.equal(index.sort().values, torch.arange(space.size))
    for entry in space.entries:
        for by in ("filter", "layer", "head"):
            view, axes = entry.layout.division(by)  # type: ignore[arg-type]
            assert math.prod(view) == entry.size and set(axes) < set(range(len(view)))


def test_a_digest_is_of_the_values_and_not_of_how_they_are_kept() -> None:
    space = ParameterSpace.of_module(nn.Linear(4, 3))
    theta = torch.randn(space.size)
    assert space.digest(theta) == space.digest(theta.double())
    other = theta.clone()
    other[7] += 1e-6
    assert space.digest(other) != space.digest(theta)


def test_complex_parameters_are_refused() -> None:
    space = ParameterSpace.of_module(nn.Linear(2, 1))
    with pytest.raises(InputError, match=r"theta is torch\.complex64: parameters are real numbers"):
        space.check(torch.zeros(3, dtype=torch.complex64))
