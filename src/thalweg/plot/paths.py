"""What both kinds of figure need to know about paths: which curves a record holds, and against which levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from thalweg.plot.scale import Scale, scale_of
from thalweg.records import Connection, Path, PathStatus

SIGNS = {PathStatus.CONNECTED: "o", PathStatus.SEPARATED: "s", PathStatus.INCONCLUSIVE: "X"}
"""How a method's answer is marked."""

DASHES = ("-", "--", "-.", ":")
"""After as many curves as there are colours, the next ones are drawn in another dash."""


STEEP = 4.0
"""Values along paths whose largest is more than this many times the smallest are drawn on a logarithmic scale."""


@dataclass(frozen=True)
class Walked:
    """F along one path against the share of its own length; ``knots`` are the shares of its beads."""

    name: str
    share: np.ndarray
    loss: np.ndarray
    knots: np.ndarray
    test: np.ndarray | None = None


def walked(name: str, arrays: Mapping[str, np.ndarray], curve: str) -> Walked:
    """The profile of a path from its record's arrays."""
    distance, t = arrays["distance"], arrays["t"]
    whole = distance[-1] if distance[-1] > 0 else 1.0
    knots = np.interp(arrays["times"], t, distance) / whole if "times" in arrays and curve == "polyline" else None
    share = distance / whole if distance[-1] > 0 else t
    return Walked(
        name, share, arrays["loss"], np.array([0.0, 1.0]) if knots is None else knots, arrays.get("test_loss")
    )


def profiles(record: Connection | Path) -> list[Walked]:
    """Every path of a record."""
    if isinstance(record, Path):
        return [walked(record.method, record.data, record.curve)]
    return [walked(row.method, record.path(row.method), record.curves[row.method]) for row in record.rows]


def steep(values: np.ndarray) -> Scale:
    """The scale of values that lie along paths: logarithmic sooner than elsewhere, since what is low matters most."""
    scale, finite = scale_of(values), values[np.isfinite(values)]
    if scale.log or not finite.size or not 0 < scale.low < scale.high / STEEP:
        return scale
    return Scale(scale.low, scale.high, log=True)


def scale_of_paths(record: Connection | Path) -> Scale:
    """The scale of F over all paths and the level."""
    rows = [walk.loss for walk in profiles(record)]
    return steep(np.concatenate([*rows, np.array([record.level])]))


def levels(record: Connection | Path, scale: Scale) -> dict[str, float]:
    """Named levels to draw: that of the record, and baselines that lie within the values or close above them."""
    near = {
        f"best {name} predictor": value
        for name, value in record.baselines.items()
        if scale.low <= value <= scale.high * (1.5 if scale.log else 1.15)
    }
    return {"level": record.level, **near}


@dataclass(frozen=True)
class Stage:
    """The string of one depth: shares of its length and F at every point that is known, and where its beads are."""

    depth: int
    share: np.ndarray
    loss: np.ndarray
    beads: np.ndarray
    heights: np.ndarray


def stages(record: Path) -> list[Stage]:
    """The growth of a string, depth by depth (the draft's Figure 1); empty for a path that did not grow."""
    if "segment_depth" not in record.data:
        return []
    data, found = record.data, []
    tested = {(int(i), int(j)): s for s, (i, j) in enumerate(data["segment_ends"])}
    for depth in range(int(max(data["bead_depth"].max(), data["segment_depth"].max())) + 1):
        alive = np.flatnonzero(data["bead_depth"] <= depth)
        steps = np.linalg.norm(np.diff(data["knots"][alive].astype(np.float64), axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(steps)])
        along /= along[-1] or 1.0
        share, loss = [], []
        for k in range(len(alive) - 1):
            s = tested.get((int(alive[k]), int(alive[k + 1])))
            if s is None:  # trained beads whose segments were not reached any more
                share.append(np.array([along[k], along[k + 1]]))
                loss.append(np.full(2, np.nan))
                continue
            known = np.isfinite(data["segment_ts"][s])
            share.append(along[k] + data["segment_ts"][s][known] * (along[k + 1] - along[k]))
            loss.append(data["segment_losses"][s][known])
        heights = data["bead_loss"][alive]
        found.append(Stage(depth, np.concatenate(share), np.concatenate(loss), along, heights))
    return found


@dataclass(frozen=True)
class Top:
    """One method's largest F against its length; ``row`` is its place in the table, ``high`` the upper side if any."""

    row: int
    name: str
    status: PathStatus
    length: float
    low: float
    high: float | None


def tops(record: Connection) -> list[Top]:
    """Every method whose path has a finite length and an evaluated value."""
    return [
        Top(i, row.method, row.status, row.length, row.maximum.lower, row.maximum.upper)
        for i, row in enumerate(record.rows)
        if row.maximum.lower is not None and np.isfinite(row.maximum.lower) and np.isfinite(row.length)
    ]
