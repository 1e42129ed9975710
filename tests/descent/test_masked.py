"""Masks: what they hide stays under every kind of rule, and those of magnitude pruning hide the smallest weights."""

from __future__ import annotations

import pytest
import torch

from thalweg.core.function import Function
from thalweg.descent import Adam, Descent, GradientDescent, Masked, Momentum, Rule, smallest_pruned
from thalweg.errors import InputError
from thalweg.zoo import polynomial

SCALES = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
MASK = torch.tensor([[1.0, 0, 1, 0], [0, 1, 1, 1]], dtype=torch.float64)


@pytest.mark.parametrize("rule", [GradientDescent(0.1), Momentum(0.05), Adam(0.1)])
def test_what_the_mask_hides_stays_and_the_rest_moves_as_without_it(rule: Rule) -> None:
    bowl = Function(lambda x: (SCALES * x**2).sum() / 2, 4)
    starts = torch.ones(2, 4, dtype=torch.float64)
    masked = torch.tensor(Descent(Masked(rule, MASK), steps=7)(bowl, starts).final)
    free = torch.tensor(Descent(rule, steps=7)(bowl, starts).final)
    assert torch.equal(masked[MASK == 0], starts[MASK == 0])
    torch.testing.assert_close(masked[MASK == 1], free[MASK == 1])  # coordinates of this bowl do not meet
    assert float((free - starts).abs().min()) > 0.01


def test_masks_remove_the_smallest_weights_of_each_matrix_and_no_bias() -> None:
    risk = polynomial(widths=(1, 5, 5, 1))
    thetas = torch.randn(3, risk.space.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = smallest_pruned(risk.space, thetas, 0.4)
    for entry in risk.space.entries:
        kept, sizes = mask[:, entry.span], thetas[:, entry.span].abs()
        if len(entry.shape) == 1:
            assert bool((kept == 1).all())
            continue
        assert (kept == 0).sum(1).tolist() == [round(0.4 * sizes.shape[1])] * 3
        for row, size in zip(kept, sizes, strict=True):
            assert float(size[row == 0].max()) <= float(size[row == 1].min())


def test_a_share_above_one_is_refused() -> None:
    risk = polynomial()
    with pytest.raises(InputError, match=r"share=1.2"):
        smallest_pruned(risk.space, risk.initial.theta[None], 1.2)
