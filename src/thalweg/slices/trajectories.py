"""What a plane of trajectories is given: paths as tensors or runs, one or several, each with its name and its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.core.space import ParameterSpace
from thalweg.errors import InputError
from thalweg.records import Run

Path = Tensor | np.ndarray | Run
"""Points [T, P] or [T, B, P] in the order in which they were passed, or the record of a descent."""


@dataclass(frozen=True)
class Trajectory:
    """One path: its name, its points [T, P], and the step at which each was recorded, int64 [T]."""

    name: str
    thetas: Tensor
    steps: np.ndarray

    def __len__(self) -> int:
        return len(self.thetas)


def trajectories(space: ParameterSpace, given: Path | Sequence[Path] | Mapping[str, Path]) -> tuple[Trajectory, ...]:
    """The paths one by one: each network of a run is one, called after its point; a mapping's are called by its keys.

    Raises
    ------
    InputError
        If there is none, one has fewer than 2 points, or one is of another space or not finite.
    """
    named: list[tuple[str, Path]]
    if isinstance(given, Mapping):
        named = list(given.items())
    elif isinstance(given, (Tensor, np.ndarray, Run)):
        named = [("", given)]
    else:
        named = [(f"run {i + 1}", one) for i, one in enumerate(given)]
    found = [path for name, one in named for path in _each(space, name, one)]
    if not found:
        raise InputError("no trajectory was given: pass points [T, P], a run, or several of them")
    if len(found) == 1 and not isinstance(given, Mapping):
        found = [Trajectory("training", found[0].thetas, found[0].steps)]
    return tuple(found)


def _each(space: ParameterSpace, name: str, one: Path) -> list[Trajectory]:
    what = repr(name) if name else "the trajectory"
    thetas = space.check(one.data["thetas"] if isinstance(one, Run) else one, what)
    if thetas.ndim not in (2, 3) or len(thetas) < 2:
        raise InputError(
            f"{what} has shape {list(thetas.shape)}: give at least 2 points [T, P], or [T, B, P] of several networks"
        )
    if not bool(torch.isfinite(thetas).all()):
        raise InputError(f"{what} has points that are NaN or infinite: leave those out")
    steps = one.data["steps"] if isinstance(one, Run) else np.arange(len(thetas))
    networks = thetas.unsqueeze(1) if thetas.ndim == 2 else thetas
    labels = list(one.provenance.points) if isinstance(one, Run) else []
    labels = labels if len(labels) == networks.shape[1] else [str(b + 1) for b in range(networks.shape[1])]
    whole = [name] if len(labels) == 1 and name else [" ".join(filter(None, (name, label))) for label in labels]
    return [Trajectory(label, networks[:, b], np.array(steps)) for b, label in enumerate(whole)]
