"""Surfaces from some of the rows: error against rows, control variates, and how often the intervals hold."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.records import Guarantee, Surface
from thalweg.slices import Plane, Sample


@cache
def trained() -> tuple[tw.EmpiricalRisk, torch.Tensor]:
    risk = tw.zoo.digits(dtype=torch.float64)
    run = tw.descent.Descent(tw.descent.Adam(lr=1e-2), steps=150, batch=128)(risk, risk.initial)
    return risk, torch.from_numpy(run.data["thetas"][-1, 0].copy())


def errors(rows: int, anchors: int, seeds: int = 6) -> tuple[float, float]:
    """Median relative error and share of points covered, over seeds."""
    risk, theta = trained()
    gaps, covered = [], []
    for seed in range(seeds):
        record = Plane(steps=9, half_width=0.5, fill=Sample(rows=rows, anchors=anchors))(risk, theta, rng=seed)
        exact = Plane(steps=9, half_width=0.5)(risk, theta, rng=seed).loss
        away = np.ones_like(exact, dtype=bool)
        away[4, 4] = False  # the centre is F itself
        gaps.append(np.abs(record.loss - exact)[away] / exact[away])
        covered.append(((record.data["lower"] <= exact) & (exact <= record.data["upper"]))[away])
    return float(np.median(np.concatenate(gaps))), float(np.mean(np.concatenate(covered)))


def test_more_rows_and_control_variates_shrink_the_error() -> None:
    plain = {n: errors(n, 0) for n in (64, 512)}
    helped = {n: errors(n, 4) for n in (64, 512)}
    assert plain[512][0] < plain[64][0] / 1.7 and helped[512][0] < helped[64][0] / 1.7
    assert helped[512][0] < plain[512][0] / 1.3
    # Nominally 95 %: rows' losses are heavy-tailed, so intervals hold less often than that, but not rarely.
    assert 0.5 < helped[512][1] <= 1.0


def test_the_record_says_how_often_its_interval_held() -> None:
    risk, theta = trained()
    record = Plane(steps=9, half_width=0.5, fill=Sample(rows=256, checks=20))(risk, theta)
    s = record.sampling
    assert isinstance(record, Surface) and s is not None
    assert record.guarantee is Guarantee.SAMPLED and (s.rows, s.of, s.checked) == (256, 1797, 20)
    exact = Plane(steps=9, half_width=0.5)(risk, theta)
    inside = (record.data["lower"] <= exact.loss) & (exact.loss <= record.data["upper"])
    assert abs(s.covered / s.checked - inside.mean()) < 0.35
    assert 0 < s.tail < 1 and f"covered {s.covered} of 20 points" in record.summary
    # 4 anchors and 20 checks on all rows, 81 points on a seventh of them, the mark and the centre
    assert record.cost.forwards == pytest.approx(4 + 20 + 81 * 256 / 1797 + 1, abs=1e-6)


def test_a_tail_that_the_sample_misses_shows_in_the_coverage() -> None:
    """All of the loss on one row in two thousand: the interval is called 95 % and seen to hold almost nowhere."""
    torch.manual_seed(0)
    targets = torch.zeros(2000, 1, dtype=torch.float64)
    targets[1234] = 1e3
    risk = tw.EmpiricalRisk(nn.Linear(3, 1).double(), nn.MSELoss(), (torch.randn(2000, 3).double(), targets))
    held = []
    for seed in range(5):
        record = Plane(steps=9, fill=Sample(rows=64, anchors=0))(risk, risk.initial, rng=seed)
        assert record.sampling is not None
        held.append(record.sampling.covered / record.sampling.checked)
    assert np.median(held) < 0.2


def test_weights_and_regulariser_are_exact() -> None:
    """With every row's loss known at the anchor, an estimate there is F itself, penalty and class weights included."""
    torch.manual_seed(0)
    data = (torch.randn(300, 4), torch.randint(0, 3, (300,)))
    loss = nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 3.0]))
    penalty = lambda named: 0.01 * sum(p.square().sum() for p in named.values())  # noqa: E731
    risk = tw.EmpiricalRisk(nn.Linear(4, 3), loss, data, regulariser=penalty).to(torch.float64)
    record = Plane(steps=5, fill=Sample(rows=50, anchors=8))(risk, risk.initial)
    exact = Plane(steps=5)(risk, risk.initial)
    at_anchors = np.isclose(record.loss, exact.loss, rtol=1e-10)
    assert at_anchors.sum() >= 8


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"rows": 5}, "at least 7"), ({"level": 1.0}, "between 0 and 1"), ({"checks": 0}, "checks=0")],
)
def test_wrong_options_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(tw.errors.InputError, match=said):
        Sample(**wrong)


def test_what_has_no_rows_or_too_few_is_refused() -> None:
    bowl = tw.Function(lambda x: x.square().sum(), 2)
    with pytest.raises(tw.errors.InputError, match="no rows"):
        Plane(steps=5, fill=Sample())(bowl, bowl.initial)
    small = tw.zoo.polynomial()
    with pytest.raises(tw.errors.InputError, match="sample fewer"):
        Plane(steps=5, fill=Sample(rows=100))(small, small.initial)
