"""All copies of a point: as many as are counted, all of the same F, each of them once."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.errors import InputError
from thalweg.paths import symmetries
from thalweg.paths.align.orbit import copies_log10, orbit
from thalweg.zoo.networks import mlp


class Heads(nn.Module):
    """Attention of two heads of two units, whose outputs are added up."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = (self.attend(x, x, x)[0] * torch.arange(1.0, 5.0).to(x)).sum((1, 2))[:, None]
        return found


def _risk(hidden: list[int], activation: str) -> EmpiricalRisk:
    x = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = mlp((2, *hidden, 1), activation=activation, seed=1, dtype=torch.float64)
    return EmpiricalRisk(model, nn.MSELoss(), (x, x[:, :1].sin()))


@settings(max_examples=8, deadline=None)
@given(hidden=st.lists(st.integers(2, 3), min_size=1, max_size=2), signs=st.booleans())
def test_copies_are_as_many_as_are_counted_and_have_the_same_value(hidden: list[int], signs: bool) -> None:
    risk = _risk(hidden, "tanh")
    found = symmetries(risk, signs=signs)
    copies = orbit(found, risk.space, risk.initial.theta)
    many = math.prod(math.factorial(d) * (2**d if signs else 1) for d in hidden)
    assert len(torch.unique(copies, dim=0)) == len(copies) == many
    assert copies_log10(found) == pytest.approx(math.log10(many), abs=1e-12)
    values = risk.losses(copies)
    torch.testing.assert_close(values, values[:1].expand(many), rtol=1e-12, atol=0)


def test_rectified_units_have_no_signs_and_a_wrong_exchange_changes_the_value() -> None:
    risk = _risk([3], "relu")
    found = symmetries(risk, signs=True)
    assert len(orbit(found, risk.space, risk.initial.theta)) == 6
    named = risk.space.unravel(risk.initial.theta)
    wrong = {n: p[[1, 0, 2]] if n == "0.weight" else p for n, p in named.items()}  # without the weights that read them
    assert (
        abs(float(risk.losses(risk.space.ravel(wrong)[None])[0] / risk.losses(risk.initial.theta[None])[0]) - 1) > 1e-3
    )


def test_units_within_heads_have_every_order_in_every_head() -> None:
    torch.manual_seed(0)
    model = Heads().double()
    risk = EmpiricalRisk(
        model, nn.MSELoss(), (torch.randn(5, 3, 4).double(), torch.randn(5, 1).double()), backend="loop"
    )
    found = symmetries(risk)
    copies = orbit(found, risk.space, risk.initial.theta + 0.1 * torch.randn(risk.space.size).double())
    assert len(torch.unique(copies, dim=0)) == len(copies) == 2 * (2 * 2) * (2 * 2)  # heads, queries with keys, values
    assert copies_log10(found) == pytest.approx(math.log10(len(copies)))
    values = risk.losses(copies)
    torch.testing.assert_close(values, values[:1].expand(len(copies)), rtol=1e-12, atol=0)


def test_too_many_copies_are_refused() -> None:
    risk = _risk([9], "tanh")
    with pytest.raises(InputError, match="too many to list"):
        orbit(symmetries(risk, signs=True), risk.space, risk.initial.theta)
