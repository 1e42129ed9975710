"""The same risk over other rows, under another policy, by another backend, in another dtype."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from thalweg.core import backends
from thalweg.core.data import read
from thalweg.core.empirical.base import Held
from thalweg.core.parts import Metric
from thalweg.core.sharing import Split
from thalweg.core.space import Point
from thalweg.core.statistics import Batch, Freeze, Recalibrate, Statistics, differ
from thalweg.errors import StatisticsError, StatisticsWarning


class Variants(Held):
    """Views of a risk; each shares everything that it does not replace."""

    def with_data(self, data: Any) -> Self:
        """The same network, loss and statistics over other rows; recalibration still uses the first rows."""
        table = read(data).to(self.space.dtype, self.space.device)
        return self._with(blocks=self._parts.blocks.of(table), test=None)

    @property
    def test(self) -> Self | None:
        """The same network, loss, regulariser and statistics over the test rows; None where there are none."""
        if self._parts.test is None:
            return None
        return self._with(blocks=self._parts.blocks.of(self._parts.test), test=None)

    def with_metrics(self, metrics: Mapping[str, Metric]) -> Self:
        """The same objective with other metrics reported beside F."""
        return self._with(metrics=dict(metrics))

    def with_statistics(self, statistics: Statistics | None) -> Self:
        """The same objective under another normalisation policy; None lets the points decide."""
        return self._with(statistics=statistics)

    def with_backend(self, backend: str) -> Self:
        """The same objective evaluated by another backend."""
        backends.check(backend)
        return self._with(backend=backend)

    def at(self, *points: Point) -> Self:
        """The policy for values reported at these points.

        A forced policy stays; one between two points goes over to these two, and Freeze without values takes the
        first point's and warns when the others differ. Otherwise one set of statistics freezes it, and several are
        recalibrated at every point.
        """
        policy = self._parts.statistics
        if policy is not None and not (isinstance(policy, Freeze) and policy.values is None):
            between = policy if len(points) != 2 else policy.between(*points)
            return self if between is policy else self.with_statistics(between)
        if not self._parts.network.normalised or not points:
            return self if policy is not None else self.with_statistics(self._frozen(*points[:1]))
        mixed = differ(self._parts.network, points)
        if policy is None and mixed:
            return self.with_statistics(Recalibrate())
        if mixed:
            warnings.warn(
                f"statistics of {len(points)} points differ and freeze uses those of {points[0].name!r}: "
                "losses of the others are not their own; --statistics recalibrate estimates each",
                StatisticsWarning,
                stacklevel=2,
            )
        return self.with_statistics(self._frozen(points[0]))

    def training(self) -> Self:
        """The policy of a training step: Batch, unless one with derivatives is forced."""
        forced = self._parts.statistics
        if not self._parts.network.normalised or (forced is not None and forced.derivatives):
            return self
        return self.with_statistics(Batch())

    def reporting(self) -> Self:
        """The policy for values at points that move: Recalibrate, unless one is forced."""
        if not self._parts.network.normalised or self._parts.statistics is not None:
            return self
        return self.with_statistics(Recalibrate())

    def point(self, theta: Tensor | np.ndarray | Point, name: str = "theta") -> Point:
        """Theta as a Point; a bare tensor of a normalising network gets statistics by recalibration."""
        if isinstance(theta, Point):
            return theta
        vector = self.space.check(theta)
        if not self._parts.network.normalised:
            return Point(vector, self._parts.network.buffers or None, name)
        if isinstance(self._parts.calibration, Split):
            raise StatisticsError("statistics of a new point need all rows in one process: use --split points")
        buffers = self._parts.network.recalibrated(self.space.unravel(vector), self._parts.calibration)
        return Point(vector, buffers, name)

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> Self:
        """The same risk in another dtype or on another device; data and loss weights move along."""
        dtype, target = dtype or self.space.dtype, torch.device(device) if device else self.space.device
        p = self._parts
        moved = [b.to(dtype, target) for b in (p.blocks, p.calibration)]
        space = p.space.to(dtype, target)
        return self._with(
            network=p.network.to(dtype, target),
            space=space,
            initial=replace(p.initial, theta=space.check(p.initial.theta)),
            loss=p.loss.to(dtype, target),
            measured=p.measured.to(p.probe, target),
            blocks=moved[0],
            calibration=moved[1],
            test=None if p.test is None else p.test.to(dtype, target),
        )

    def _frozen(self, point: Point | None = None) -> Freeze:
        if point is None or point.statistics is None:
            return Freeze(self._parts.network.buffers)
        own = {name: value.to(self.space.device) for name, value in point.statistics.items()}
        return Freeze({n: v.to(self.space.dtype) if v.is_floating_point() else v for n, v in own.items()}, point.name)
