"""How an objective computes its values, and what must stay the same for them to come out the same bit for bit."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any

import torch

from thalweg.core import precision
from thalweg.core.space import ParameterSpace
from thalweg.core.subspace import Subspace


class Computed(ABC):
    """The policy and the backend of an objective; where there is nothing to choose, the loop without a policy."""

    space: ParameterSpace

    @property
    def passes(self) -> float:
        """Passes over the rows that one evaluation of F takes: more than one where statistics are estimated."""
        return 1.0

    @property
    def statistics_name(self) -> str:
        """The normalisation policy in words; empty where there is nothing to normalise."""
        return ""

    @property
    def backend(self) -> tuple[str, str]:
        """What evaluates F over many points, and why it was chosen."""
        return "loop", "reference"

    def road(self, subspace: Subspace) -> tuple[str, str]:
        """What evaluates F on a subspace, and why."""
        return self.backend

    def measured(self, subspace: Subspace | None = None) -> dict[str, Any]:
        """Choices that were made by timing, on a subspace or anywhere, as JSON values."""
        return {}

    def obey(self, measured: Mapping[str, Any], subspace: Subspace | None = None) -> None:
        """Make the choices that were measured when a study was begun, so that its values come out bit for bit."""
        return

    @property
    def numerics(self) -> dict[str, Any]:
        """Everything that must stay the same for values to come out the same bit for bit, as JSON values."""
        return {
            "backend": self.backend[0],
            "dtype": precision.named(self.space.dtype),
            "device": str(self.space.device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "statistics": self.statistics_name,
        }
