"""Symmetries without training: how many copies layers of each width have, and rectified units that are scaled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream
from thalweg.paths.align import symmetries
from thalweg.paths.align.orbit import copies_log10
from thalweg.records import Finding
from thalweg.records.reproductions import Panel
from thalweg.reproductions.parts import close, side_by_side
from thalweg.zoo.networks import mlp

ROUNDING = 1e-12
"""Relative change of F that exchanging, negating or scaling units may make."""


def counted(hidden: Sequence[int], source: Stream) -> dict[str, np.ndarray]:
    """log10 of the copies that are found in a layer of tanh units of each width."""
    x, orders, signs = torch.randn(8, 2, generator=source("rows").torch(), dtype=torch.float64), [], []
    for width in hidden:
        model = mlp((2, width, 1), activation="tanh", dtype=torch.float64)
        found = symmetries(EmpiricalRisk(model, nn.MSELoss(), (x, x[:, :1])), signs=True)
        orders.append(copies_log10(replace(found, signed=())))
        signs.append(copies_log10(found))
    widths = np.array(hidden, dtype=float)
    least = (widths - 1) * math.log10(2)
    return {"width": widths, "orders": np.array(orders), "signs": np.array(signs), "exponential": least}


def scaled(rows: int, source: Stream) -> list[Finding]:
    """Rectified units scaled by 1/4 to 4, and as the control the weights into them alone."""
    x = torch.randn(rows, 2, generator=source("rectified").torch(), dtype=torch.float64)
    risk = EmpiricalRisk(mlp((2, 6, 1), dtype=torch.float64), nn.MSELoss(), (x, x[:, :1]))
    found, named = symmetries(risk, scales=True), risk.space.unravel(risk.initial.theta)
    factors = {g: np.geomspace(0.25, 4, found[g].size) for g in found.scaled}
    base = float(risk.losses(risk.initial.theta[None])[0])
    all_scaled = risk.space.ravel(found.apply(named, {}, factors))
    half = {n: p * (2.0 if n == "0.weight" else 1.0) for n, p in named.items()}
    changes = [abs(float(risk.losses(t[None])[0]) / base - 1) for t in (all_scaled, risk.space.ravel(half))]
    free, said = sum(found[g].size for g in found.scaled), "control: weights into the units alone doubled"
    return [
        close("free_scales", "rectified units of one layer of 6 with a free scale", 6, free),
        close("scale_change", "F is the same when they are scaled", 0.0, changes[0], ROUNDING),
        Finding("scale_control", said, None, changes[1], None, changes[1] > 1e-3),
    ]


def panels() -> tuple[Panel, ...]:
    """Copies by width, and how many runs end in each copy of the teacher."""
    sheet, text = "Copies of one minimum", "width d of one hidden layer"
    labels = ("orders", "orders and signs", "2^(d−1)")
    copies = ("log10 of copies of a point", ("orders", "signs", "exponential"), labels)
    reached = ("runs that end in each copy", ("reached.points",), ("runs",))
    return (
        *side_by_side(sheet, "width", copies, text=text),
        *side_by_side(sheet, "copy", reached, text="copy", first=1),
    )
