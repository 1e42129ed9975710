"""Row blocks shrink with a row's graph, by the model and the shape of a row alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import thalweg as tw
from thalweg.core import rowsize
from thalweg.core.network import Network
from thalweg.core.products import Term, graph_bytes
from thalweg.core.rows import BLOCK_ROWS


class Wide(nn.Module):
    """A few parameters, and ``width`` numbers kept for every row and layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.width = nn.Parameter(torch.full((3,), 0.1)), width

    def forward(self, x: Tensor) -> Tensor:
        wide = x[:, :1].expand(-1, self.width)
        for s in self.scale:
            wide = torch.tanh(wide * s)
        return wide[:, :2]


def attention(tokens: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(8 * tokens, 2)), torch.randn(40, tokens, 8)


def chosen(model: nn.Module, x: Tensor, **options: Any) -> int:
    risk = tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), (x, torch.arange(len(x)) % 2), backend="loop", **options)
    return int(risk._parts.blocks.most)


@given(width=st.sampled_from([3, 100, 5000]), numbers=st.integers(10, 20))
@settings(max_examples=12, deadline=None)
def test_a_block_keeps_no_more_than_was_said(width: int, numbers: int) -> None:
    """Against the bytes that autograd says it keeps for the block itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rowsize, "GRAPH_NUMBERS", 2**numbers)
        x = torch.randn(3000, 2)
        rows = chosen(Wide(width), x)
        network = Network.of_module(Wide(width))
        table = tw.EmpiricalRisk(Wide(width), nn.CrossEntropyLoss(), (x, torch.zeros(3000).long())).table

        def kept(count: int) -> int:
            return rowsize._kept(network, table.at(slice(0, count)))

        assert rows & (rows - 1) == 0
        shared = 2 * kept(2) - kept(4)
        assert rows == 1 or kept(rows) - shared <= 2**numbers
        assert rows == BLOCK_ROWS or kept(2 * rows) - shared > 2**numbers


def test_a_row_of_more_tokens_has_a_shorter_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowsize, "GRAPH_NUMBERS", 2**16)
    short, long = (chosen(*attention(tokens)) for tokens in (4, 16))
    assert 1 <= long < short < BLOCK_ROWS
    assert chosen(*attention(16), block_rows=700) == 700  # what is asked for stays
    model, x = attention(16)
    assert chosen(model.double(), x.double()) == long  # numbers, not bytes: a dtype changes no block


def test_a_block_that_is_normalised_by_itself_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowsize, "GRAPH_NUMBERS", 1)
    x = torch.randn(8, 3)
    plain, normalised = (
        nn.Sequential(nn.Linear(3, 4), norm, nn.Linear(4, 2)) for norm in (nn.Tanh(), nn.BatchNorm1d(4))
    )
    assert chosen(plain, x) == 1 and chosen(normalised, x) == BLOCK_ROWS


def test_products_through_short_blocks_keep_short_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same products: a block decides what is held and rounding, nothing else."""
    monkeypatch.setattr(rowsize, "GRAPH_NUMBERS", 2**14)
    model, x = attention(16)
    data, loss = (x.double(), torch.arange(40) % 2), nn.CrossEntropyLoss()
    short, whole = (tw.EmpiricalRisk(model.double(), loss, data, block_rows=b) for b in (None, 40))
    theta = whole.initial.theta[None]
    v = torch.randn(1, 1, theta.shape[1], generator=torch.Generator().manual_seed(0)).double()
    with short.linearized(theta) as few, whole.linearized(theta) as all_:
        torch.testing.assert_close(few.hvp(v), all_.hvp(v), rtol=1e-11, atol=1e-14)

    def held(risk: tw.EmpiricalRisk) -> int:
        terms: list[Term] = [risk._parts.term(block) for block in risk._parts.blocks]
        return max(graph_bytes(term, theta[0]) for term in terms)

    assert len(short._parts.blocks) == 10 and held(short) < held(whole) / 4
