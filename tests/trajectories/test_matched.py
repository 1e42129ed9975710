"""Which points of two runs are compared."""

from __future__ import annotations

import numpy as np

from thalweg.trajectories.matched import MATCHED, matched_points


def test_points_are_matched_in_epochs_updates_and_loss() -> None:
    """Losses fall by 1/(1 + step), for small batches ten times as fast; every point is its own step."""
    steps = np.arange(0, 101, 10)
    thetas = np.repeat(steps[:, None, None], 3, axis=1).astype(float)
    small, large = (
        {"steps": steps, "loss": np.repeat((1 / (1 + pace * steps))[:, None], 3, axis=1), "thetas": thetas}
        for pace in (10.0, 1.0)
    )
    points = {key: float(x[0, 0]) for key, x in matched_points(small, large, 50).items()}
    assert points["epochs", "small"] == 100 and points["epochs", "large"] == 50
    assert points["updates", "large"] == 100
    assert points["loss", "large"] == 50 and points["loss", "small"] == 10  # 1/(1 + 10·10) is the first below 1/51
    assert {matched for matched, _ in points} == set(MATCHED)
