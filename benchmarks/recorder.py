"""What recording costs a training loop: the same steps with and without, in turn, and the time spent inside."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import thalweg as tw
from benchmarks.harness import Table, median, threads
from thalweg.trajectories import Keep, LogSpaced, record
from thalweg.trajectories.recorder_schedule import Every, Schedule
from thalweg.zoo.networks import mlp

Start = Callable[[], nn.Module]


class Timed:
    """A recorder whose every call is timed."""

    def __init__(self, model: nn.Module, path: Path, every: Schedule, keep: Keep) -> None:
        self.inside, self.closing = 0.0, 0.0
        clock = time.perf_counter()
        self.recorder = record(model, path, every=every, keep=keep).open()
        self.inside += time.perf_counter() - clock

    def step(self, loss: torch.Tensor) -> None:
        """As the recorder."""
        clock = time.perf_counter()
        self.recorder.step(loss)
        self.inside += time.perf_counter() - clock

    def close(self) -> None:
        """As the recorder."""
        clock = time.perf_counter()
        self.recorder.close()
        self.closing = time.perf_counter() - clock


def train(start: Start, batch: int, steps: int, timed: Callable[[nn.Module], Timed] | None) -> tuple[float, ...]:
    """Seconds of the processor for the loop, then of the clock inside the recorder, at its end, and in all."""
    torch.manual_seed(0)
    model = start()
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    risk = tw.zoo.digits()
    inputs, targets = risk.table.inputs, risk.table.targets
    cpu, clock = time.process_time(), time.perf_counter()
    watch = timed(model) if timed is not None else None
    for step in range(steps):
        rows = torch.arange(step * batch, (step + 1) * batch) % len(inputs)
        adam.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs[rows]), targets[rows])
        loss.backward()
        adam.step()
        if watch is not None:
            watch.step(loss)
    if watch is None:
        return time.process_time() - cpu, 0.0, 0.0, time.perf_counter() - clock
    watch.close()
    return time.process_time() - cpu, watch.inside, watch.closing, time.perf_counter() - clock


def compare(name: str, start: Start, batch: int, steps: int, every: Schedule, keep: Keep, repeats: int) -> list[str]:
    """One row of the table."""
    folder = Path(tempfile.mkdtemp())
    count = [0]

    def timed(model: nn.Module) -> Timed:
        count[0] += 1
        return Timed(model, folder / str(count[0]), every, keep)

    try:
        train(start, batch, min(200, steps), timed)  # loads zarr, which a first compaction waits for
        plain, kept = [], []
        for _ in range(repeats):
            plain.append(train(start, batch, steps, None))
            kept.append(train(start, batch, steps, timed))
        points = len(tw.trajectories.read(folder / str(count[0])))
    finally:
        shutil.rmtree(folder)
    without, with_it = median([run[0] for run in plain]), median([run[0] for run in kept])
    inside = median([run[1] / (run[3] - run[2]) for run in kept])
    whole = median([(run[1] + run[2]) / run[3] for run in kept])
    ending = median([run[2] for run in kept])
    size = sum(p.numel() for p in start().parameters())
    form = "" if keep.compact else "one zarr group"
    told = ", ".join(filter(None, (keep.dtype or "", f"sketch of {keep.sketch}" if keep.sketch else "", form)))
    return [
        f"{name}, P = {size:,}, batch {batch}",
        f"{'log-spaced' if isinstance(every, LogSpaced) else f'every {every.k}'}{f', {told}' if told else ''}",  # type: ignore[attr-defined]
        f"{steps:,}",
        f"{points}",
        f"{1e6 * without / steps:.0f}",
        f"{1e6 * with_it / steps:.0f}",
        f"{(with_it / without - 1):+.1%}",
        f"{inside:.2%}",
        f"{whole:.2%}",
        f"{1e6 * median([run[1] for run in kept]) / points:.0f}",
        f"{1000 * ending:.0f}",
    ]


def main(quick: bool = False) -> list[Table]:
    """The digits network of the zoo at every 100 steps and otherwise, and one of a million parameters."""
    repeats, many = (1, 100) if quick else (5, 3000)

    def digits() -> nn.Module:
        return mlp((64, 32, 32, 10), activation="relu")

    def large() -> nn.Module:
        return mlp((64, 1000, 1000, 10), activation="relu")

    hundred = Every(100)
    with threads(1):
        rows = [
            compare("digits", digits, 64, many, hundred, Keep(), repeats),
            compare("digits", digits, 64, many, hundred, Keep(compact=0), repeats),
            compare("digits", digits, 64, 10 * many, hundred, Keep(), min(3, repeats)),
            compare("digits", digits, 64, many, Every(10), Keep(), repeats),
            compare("digits", digits, 64, many, LogSpaced(), Keep(), repeats),
            compare("three layers", large, 64, many // 10, hundred, Keep(), min(3, repeats)),
            compare("three layers", large, 64, many // 10, hundred, Keep(sketch=1024), min(3, repeats)),
        ]
    columns = ["network", "kept", "steps", "points", "µs a step", "recorded", "overhead", "in the loop", "in all"]
    note = (
        "Adam on one thread; runs with and without in turn, in one run of the benchmark. The first three figures are "
        "medians of the processor's time, which other work on the machine changes less than the clock, and hold "
        "everything, opening and end included. In the loop is the share of the clock before the end that a run spent "
        "in the recorder, with µs of it for a point; in all adds the end, where segments are forced to the disk and, "
        "from 64 MiB on or where that is asked for, compacted to one zarr group. The median of a difference between "
        "two runs is as uncertain as a few percent of one."
    )
    return [Table("Recording a training loop", [*columns, "µs a point", "end, ms"], rows, note)]
