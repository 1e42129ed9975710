"""Coarser products are opt-in, named in the record, and widen the tolerance it states."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import thalweg as tw


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    kept = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(kept)


@pytest.mark.parametrize(
    ("setting", "said", "tolerance"),
    [
        ("highest", "float32", 1e-5),
        ("high", "float32, products in TF32", 1e-3),
        ("medium", "float32, products in bfloat16", 1e-2),
    ],
)
def test_products_of_float32_are_named(setting: str, said: str, tolerance: float) -> None:
    torch.set_float32_matmul_precision(setting)
    risk = tw.zoo.digits()
    record = tw.slices.Line(steps=3)(risk, risk.initial)
    assert record.provenance.dtype == said and record.provenance.tolerance == tolerance
    exact = tw.zoo.digits(dtype=torch.float64)
    assert tw.slices.Line(steps=3)(exact, exact.initial).provenance.dtype == "float64"


def test_bfloat16_draws_a_picture_and_says_so() -> None:
    risk, exact = tw.zoo.digits().to(torch.bfloat16), tw.zoo.digits(dtype=torch.float64)
    record, expected = (tw.slices.Line(steps=5)(r, r.initial) for r in (risk, exact))
    assert record.provenance.dtype == "bfloat16" and record.provenance.tolerance == 1e-2
    assert abs(record.loss - expected.loss).max() < 0.05 * expected.loss.max()
