"""A string as arrays, and back: what an interrupted search goes on from."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from thalweg.paths.resume import State
from thalweg.paths.strings import FAILURES, Bead, Span, String, Tested
from thalweg.records import Bracket, Guarantee

REASON = 400
"""Bytes of a segment's reason that are kept."""


def packed(string: String) -> State:
    """Every bead, segment and profile of a string; profiles are padded with NaN."""
    beads, cpu = string.beads, "cpu"
    width = max((len(x.ts) for x in string.tested), default=0)
    return {
        "thetas": torch.stack([b.theta for b in beads]).to(cpu).numpy(),
        "starts": torch.stack([b.start for b in beads]).to(cpu).numpy(),
        "beads": np.array([(b.depth, b.steps, b.loss, b.gradient) for b in beads], dtype=np.float64),
        "order": np.array(string.order),
        "todo": np.array([(s.left, s.right, s.depth) for s in string.todo], dtype=np.float64).reshape(-1, 3),
        "bad": np.array([(s.left, s.right, s.depth, t) for s, t in string.bad], dtype=np.float64).reshape(-1, 4),
        "tested": np.array([_row(x) for x in string.tested], dtype=np.float64).reshape(-1, 10),
        "profiles": np.array([[_padded(x.ts, width), _padded(x.losses, width)] for x in string.tested]).reshape(
            len(string.tested), 2, width
        ),
        "lengths": np.array([len(x.ts) for x in string.tested], dtype=np.int64),
        "reasons": np.array(
            [list(x.reason.encode().ljust(REASON)[:REASON]) for x in string.tested], dtype=np.uint8
        ).reshape(-1, REASON),
        "failure": np.array(FAILURES.index(string.failure)),
    }


def _row(x: Tested) -> tuple[float, ...]:
    b, ranks = x.bracket, list(Guarantee)
    sides = [math.nan if v is None else v for v in (b.lower, b.upper)]
    grades = [-1 if g is None else ranks.index(g) for g in (b.lower_guarantee, b.upper_guarantee)]
    return (x.span.left, x.span.right, x.span.depth, x.t, *sides, *grades, b.slack, x.bad)


def _padded(x: np.ndarray, width: int) -> np.ndarray:
    return np.pad(np.asarray(x, dtype=np.float64), (0, width - len(x)), constant_values=np.nan)


def unpacked(kept: Mapping[str, np.ndarray], like: Tensor) -> String:
    """The string that :func:`packed` took apart, with beads of the dtype and on the device of ``like``."""
    thetas, starts = (torch.from_numpy(np.array(kept[name])).to(like) for name in ("thetas", "starts"))
    beads = [
        Bead(theta, start, int(depth), int(steps), loss, gradient)
        for theta, start, (depth, steps, loss, gradient) in zip(thetas, starts, kept["beads"].tolist(), strict=True)
    ]
    tested = []
    reasons = [bytes(np.asarray(row, dtype=np.uint8)).decode(errors="ignore").rstrip() for row in kept["reasons"]]
    for row, profile, length, reason in zip(
        kept["tested"].tolist(), kept["profiles"], kept["lengths"].tolist(), reasons, strict=True
    ):
        left, right, depth, t, low, high, one, other, slack, bad = row
        grades = [None if g < 0 else list(Guarantee)[int(g)] for g in (one, other)]
        sides = [None if math.isnan(v) else v for v in (low, high)]
        bracket = Bracket(sides[0], sides[1], grades[0], grades[1], slack)
        ts, losses = profile[:, :length]
        tested.append(Tested(Span(int(left), int(right), int(depth)), bracket, t, ts, losses, bool(bad), reason))
    return String(
        beads,
        [int(i) for i in kept["order"]],
        [Span(*(int(v) for v in row)) for row in kept["todo"].tolist()],
        [(Span(*(int(v) for v in row[:3])), row[3]) for row in kept["bad"].tolist()],
        tested,
        FAILURES[int(kept["failure"])],
    )
