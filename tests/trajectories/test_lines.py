"""Straight lines from start to end: scores of lines that are known, and of a well that a line crosses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thalweg.trajectories.lines import LinesToEnd, share_rising
from thalweg.zoo import double_well


def test_scores_of_known_lines() -> None:
    t = np.linspace(0, 1, 51)
    falling, hill, last, flat = 2 - t, 2 - t + 0.3 * np.sin(np.pi * t) ** 8, 2 - t, 1 + 0 * t
    last[-1] = last[-2] + 0.01  # a rise on the last point of the grid alone
    lines = LinesToEnd(np.stack([falling, hill, last, flat]) - 0.9)
    assert lines.rise[0] == 0 and lines.rise[2] == pytest.approx(0.01) and lines.rise[3] == 0
    rises = [hill[j] - hill[i] for i in range(51) for j in range(i, 51)]
    assert lines.rise[1] == pytest.approx(max(rises)) and max(rises) > 0
    assert lines.trained.tolist() == [True, True, True, False]
    assert lines.monotone.tolist() == [True, False, False, False]


def test_a_line_over_a_barrier_rises_by_its_height() -> None:
    starts, ends = torch.tensor([[-1.5], [1.5]]).double(), torch.tensor([[1.0], [1.0]]).double()
    lines = LinesToEnd.between(double_well(0.25), starts, ends, 51)
    assert lines.values.shape == (2, 51) and lines.rise == pytest.approx([0.25, 0.0], abs=1e-12)
    assert lines.monotone.tolist() == [False, True]


def test_the_share_that_rises_is_of_lines_that_trained() -> None:
    falling, hill, untrained = [1.0, 0.5, 0.1], [1.0, 1.2, 0.1], [1.0, 1.2, 0.9]
    settings = [LinesToEnd(np.array([falling, hill, untrained])), LinesToEnd(np.array([hill, untrained, untrained]))]
    assert share_rising(settings).tolist()[:2] == [0.5, 1.0] and np.isnan(share_rising(settings)[2])
    assert share_rising(settings[:1]).tolist()[:2] == [0.0, 1.0]
