"""How the values of a grid are had: all of them, the default, or by a method that evaluates less."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.core.evaluate import Evaluator, Plan
from thalweg.core.metered import Metered
from thalweg.core.rng import Stream
from thalweg.core.subspace import Subspace
from thalweg.records import SliceStatus


@dataclass(frozen=True)
class Canvas:
    """A grid to be filled: coefficients ``mesh`` [*grid, k] of a subspace, and what may be used to do it.

    ``settings`` are what must be the same when the work is resumed. ``test`` is the same subspace over the test rows.
    """

    objective: Metered
    subspace: Subspace
    mesh: Tensor
    names: tuple[str, ...]
    settings: Mapping[str, Any]
    rng: Stream
    evaluate: Evaluator
    test: Subspace | None = None

    def values(self, coefficients: Tensor) -> dict[str, Tensor]:
        """Every name at coefficients [B, k], float64 [B]: those of the test rows as ``test_loss`` and so on."""
        found = self.subspace.evaluate(coefficients)
        tested = {} if self.test is None else self.test.evaluate(coefficients)
        return found | {f"test_{name}": value.to(found["loss"].device) for name, value in tested.items()}

    def measured(self) -> dict[str, Any]:
        """How F is evaluated here, as JSON values that :meth:`obey` takes."""
        found = self.subspace.measured()
        return found if self.test is None else {"train": found, "test": self.test.measured()}

    def obey(self, measured: Mapping[str, Any]) -> None:
        """Evaluate as an earlier measurement says."""
        self.subspace.obey(measured if self.test is None else measured["train"])
        if self.test is not None:
            self.test.obey(measured["test"])

    @property
    def shape(self) -> tuple[int, ...]:
        """The grid."""
        return tuple(self.mesh.shape[:-1])


@dataclass(frozen=True)
class Filled:
    """Values by name, each [*grid]; further arrays and fields for the record; ``status`` where all are finite."""

    values: dict[str, np.ndarray]
    data: Mapping[str, np.ndarray] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    status: SliceStatus = SliceStatus.COMPLETE


class Fill(ABC):
    """Base of the ways to fill a grid."""

    @abstractmethod
    def __call__(self, canvas: Canvas) -> Filled:
        """Fill it; the meter of the objective counts what it takes."""


@dataclass(frozen=True)
class Dense(Fill):
    """Every point is evaluated."""

    def __call__(self, canvas: Canvas) -> Filled:
        """As one plan, which an evaluator may cut into tasks."""
        plan = Plan(
            canvas.values,
            canvas.mesh.reshape(-1, canvas.mesh.shape[-1]),
            canvas.names,
            meter=canvas.objective.meter.read,
            settings=canvas.settings,
            measure=canvas.measured,
            obey=canvas.obey,
        )
        outcome = canvas.evaluate(plan)
        values = {name: np.array(outcome.values[name]).reshape(canvas.shape) for name in canvas.names}
        return Filled(values, fields={"cost": outcome.cost})


def at(canvas: Canvas, index: np.ndarray) -> dict[str, np.ndarray]:
    """Values at some points of the grid; ``index`` [n] counts them in order."""
    coefficients = canvas.mesh.reshape(-1, canvas.mesh.shape[-1])[torch.from_numpy(index)]
    found = canvas.values(coefficients)
    return {name: found[name].cpu().numpy() for name in canvas.names}
