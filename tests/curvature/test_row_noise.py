"""Rows' gradients, products and their covariance against dense derivatives, row by row."""

from __future__ import annotations

import pytest
import torch

from thalweg.core.metered import Metered
from thalweg.curvature.row_noise import relative_noise, row_covariance, row_gradients, row_products
from thalweg.zoo import polynomial


def test_rows_are_those_of_dense_derivatives() -> None:
    risk = polynomial(widths=(1, 3, 1))
    theta = risk.initial.theta
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gradients, products = row_gradients(Metered(risk), theta), row_products(Metered(risk), theta, v)
    for i in (0, 3, risk.row_count - 1):
        row = risk.rows(torch.tensor([i]))
        torch.testing.assert_close(gradients[i], row.value_and_grad(theta[None])[1][0])
        with row.linearized(theta[None]) as there:
            exact = there.hvp((v / v.norm())[None, None])[0, 0]
        torch.testing.assert_close(products[i], exact, rtol=1e-5, atol=1e-8)
    whole = risk.value_and_grad(theta[None])[1][0]
    torch.testing.assert_close(gradients.mean(0), whole)
    exact = sum(torch.outer(g - whole, g - whole) for g in gradients) / risk.row_count
    torch.testing.assert_close(row_covariance(gradients), exact)


def test_the_constant_is_the_error_of_batches_drawn_independently() -> None:
    draw = torch.Generator().manual_seed(1)
    each = torch.randn(50, 6, generator=draw, dtype=torch.float64) + 0.5
    for batch in (2, 8):
        means = each[torch.randint(50, (20_000, batch), generator=draw)].mean(1)
        error = float((means - each.mean(0)).square().sum(1).mean() / each.mean(0).square().sum())
        assert error == pytest.approx(relative_noise(each) / batch, rel=0.05)
    assert relative_noise(each[:1].repeat(50, 1)) == pytest.approx(0, abs=1e-12)
