"""kill -9 at random moments of a recorded training: every point that was written is read, bit for bit."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import torch
from torch import nn

from benchmarks.faults.forked import run
from benchmarks.faults.kills import Reach, Tally
from thalweg.errors import StoreError
from thalweg.trajectories import read, record, segments
from thalweg.trajectories.recorder_reading import Recording

STEPS = 60
SEGMENT_BYTES = 1500
"""Segments this short are closed and followed by another several times in a recording."""


def network() -> nn.Linear:
    """Nine parameters, the same in every process."""
    model = nn.Linear(9, 1, bias=False).requires_grad_(True)
    with torch.no_grad():
        model.weight.copy_(torch.arange(1.0, 10.0)[None])
    return model


def step(model: nn.Linear) -> None:
    """Descent on a quadratic, which needs no graph."""
    with torch.no_grad():
        model.weight.mul_(1 - torch.linspace(0.01, 0.1, 9))


def points(steps: int = STEPS) -> torch.Tensor:
    """Parameters of every step, float32 [steps + 1, 9]."""
    model, found = network(), []
    for _ in range(steps + 1):
        found.append(model.weight.detach().reshape(-1).clone())
        step(model)
    return torch.stack(found)


def kept(path: Path) -> Recording | None:
    """What was recorded; None where the training was killed before its first point, which the reader says."""
    if not (path / "trajectory.json").exists():
        return None
    try:
        return read(path)
    except StoreError as error:
        if "without a point" not in str(error):
            raise
        return None


def train(path: Path) -> None:
    """Train to the end, from the last recorded point where there is one."""
    segments.SEGMENT_BYTES = SEGMENT_BYTES
    model = network()
    found = kept(path)
    if found is not None:
        with torch.no_grad():
            model.weight.copy_(found.theta(-1).reshape(1, 9))
    with record(model, path, every=1, resume=True) as recorder:
        while recorder.count < STEPS:
            step(model)
            recorder.step()


def recorded(path: Path) -> int:
    """How many points are there; a negative number where they are not those of the training."""
    found = kept(path)
    if found is None:
        return 0
    right = found.steps.tolist() == list(range(len(found))) and torch.equal(found.thetas, points()[: len(found)])
    return len(found) if right else -1


def recordings(kills: int, rng: random.Random, folder: Path) -> Tally:
    """Kill a training until it was killed so often, reading its recording and going on with it each time."""
    first = run(lambda: train(folder / "whole"))
    second = run(lambda: train(folder / "counted"), count=True)
    tally = Tally(wrong=[end.text for end in (first, second) if end.code])
    reach = Reach(first.seconds, second.lines)
    while tally.kills < kills and not tally.wrong:
        path, before, here = folder / f"recording-{tally.studies}", 0, 0
        tally.studies += 1
        while True:
            work = reach.moment(rng) if tally.kills < kills else None
            end = run(lambda path=path: train(path), work)  # type: ignore[misc]
            seen = run(lambda path=path: recorded(path))  # type: ignore[misc]
            if seen.code < before or seen.text:
                tally.wrong.append(f"killed at {end.place}: {before} points were read and now {seen.code} {seen.text}")
            before = seen.code
            if end.code != -9:
                if work is not None and not here:
                    reach.missed(end)
                break
            tally.kills, here = tally.kills + 1, here + 1
            tally.places[end.place or "by the clock"] += 1
        if end.code or before != STEPS + 1:
            tally.wrong.append(f"exit code {end.code} with {before} points: {end.text}")
        shutil.rmtree(path)
    return tally
