"""MINRES against pseudo-inverses: indefinite, singular and inconsistent systems, many at once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.core.minres import minres
from thalweg.errors import InputError


def system(size: int, zeros: int, negative: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = 0.3 + torch.rand(size, generator=generator, dtype=torch.float64) * 3
    values[:negative] *= -1
    values[size - zeros :] = 0
    q = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
    return q @ torch.diag(values) @ q.T


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 20), zeros=st.integers(0, 5), negative=st.integers(0, 8), seed=st.integers(0, 10**6))
def test_solutions_are_those_of_the_pseudo_inverse(size: int, zeros: int, negative: int, seed: int) -> None:
    zeros = min(zeros, size)
    batch = torch.stack([system(size, zeros, min(negative, size - zeros), seed + i) for i in range(3)])
    b = torch.randn(3, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = minres(lambda v: torch.einsum("bij,bj->bi", batch, v), b, tol=1e-12)
    expected = torch.einsum("bij,bj->bi", torch.linalg.pinv(batch, rtol=1e-9), b)
    torch.testing.assert_close(found.x, expected, rtol=1e-6, atol=1e-6)
    residual = (torch.einsum("bij,bj->bi", batch, found.x) - b).norm(dim=1)
    torch.testing.assert_close(found.residual, residual, rtol=1e-6, atol=1e-7)


def test_negative_curvature_is_seen_and_only_where_it_is() -> None:
    good, bad = system(12, 0, 0, 1), system(12, 0, 3, 1)
    b = torch.randn(2, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = minres(lambda v: torch.stack([good @ v[0], bad @ v[1]]), b)
    assert found.negative.tolist() == [False, True]


def test_points_that_are_done_wait_without_changing() -> None:
    """One system is solved in a single product, the other takes all."""
    a = torch.stack([torch.eye(9, dtype=torch.float64), system(9, 0, 4, 3)])
    b = torch.ones(2, 9, dtype=torch.float64)
    together = minres(lambda v: torch.einsum("bij,bj->bi", a, v), b)
    alone = minres(lambda v: v, b[:1])
    torch.testing.assert_close(together.x[:1], alone.x)
    assert alone.products == 1 and together.products > 5


def test_a_zero_right_side_needs_no_product_and_options_are_checked() -> None:
    assert minres(lambda v: v, torch.zeros(2, 4)).products == 0
    with pytest.raises(InputError, match="most=0"):
        minres(lambda v: v, torch.ones(1, 3), most=0)
