"""A recorded trajectory as it is read: its steps, losses and learning rates, and its points when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.space import ParameterSpace, Point
from thalweg.errors import CheckpointError, DamagedError, InputError, StoreError
from thalweg.trajectories.recorder_rows import Row, current, read_rows
from thalweg.trajectories.segments_layout import NAME, RowLayout, closed_with, read_header

Damaged = Literal["refuse", "skip"]


@dataclass(frozen=True)
class Recording:
    """The points of a recorded trajectory, oldest first; tensors are read when they are asked for.

    A training that went back to an earlier checkpoint wrote its steps anew: of such steps the later points count.
    ``notes`` say what was cut or skipped. Its own ``loss`` is the one that the training loop reported.
    """

    path: Path
    layout: RowLayout
    about: dict[str, Any]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def steps(self) -> np.ndarray:
        """The step of every point, int64 [T]."""
        return np.array([row.stamp.step for row in self.rows], dtype=np.int64)

    @property
    def loss(self) -> np.ndarray:
        """The loss that the training loop gave at each, float64 [T]; NaN where it gave none."""
        return np.array([row.stamp.loss for row in self.rows])

    @property
    def learning_rate(self) -> np.ndarray:
        """The learning rate of the step before each, float64 [T]; NaN where it was not given."""
        return np.array([row.stamp.rate for row in self.rows])

    def tensors(self, row: int) -> dict[str, Tensor]:
        """Parameters and buffers of one point by name, in the dtypes in which they were kept.

        Raises
        ------
        DamagedError
            If they differ from their checksum.
        """
        return self.layout.unpack(self.rows[row].read())

    def theta(self, row: int) -> Tensor:
        """One point [P], in the dtype in which it was kept.

        Raises
        ------
        InputError
            If only a projection of it was kept.
        """
        if self.layout.sketch is not None:
            raise InputError(
                f"{self.path} holds {self.layout.sketch} coordinates of a random projection and no points: record "
                "without sketch= to draw or evaluate them, or use .sketches"
            )
        found = self.tensors(row)
        return torch.cat([found[e.name].reshape(-1) for e in self.layout.parameters])

    @cached_property
    def thetas(self) -> Tensor:
        """All points [T, P], in the dtype in which they were kept."""
        return torch.stack([self.theta(i) for i in range(len(self))])

    @cached_property
    def sketches(self) -> Tensor:
        """The random projections [T, k], float64, of a trajectory recorded with ``sketch=k``.

        Raises
        ------
        InputError
            If whole points were kept.
        """
        if self.layout.sketch is None:
            raise InputError(f"{self.path} holds whole points: use .thetas")
        return torch.stack([self.tensors(i)["sketch"] for i in range(len(self))])

    def check(self, space: ParameterSpace) -> None:
        """Refuse a network other than the one that was recorded.

        Raises
        ------
        InputError
            Saying what differs.
        """
        different = self.layout.difference(space)
        if different is not None:
            raise InputError(
                f"{self.path} was recorded of another network: {different}; give the one it was trained as"
            )

    def points(self, objective: Objective) -> list[Point]:
        """The points in the space of ``objective``, each with its statistics.

        Statistics are those recorded, if they were, else what ``objective.point`` makes of each point.

        Raises
        ------
        InputError
            If it is of another network, or no points were kept.
        """
        self.check(objective.space)
        inside = self.layout.prefix(objective.space)
        known = dict(getattr(getattr(objective, "network", None), "buffers", {}))
        found = []
        for i, row in enumerate(self.rows):
            theta, name = objective.space.check(self.theta(i)), f"step {row.stamp.step}"
            kept = self.tensors(i) if self.layout.buffers else {}
            renamed = {e.name.removeprefix(inside): kept[e.name] for e in self.layout.buffers}
            if known and set(known) <= set(renamed):
                statistics = {name: renamed[name].to(x) for name, x in known.items()}
                found.append(Point(theta, statistics, name))
            else:
                found.append(objective.point(theta, name))
        return found


def read(path: str | Path, *, damaged: Damaged = "refuse") -> Recording:
    """Open a recorded trajectory, whole or as a killed training left it; nothing is written.

    A torn tail is left out and noted. ``damaged="skip"`` reads every row now and leaves out those that differ from
    their checksums, noting each; otherwise a damaged row is refused when it is read.

    Raises
    ------
    StoreError
        If there is no trajectory at the path, or one without a point.
    DamagedError
        If a header is damaged, or points between others are missing.
    """
    if damaged not in ("refuse", "skip"):
        raise InputError(f"damaged={damaged!r}: choose 'refuse' or 'skip'")
    folder = Path(path)
    layout, about = read_header(folder)
    notes: list[str] = []
    found = read_rows(folder, layout, notes, least=closed_with(about), skip=damaged == "skip")
    if damaged == "skip":
        found = [row for row in found if _whole(row, notes)]
    kept = current(found)
    if not kept:
        raise StoreError(f"{folder} holds a trajectory without a point: record into it, with resume=True")
    return Recording(folder, layout, about, tuple(kept), tuple(notes))


def is_recorded(path: str | Path) -> bool:
    """Whether a trajectory was recorded into this directory."""
    return (Path(path) / NAME).is_file()


def _whole(row: Row, notes: list[str]) -> bool:
    try:
        row.read()
    except (DamagedError, CheckpointError) as error:
        notes.append(f"left out: {error}")
        return False
    return True
