"""One factor at a time: small weights stay, BatchNorm gets there first; first weights are what their names say."""

from __future__ import annotations

import itertools

import pytest
import torch

from thalweg.core.rng import Stream
from thalweg.errors import InputError
from thalweg.reproductions import build
from thalweg.reproductions.layered_weights import INITIAL, Layered


def test_small_weights_stay_where_they_are_and_batchnorm_gets_there_first() -> None:
    record = build("what_helps", starts=4, steps=60, rates=(0.2,), rows=60, width=16, depth=6)()
    rows = {row.claim: row for row in record.rows}
    assert rows["small_share"].ours == rows["deeper_share"].ours == 0 and rows["batchnorm_share"].ours == 1
    assert rows["batchnorm"].agrees and rows["identity"].agrees is None
    assert record.data["batchnorm.steps"].mean() < record.data["identity.steps"].mean() < 60


@pytest.mark.parametrize("initial", INITIAL)
def test_first_weights_are_what_their_names_say(initial: str) -> None:
    network = Layered(12, 3, initial)
    risk = network.risk(20)
    weights = [w for w in risk.space.unravel(network.start(risk, Stream(0))).values() if w.ndim == 2]
    assert all(w.abs().sum() > 0 for w in weights)
    if initial == "balanced":
        for a, b in itertools.pairwise(weights):
            torch.testing.assert_close(b.T @ b, a @ a.T, atol=1e-12, rtol=0)
    if initial == "orthogonal":
        torch.testing.assert_close(weights[1] @ weights[1].T, torch.eye(12, dtype=torch.float64))
    if initial == "he":
        assert float(weights[0].std()) == pytest.approx((2 / 64) ** 0.5, rel=0.1)


def test_momentum_is_tried_at_smaller_rates_too() -> None:
    assert build("what_helps", rates=(0.1, 0.4))._tried(0.0) == (0.1, 0.4)
    assert build("what_helps", rates=(0.1, 0.4))._tried(0.9) == pytest.approx((0.1, 0.4, 0.01, 0.04))


def test_settings_are_refused_with_their_values() -> None:
    with pytest.raises(InputError, match="goal"):
        build("what_helps", goal=0.0)
