"""Rows and pictures of small beside large batches: measures of sharpness, test accuracy and gap, by pairs of starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from thalweg.records import Finding
from thalweg.records.reproductions import Panel
from thalweg.reproductions.parts import above_zero, below_zero, mean_row, side_by_side
from thalweg.trajectories.matched import MATCHED

RATIO = float(np.log10(205.14 / 1.23))
"""Sharpness of large over small batches in powers of ten: F1 (MNIST), box of 1e-3 (Table 3)."""

ACCURACY = 97.81 - 98.03
"""Points of test accuracy of large less those of small batches: F1 (Table 2)."""


def compared(
    measures: Sequence[str], values: Mapping[tuple[str, str], Mapping[str, np.ndarray]]
) -> tuple[Finding, ...]:
    """Rows for each way of matching: ``values`` of the points [starts] by (matched, batch) and measure."""
    rows = []
    for matched in MATCHED:
        small, large = values[matched, "small"], values[matched, "large"]
        first = matched == "epochs"  # what was published
        for name in measures:
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = np.log10(large[name]) - np.log10(small[name])
            if not np.isfinite(logs).all():  # a measure that is zero, negative or unknown somewhere
                continue
            said = f"log10 of {name}, large over small, matched {matched}"
            known = RATIO if first and name == "keskar" else None
            rows.append(mean_row(f"{name.replace(' ', '_')}_{matched}", said, logs, known, above_zero))
        train = large["train_loss"] - small["train_loss"]
        gap = (large["test_loss"] - large["train_loss"]) - (small["test_loss"] - small["train_loss"])
        said = f"points of test accuracy, large less small, matched {matched}"
        points = 100 * (large["accuracy"] - small["accuracy"])
        rows.append(mean_row(f"accuracy_{matched}", said, points, ACCURACY if first else None, below_zero))
        rows.append(mean_row(f"gap_{matched}", "loss on test less on training rows, large less small", gap))
        rows.append(mean_row(f"train_{matched}", "training loss, large less small", train))
    return tuple(rows)


def panels() -> tuple[Panel, ...]:
    """Losses against updates, and one point a start for each way of matching."""
    labels = ("small", "large")
    curves = ("means over starts", [f"loss.{n}.shown" for n in labels], labels)
    points = [(f"matched {m}", [f"{m}.{n}.points" for n in labels], labels) for m in MATCHED]
    (loss,) = side_by_side("Training loss against updates", "updates.small", curves, text="updates", linear=False)
    return (loss, *side_by_side("Sharpness (Keskar), one point a start", "start", *points, text="start", linear=False))
