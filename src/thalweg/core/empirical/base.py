"""What every part of an empirical risk stands on: its pieces, its variants, and what is said of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from thalweg.core import precision
from thalweg.core.data import Table
from thalweg.core.empirical.roads import Roads
from thalweg.core.network import Network
from thalweg.core.objective import Objective
from thalweg.core.parts import Parts
from thalweg.core.subspace import Subspace
from thalweg.core.tree import Tree
from thalweg.errors import InputError, StatisticsError

KEPT = frozenset({"statistics", "regulariser", "backend", "test", "initial"})
"""What may change while other processes hold rows: they are told of the policy, and take no part in the rest."""


class Held(Objective):
    """An objective made of :class:`Parts`; a variant of it is a replacement of parts."""

    _parts: Parts
    _roads: Roads
    _probes: list[float]

    def _setup(self, parts: Parts) -> None:
        self._parts = parts
        self.space, self.initial = parts.space, parts.initial
        self.row_count = parts.blocks.rows
        self.metrics = tuple(parts.metrics)
        self.tolerance = precision.tolerance(parts.space.dtype)
        self._roads = Roads(parts)
        self._probes = []

    def _with(self, **changes: Any) -> Self:
        if self._parts.split and "blocks" not in changes and not set(changes) <= KEPT:
            raise InputError("another network, loss or metric on rows that are split: use --split points")
        made = type(self).__new__(type(self))
        made._setup(replace(self._parts, **changes))
        if set(changes) <= {"blocks", "statistics", "test"}:
            # A minibatch is evaluated as its whole was checked, a policy as it was once chosen.
            made._roads = self._roads.beside(made._parts)
        if set(changes) == {"statistics"}:
            made._probes = self._probes
        return made

    def _derivatives(self, what: str) -> None:
        if self._parts.network.normalised and not self._parts.policy.derivatives:
            raise StatisticsError(
                f"{what} are not offered under the policy {self._parts.policy}: use freeze or batch "
                "(--statistics freeze), or give one point with its own statistics"
            )

    @property
    def z(self) -> float:
        """Z, the constant of the data by which the sum of row losses is divided."""
        return self._parts.z

    @property
    def network(self) -> Network:
        """The functional view of the module."""
        return self._parts.network

    @property
    def table(self) -> Table:
        """The rows."""
        return self._parts.blocks.table

    @property
    def row_output(self) -> Tree:
        """What the network gives out for the first row: its structure, and tensors [1, …]."""
        return self._parts.template

    @property
    def passes(self) -> float:
        """One, and the calibration rows once more where statistics are estimated at every point."""
        calibrates = self._parts.network.normalised and self._parts.policy.calibrates
        return 1.0 + (self._parts.calibration.table.count / self.row_count if calibrates else 0.0)

    @property
    def statistics_name(self) -> str:
        """The normalisation policy in words; empty where there is nothing to normalise."""
        return self._parts.policy_name

    @property
    def backend(self) -> tuple[str, str]:
        """What evaluates F over many points, and why; the gradients' where both were taken."""
        return self._roads.described

    def road(self, subspace: Subspace) -> tuple[str, str]:
        """What evaluates F on a subspace, and why."""
        chosen = self._roads.on(subspace)
        return chosen.backend.name, chosen.reason

    def measured(self, subspace: Subspace | None = None) -> dict[str, Any]:
        """The backends chosen so far, or the one of a subspace, which is chosen now if need be."""
        return self._roads.measured if subspace is None else self._roads.on(subspace).measured

    def obey(self, measured: Mapping[str, Any], subspace: Subspace | None = None) -> None:
        """Use the backends that were measured when a study was begun."""
        self._roads.obey(measured, subspace)

    @property
    def numerics(self) -> dict[str, Any]:
        """As for every objective, and how rows and points are cut."""
        cut = {"row_blocks": self._parts.blocks.bounds[0][1], "backend": self._parts.backend}
        frozen = self._parts.policy.digest() if self._parts.network.normalised else ""
        return {**super().numerics, **cut, "rows": self.row_count, "statistics_values": frozen}
