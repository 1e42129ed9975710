"""A trajectory's principal components beside those of a random walk."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SPREADS = 3.0
"""A share this many standard deviations of the random walk's away from it is called different."""


def compared(data: Mapping[str, np.ndarray], k: int) -> str:
    """One sentence on the first k components of a record's ``explained`` and ``walk`` arrays; empty without them."""
    if "walk" not in data or "explained" not in data:
        return ""
    shares, walk, own = (_percent(data[name][:k]) for name in ("explained", "walk", "walk_lengths"))
    count, called = int(data["walk_points"].max()), _VERDICTS[verdict(data)]
    if data["walk_points"].size == 1:
        return (
            f"explained {shares}; a random walk of {count:,} points gives {walk}, with this path's step lengths {own}: "
            f"this path {called}"
        )
    return (
        f"explained {shares}; random walks of {count:,} points from the same starts give {walk}, with these paths' "
        f"step lengths {own}: together these paths {called.replace('is ', 'are ').replace('turns', 'turn')}"
    )


def verdict(data: Mapping[str, np.ndarray]) -> str:
    """``"straighter"`` or ``"rounder"`` where a random walk is told from the path, ``"walk"`` where it is not.

    The first two shares are compared with those of a walk of equal steps and of one with the path's own step lengths:
    to be told apart, one of the two must lie :data:`SPREADS` standard deviations from each walk's, on the same side.
    """
    shares, spread = data["explained"], data["walk_spread"]
    for i in range(min(2, shares.size)):
        away = [float(shares[i] - data[name][i]) for name in ("walk", "walk_lengths")]
        if min(away) > SPREADS * spread[i] or max(away) < -SPREADS * spread[i]:
            return "straighter" if (away[0] > 0) == (i == 0) else "rounder"
    return "walk"


_VERDICTS = {
    "straighter": "is straighter than a random walk",
    "rounder": "turns more than a random walk",
    "walk": "is not told from a random walk by these shares",
}


def _percent(shares: np.ndarray) -> str:
    """83 % + 9 %."""
    return " + ".join(f"{share:.0%}".replace("%", " %") for share in shares)
