"""An objective made from another: what it does not change is passed on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.space import Point
from thalweg.core.subspace import Subspace
from thalweg.records import Fingerprint


class Through(Objective):
    """Passes on where points lie and how values are computed; ``objective`` is what it was made from."""

    objective: Objective

    def point(self, theta: Tensor | np.ndarray | Point, name: str = "theta") -> Point:
        """As the objective."""
        return self.objective.point(theta, name)

    def retract(self, thetas: Tensor) -> Tensor:
        """As the objective."""
        return self.objective.retract(thetas)

    def normals(self, theta: Tensor) -> Tensor | None:
        """As the objective."""
        return self.objective.normals(theta)

    def fingerprint(self) -> Fingerprint:
        """As the objective; not counted, because it is asked once per study."""
        return self.objective.fingerprint()

    @property
    def passes(self) -> float:
        """As the objective."""
        return self.objective.passes

    @property
    def statistics_name(self) -> str:
        """As the objective."""
        return self.objective.statistics_name

    @property
    def backend(self) -> tuple[str, str]:
        """As the objective."""
        return self.objective.backend

    def road(self, subspace: Subspace) -> tuple[str, str]:
        """As the objective."""
        return self.objective.road(subspace)

    def measured(self, subspace: Subspace | None = None) -> dict[str, Any]:
        """As the objective; a trial is not counted."""
        return self.objective.measured(subspace)

    def obey(self, measured: Mapping[str, Any], subspace: Subspace | None = None) -> None:
        """As the objective."""
        self.objective.obey(measured, subspace)

    @property
    def numerics(self) -> dict[str, Any]:
        """As the objective."""
        return self.objective.numerics
