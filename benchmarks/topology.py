"""Basins of a 201×201 surface with their noise test and minimax path; medians of interleaved runs."""

from __future__ import annotations

import dataclasses

import numpy as np

import thalweg as tw
from benchmarks.harness import Table, interleaved, median
from thalweg.records import Mark, Surface
from thalweg.topology import Basins, sublevel


def rough(steps: int) -> Surface:
    """A bowl of ripples under noise, with two marked points."""
    f = tw.Function(lambda x: 0.4 * (x**2).sum() + 0.25 * (9 * x[0]).sin() * (11 * x[1]).cos() + 1.0, 2)
    made = tw.slices.Plane(steps=steps)(f, np.zeros(2))
    loss = made.loss + 0.05 * np.random.default_rng(0).uniform(-1, 1, made.loss.shape)
    marks = (Mark("left", (-0.7, 0.1), 0.0), Mark("right", (0.7, -0.1), 0.0))
    return dataclasses.replace(made, data={**made.data, "loss": loss}, marks=marks)


def main(quick: bool = False) -> list[Table]:
    """The merge tree by itself, and the whole record."""
    steps, repeats = (41, 1) if quick else (201, 7)
    source = rough(steps)
    each = np.full(source.loss.shape, 0.05)
    works = {
        "merge tree, 4 neighbours": lambda: sublevel(source.loss),
        "merge tree, 8 neighbours": lambda: sublevel(source.loss, 8),
        "record: one error, minimax path": lambda: Basins(error=0.05)(source),
        "record: an error per cell, minimax path": lambda: Basins(error=each)(source),
    }
    record = Basins(error=0.05)(source)
    times = interleaved(works, repeats)
    rows = [[name, f"{1000 * median(found):.0f}", f"{1000 * max(found):.0f}"] for name, found in times.items()]
    note = f"{record.count:,} basins, {record.surviving} of them more than the noise. Medians of {repeats}, one thread."
    return [Table(f"Basins of a {steps}×{steps} surface", ["what", "ms", "slowest"], rows, note)]
