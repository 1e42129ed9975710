"""What recording costs a training loop: one that is recorded beside two that are not, in short blocks in turn."""

from __future__ import annotations

import itertools
import math
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

import thalweg as tw
from benchmarks.harness import Table, median, threads
from thalweg.trajectories import Keep, LogSpaced, Recorder, record
from thalweg.trajectories.recorder_schedule import Every, Schedule
from thalweg.zoo.networks import mlp

Start = Callable[[], nn.Module]
Begin = Callable[[nn.Module], Recorder]

BLOCK, BATCH = 100, 64
"""Steps that one of the three takes before it is the next one's turn; rows of a step."""

MANY = 30
"""Of fewer points nothing is said about the steps after them."""


@dataclass
class Training:
    """One network in training by Adam, recorded or not; every one is timed in the same way."""

    start: Start
    begin: Begin | None = None
    steps: list[float] = field(default_factory=list)
    """Seconds of the clock of each step, without the recorder."""
    calls: list[float] = field(default_factory=list)
    """Seconds of the clock of each call of the recorder; of the same two readings where there is none."""
    blocks: list[float] = field(default_factory=list)
    """Seconds of the processor of each block, with the recorder."""
    opening: float = 0.0

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.model = self.start()
        self.adam = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        table = tw.zoo.digits().table
        self.inputs, self.targets = table.inputs, table.targets
        clock = time.perf_counter()
        self.recorder = self.begin(self.model).open() if self.begin is not None else None
        self.opening = time.perf_counter() - clock

    def block(self, steps: int) -> None:
        """So many steps further."""
        processor, clock = time.process_time(), time.perf_counter
        for _ in range(steps):
            begun = clock()
            first = len(self.steps) * BATCH
            rows = torch.arange(first, first + BATCH) % len(self.inputs)
            self.adam.zero_grad()
            loss = nn.functional.cross_entropy(self.model(self.inputs[rows]), self.targets[rows])
            loss.backward()
            self.adam.step()
            taken = clock()
            if self.recorder is not None:
                self.recorder.step(loss)
            self.calls.append(clock() - taken)
            self.steps.append(taken - begun)
        self.blocks.append(time.process_time() - processor)

    def close(self) -> float:
        """End the recording; seconds of the clock."""
        clock = time.perf_counter()
        if self.recorder is not None:
            self.recorder.close()
        return time.perf_counter() - clock


def middle(changes: list[float]) -> str:
    """The median of changes and the order statistics that hold that of their law with 95 %."""
    ordered, many = sorted(changes), len(changes)
    off = math.floor((many - 1.96 * math.sqrt(many)) / 2)
    low, high = ordered[max(0, off)], ordered[min(many - 1, many - 1 - off)]
    return f"{median(ordered):+.1%} [{low:+.1%}, {high:+.1%}]"


def compare(name: str, start: Start, rounds: int, block: int, every: Schedule, keep: Keep) -> list[str]:
    """One row of the table: ``rounds`` blocks of each of the three."""
    folder = Path(tempfile.mkdtemp())

    def begin(path: str) -> Begin:
        return lambda model: record(model, folder / path, every=every, keep=keep)

    try:
        for warm in (Training(start), Training(start, begin("warm"))):  # a first compaction loads zarr
            warm.block(block)
            warm.close()
        plain, control, kept = Training(start), Training(start), Training(start, begin("kept"))
        for training in (plain, control, kept):  # so that points lie in the middle of blocks, and what follows them too
            training.block(block // 2)
            training.blocks.clear()
        orders = itertools.cycle(itertools.permutations((plain, control, kept)))
        for order in itertools.islice(orders, rounds):
            for training in order:
                training.block(block)
        ending = kept.close()
        points = tw.trajectories.read(folder / "kept")
        due = {int(step) for step in points.steps} & set(range(1, len(kept.steps)))
        count = len(points)
    finally:
        shutil.rmtree(folder)
    inside, trained = sum(kept.calls), sum(kept.steps)
    after, usual = [kept.steps[step] for step in due], median(kept.steps)
    size = sum(p.numel() for p in start().parameters())
    form = "" if keep.compact else "one zarr group"
    told = ", ".join(filter(None, (keep.dtype or "", f"sketch of {keep.sketch}" if keep.sketch else "", form)))
    spaced = "log-spaced" if isinstance(every, LogSpaced) else f"every {every.k}"  # type: ignore[attr-defined]
    return [
        f"{name}, P = {size:,}, batch {BATCH}",
        f"{spaced}{f', {told}' if told else ''}",
        f"{len(kept.steps):,}",
        f"{count}",
        f"{1e6 * median(plain.blocks) / block:.0f}",
        f"{inside / (trained + inside):.2%}",
        f"{(inside + kept.opening + ending) / (trained + inside + kept.opening + ending):.2%}",
        f"{1e6 * (median(after) - usual):+.0f}" if len(after) >= MANY else "",
        middle([b / a - 1 for a, b in zip(plain.blocks, kept.blocks, strict=True)]),
        middle([b / a - 1 for a, b in zip(plain.blocks, control.blocks, strict=True)]),
        f"{1e6 * median([kept.calls[step - 1] for step in due]):.0f}" if due else "",
        f"{1000 * ending:.0f}",
    ]


def main(quick: bool = False) -> list[Table]:
    """The digits network of the zoo at every 100 steps and otherwise, and one of a million parameters."""

    def digits() -> nn.Module:
        return mlp((64, 32, 32, 10), activation="relu")

    def large() -> nn.Module:
        return mlp((64, 1000, 1000, 10), activation="relu")

    block = 20 if quick else BLOCK
    hundred = Every(block)

    def row(name: str, start: Start, rounds: int, every: Schedule, keep: Keep) -> list[str]:
        return compare(name, start, 2 if quick else rounds, block, every, keep)

    with threads(1):
        rows = [
            row("digits", digits, 300, hundred, Keep()),
            row("digits", digits, 60, hundred, Keep(compact=0)),
            row("digits", digits, 60, Every(10), Keep()),
            row("digits", digits, 60, LogSpaced(), Keep()),
            row("three layers", large, 12, hundred, Keep()),
            row("three layers", large, 12, hundred, Keep(sketch=1024)),
        ]
    columns = ["network", "kept", "steps", "points", "µs a step", "in the loop", "in all", "step after a point, µs"]
    note = (
        f"Adam on one thread. Three trainings of the same network on the same rows, one recorded and two not, take "
        f"blocks of {block} steps in turn, in changing order. In the loop is the share of the clock that the recorded "
        "one spent in the recorder; in all adds opening and the end, where segments are forced to the disk and, from "
        "64 MiB on or where that is asked for, compacted to one zarr group. A step after a point finds its memory in "
        "no cache: its median above that of all steps. Recorded and control are the processor's time of a block over "
        "that of the first training, less one, for the recorded and for the second training that is not: medians over "
        "blocks, with intervals of 95 % by order statistics. What the control shows is noise, under load most of what "
        "both show; a difference counts where it is beyond that."
    )
    return [Table("Recording a training loop", [*columns, "recorded", "control", "µs a point", "end, ms"], rows, note)]
