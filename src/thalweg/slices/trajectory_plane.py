"""The plane that holds most of one or several trajectories, with the trajectories on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from thalweg.core.directions import Directions
from thalweg.core.evaluate import Evaluator, Inline
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import Point
from thalweg.errors import InputError
from thalweg.records import Mark, Surface
from thalweg.slices import grid
from thalweg.slices.fill import Dense, Fill
from thalweg.slices.pca import components
from thalweg.slices.trajectories import Path, Trajectory, trajectories
from thalweg.slices.walk_null import About, walk_null

SCREE = 10
"""At most this many components are recorded beside those of a random walk."""


@dataclass(frozen=True)
class TrajectoryPlane:
    """F over the first two principal components of trajectories, through the last point of the first.

    ``about="mean"`` takes components of variance; ``"end"`` those of the squared distance from that last point, which
    leave less of the path off the plane. The range covers the projections and ``margin`` more on every side. Each
    answer says what a random walk would explain (Antognini & Sohl-Dickstein 2018). ``fill`` as for a plane.

    Of the ΣT points of all paths the record has ``path`` [ΣT, 2] (their projections), ``path_loss`` (F at the true
    points), ``path_projected`` (F at their projections), ``path_distance`` (how far they lie from the plane),
    ``path_run`` and ``path_step``; where the distance is large, the surface under a path is not what training saw.

    Raises
    ------
    InputError
        If steps < 2, ``about`` is unknown, or the trajectories do not span two directions.
    """

    steps: int | tuple[int, int] = 51
    margin: float = 0.2
    about: About = "mean"
    fill: Fill = field(default_factory=Dense)

    def __post_init__(self) -> None:
        grid.pair(self.steps)
        if self.about not in ("mean", "end"):
            raise InputError(f"about={self.about!r}: choose 'mean' or 'end'")
        if not (np.isfinite(self.margin) and self.margin >= 0):
            raise InputError(f"margin={self.margin}: it must be finite and not negative")

    def __call__(
        self,
        objective: Objective,
        paths: Path | Sequence[Path] | Mapping[str, Path],
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> Surface:
        """Evaluate the surface of trajectories [T, P], of runs, or of several of either (a list, or named)."""
        source = stream(rng)("trajectory plane")
        tracks = trajectories(objective.space, paths)
        ends = _ends(objective, tracks)
        view = Metered(objective.at(*(p for p, _ in ends)), budget)
        points = torch.cat([track.thetas for track in tracks])
        if len(points) < 3:
            raise InputError(f"a trajectory of {len(points)} points has no plane: give at least 3")
        origin = ends[0][0].theta
        directions, shares = components(view.space, points, origin if self.about == "end" else None)
        placed, away = _projected(directions, points, origin)
        low, high = placed.amin(0), placed.amax(0)
        room = (high - low).clamp_min(float((high - low).max()) * 0.1) * self.margin
        reach = zip(low, high, room, grid.pair(self.steps), strict=True)
        axes = tuple(grid.axis(float(lo - r), float(hi + r), n) for lo, hi, r, n in reach)
        losses = torch.cat([view.losses(theta[None]) for theta in points])
        subspace = view.restrict(origin, directions)
        beneath = torch.cat([view.losses(subspace.points(c[None])) for c in placed])
        marks = tuple(Mark(p.name, tuple(placed[i].tolist()), float(losses[i]), float(away[i])) for p, i in ends)
        null = walk_null([track.thetas for track in tracks], source, self.about, SCREE)
        extra = {
            "path": placed.numpy(),
            "path_loss": losses.cpu().numpy(),
            "path_projected": beneath.cpu().numpy(),
            "path_distance": away.numpy(),
            "path_run": np.repeat(np.arange(len(tracks)), [len(track) for track in tracks]),
            "path_step": np.concatenate([track.steps for track in tracks]),
            "explained": shares.cpu().numpy()[: len(null["walk"])],
            **null,
        }
        record = grid.evaluate_grid(
            self,
            view,
            [p for p, _ in ends],
            grid.Grid(directions, axes, marks, extra),
            source,
            evaluate or Inline(),
        )
        assert isinstance(record, Surface)
        return replace(record, runs=tuple(track.name for track in tracks))


def _ends(objective: Objective, tracks: tuple[Trajectory, ...]) -> list[tuple[Point, int]]:
    """Where every path ends and begins, with the row of each among all points; a start they share is one."""
    several, found, row = len(tracks) > 1, [], 0
    shared = all(torch.equal(track.thetas[0], tracks[0].thetas[0]) for track in tracks)
    for i, track in enumerate(tracks):
        found.append(
            (objective.point(track.thetas[-1], f"{track.name} end" if several else "end"), row + len(track) - 1)
        )
        if not shared or i == 0:
            found.append((objective.point(track.thetas[0], "start" if shared else f"{track.name} start"), row))
        row += len(track)
    return found


def _projected(directions: Directions, points: Tensor, origin: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients [T, k] of the points of the plane nearest to points [T, P], and the distances [T]; float64.

    Points are taken one at a time: T of them in float64 would need as much memory again.
    """
    placed, away = [], []
    for point in points:
        offset = (point.double() - origin.double())[None]
        c = directions.project(offset)
        square = torch.zeros((), dtype=torch.float64)
        for entry in directions.space.entries:
            block = directions.block(entry.name).reshape(directions.k, -1).double()
            square += (offset[0, entry.span] - c[0].to(block) @ block).square().sum().cpu()
        placed.append(c)
        away.append(square.sqrt())
    return torch.cat(placed), torch.stack(away)
