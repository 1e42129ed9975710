"""What both kinds of figure need to know about trajectories: their colours, and how time is told by them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.records import Slice

RUNS = ("#D55E00", "#CC79A7", "#56B4E9", "#E69F00", "#009E73")
"""Of the palette, what stands out against viridis and can be read on white and on dark grey."""

PALE = "#ffffff"
"""Where a path begins, its colour is this one; it deepens with time."""


@dataclass(frozen=True)
class Track:
    """One run: its name, rows of the ``path`` arrays, colour, and time from 0 at its first point to 1 at its last."""

    name: str
    rows: np.ndarray
    colour: str
    time: np.ndarray


def tracks(record: Slice) -> list[Track]:
    """The runs of a record in order; none where it has no path."""
    return [
        Track(name, rows, RUNS[i % len(RUNS)], np.linspace(0, 1, rows.size))
        for i, (name, rows) in enumerate(record.tracks)
    ]


def steps(record: Slice, track: Track) -> tuple[np.ndarray, str]:
    """At which step each point of a run was recorded, and what that axis is called."""
    if "path_step" not in record.data:
        return np.arange(track.rows.size), "recorded point"
    return record.data["path_step"][track.rows], "step"
