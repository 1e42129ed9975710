"""Points at which runs with small and large batches are compared: after as many epochs, updates, or at one loss."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

MATCHED = ("epochs", "updates", "loss")
"""What may be equal; which of them is decides how the comparison comes out."""


def matched_points(
    small: Mapping[str, np.ndarray], large: Mapping[str, np.ndarray], updates: int
) -> dict[tuple[str, str], np.ndarray]:
    """Points [B, P] by what is matched and whose they are, of runs with ``steps`` [T], ``loss`` [T, B], ``thetas``.

    Both run for as many updates, in which the small batches make as many epochs as the large ones in their first
    ``updates``. Where updates are matched, the small batches' point is that of the epochs. The loss is the highest of
    the large batches' at the end of the epochs; each run's point is the first kept that is no higher.
    """
    after = int(np.argmax(large["steps"] >= updates))
    level, every = large["loss"][after].max(), np.arange(large["loss"].shape[1])
    first = [(run["loss"] <= level).argmax(0) for run in (small, large)]
    return {
        ("epochs", "small"): small["thetas"][-1],
        ("epochs", "large"): large["thetas"][after],
        ("updates", "large"): large["thetas"][-1],
        ("loss", "small"): small["thetas"][first[0], every],
        ("loss", "large"): large["thetas"][first[1], every],
    }
