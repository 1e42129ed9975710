"""Rows of what helps training: who gets there, when, and the steps that one changed factor saves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from thalweg.records import Finding
from thalweg.records.survival import Survival, wilson
from thalweg.reproductions.parts import interval

SAID = {
    **dict.fromkeys(("small", "deeper"), "harm"),
    **dict.fromkeys(("he", "momentum", "batchnorm", "skips", "wider"), "help"),
}
"""What the sources say of a factor; of the others they say nothing."""


def compared(best: Mapping[str, tuple[float, np.ndarray, np.ndarray]]) -> tuple[Finding, ...]:
    """Shares and medians of every cell, and the steps it saves over ``plain``.

    ``best`` has the rate, the steps [starts] and whether the goal was reached [starts] of every cell, by its name.
    """
    rows = []
    for name, (_, steps, reached) in best.items():
        count = int(reached.sum())
        share, median = wilson(count, len(steps)), Survival.of(steps, reached).median
        said = "share of starts that get there; median of steps " + ("not reached" if median is None else f"{median:g}")
        rows.append(Finding(f"{name}_share", said, None, count / len(steps), share))
    plain = best["plain"][1]
    for name, (_, steps, _) in best.items():
        if name == "plain":
            continue
        ours, (low, high) = interval(plain - steps)
        side = SAID.get(name)
        said = "steps saved over the plain network" + (f"; said to {side}" if side else "")
        agrees = None if side is None else high < 0 if side == "harm" else low > 0
        rows.append(Finding(name, said, None, ours, (low, high), agrees))
    return tuple(rows)
