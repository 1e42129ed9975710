"""Where normalising layers take their means and variances from when the parameters move.

A BatchNorm network has a landscape only together with such a policy, so the policy is part of the
objective's fingerprint and is named in every record.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.core.moments import Moments, given_out, matched
from thalweg.core.network import Network
from thalweg.core.rows import RowBlocks
from thalweg.core.space import Point
from thalweg.errors import StatisticsError


class Statistics(ABC):
    """Base of the policies. ``derivatives`` says whether gradients and products are offered."""

    name: ClassVar[str]
    derivatives: ClassVar[bool] = True
    per_point: ClassVar[bool] = False
    """Whether the buffers depend on the parameters, so that points cannot share them in one batch."""
    calibrates: ClassVar[bool] = False
    """Whether the buffers at a point take a pass over the calibration rows."""

    @abstractmethod
    def buffers(
        self, network: Network, named: Mapping[str, Tensor], calibration: RowBlocks
    ) -> Mapping[str, Tensor] | None:
        """The buffers at these parameters; None normalises each row block by itself."""

    def between(self, first: Point, second: Point) -> Statistics:
        """The policy for values between two points: itself, unless it is one between two others."""
        return self

    def digest(self) -> str:
        """A digest of the values the policy holds; empty where it holds none."""
        return ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False)
class Freeze(Statistics):
    """Fixed buffers: those given, or the module's own. The surface is smooth in the parameters alone."""

    values: Mapping[str, Tensor] | None = None
    of: str = "module"
    name: ClassVar[str] = "freeze"

    def buffers(
        self, network: Network, named: Mapping[str, Tensor], calibration: RowBlocks
    ) -> Mapping[str, Tensor] | None:
        """The same at every point."""
        return {**network.buffers, **_fitted(self.values, network)} if self.values else network.buffers

    def digest(self) -> str:
        """Of the frozen buffers."""
        return digest(self.values or {})

    def __str__(self) -> str:
        return f"freeze({self.of})"


@dataclass(frozen=True)
class Batch(Statistics):
    """Each fixed row block is normalised by its own mean and variance, as in a training step."""

    name: ClassVar[str] = "batch"

    def buffers(
        self, network: Network, named: Mapping[str, Tensor], calibration: RowBlocks
    ) -> Mapping[str, Tensor] | None:
        """None: nothing is fixed."""
        return None


@dataclass(frozen=True)
class Recalibrate(Statistics):
    """Buffers estimated anew at every point by one pass over the training rows; values only.

    Cumulative averages over the fixed row blocks, as torch's ``momentum=None``; rows given by
    ``with_data`` are evaluated with statistics of the original rows. Izmailov et al. 2018, §3.2.
    """

    name: ClassVar[str] = "recalibrate"
    derivatives: ClassVar[bool] = False
    per_point: ClassVar[bool] = True
    calibrates: ClassVar[bool] = True

    def buffers(
        self, network: Network, named: Mapping[str, Tensor], calibration: RowBlocks
    ) -> Mapping[str, Tensor] | None:
        """After one train-mode pass at these parameters."""
        return network.recalibrated(named, calibration)


@dataclass(frozen=True, eq=False)
class Interpolate(Statistics):
    """Buffers interpolated between two points by the projection of the parameters onto their segment.

    Goldstein's "states" rule (Li et al. 2018, code): right at the two ends, a guess between them.
    """

    first: Point
    second: Point
    name: ClassVar[str] = "interpolate"
    derivatives: ClassVar[bool] = False
    per_point: ClassVar[bool] = True

    def buffers(
        self, network: Network, named: Mapping[str, Tensor], calibration: RowBlocks
    ) -> Mapping[str, Tensor] | None:
        """(1 − t)·first + t·second, t = ⟨θ − a, b − a⟩ / ‖b − a‖²."""
        if self.first.statistics is None or self.second.statistics is None:
            raise StatisticsError("Interpolate needs the statistics of both points: load them from checkpoints")
        t = _share(network, named, self.first, self.second)
        ends = [_fitted(network.running(p), network) for p in (self.first.statistics, self.second.statistics)]
        return {**network.buffers, **{name: torch.lerp(x, ends[1][name], t) for name, x in ends[0].items()}}

    def between(self, first: Point, second: Point) -> Interpolate:
        """The same between two other points."""
        return Interpolate(first, second)

    def digest(self) -> str:
        """Of both ends."""
        return digest(self.first.statistics or {}) + digest(self.second.statistics or {})


@dataclass(frozen=True, eq=False)
class Repair(Statistics):
    """Buffers under which every normalising layer gives out the mix of what it gives out at two points; values only.

    Mean and standard deviation of each channel behind the layer are (1 − t)·first + t·second, t as in
    :class:`Interpolate`, each end with its own statistics. Where those are exact for the training rows this is
    :class:`Recalibrate`; where they are running averages, only this one keeps both ends as they are. Jordan et al.
    2022 (REPAIR); layers without normalisation are not renormalised.
    """

    first: Point
    second: Point
    name: ClassVar[str] = "repair"
    derivatives: ClassVar[bool] = False
    per_point: ClassVar[bool] = True
    calibrates: ClassVar[bool] = True
    _ends: dict[int, tuple[Network, list[dict[str, Moments]]]] = field(default_factory=dict, init=False, repr=False)

    def buffers(
        self, network: Network, named: Mapping[str, Tensor], calibration: RowBlocks
    ) -> Mapping[str, Tensor] | None:
        """After one pass at these parameters; the first time, one at each end too."""
        if self.first.statistics is None or self.second.statistics is None:
            raise StatisticsError("Repair needs the statistics of both points: load them from checkpoints")
        if id(network) not in self._ends:
            points = (self.first, self.second)
            self._ends[id(network)] = network, [_given_out(network, p, calibration) for p in points]
        t, (one, other) = _share(network, named, self.first, self.second), self._ends[id(network)][1]
        return matched(network, named, {name: m.lerp(other[name], t) for name, m in one.items()}, calibration)

    def between(self, first: Point, second: Point) -> Repair:
        """The same between two other points."""
        return Repair(first, second)

    def digest(self) -> str:
        """Of both ends."""
        return digest(self.first.statistics or {}) + digest(self.second.statistics or {})


def _share(network: Network, named: Mapping[str, Tensor], first: Point, second: Point) -> float:
    """How far along the segment the projection of these parameters lies; 0 where the points coincide."""
    theta = network.space().ravel(named).double()
    a, b = first.theta.to(theta), second.theta.to(theta)
    length = float((b - a).square().sum())
    return float((theta - a) @ (b - a)) / length if length > 0 else 0.0


def _given_out(network: Network, point: Point, calibration: RowBlocks) -> dict[str, Moments]:
    space = network.space()
    buffers = {**network.buffers, **_fitted(network.running(point.statistics or {}), network)}
    return given_out(network, space.unravel(space.check(point.theta)), buffers, calibration)


def _fitted(values: Mapping[str, Tensor], network: Network) -> dict[str, Tensor]:
    """In the dtype and on the device of the network's own buffers."""
    return {name: value.to(network.buffers[name]) for name, value in values.items() if name in network.buffers}


def digest(values: Mapping[str, Tensor]) -> str:
    """A digest of named tensors; 16 hexadecimal digits."""
    found = hashlib.blake2b(digest_size=8)
    for name in sorted(values):
        found.update(name.encode())
        found.update(values[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


POLICIES: dict[str, type[Freeze] | type[Batch] | type[Recalibrate] | type[Interpolate] | type[Repair]] = {
    policy.name: policy for policy in (Freeze, Batch, Recalibrate, Interpolate, Repair)
}


def differ(network: Network, points: tuple[Point, ...]) -> bool:
    """Whether these points were saved with different running statistics."""
    known = [network.running(p.statistics if p.statistics is not None else network.buffers) for p in points]
    return any(
        not torch.equal(first.cpu(), other[name].cpu())
        for other in known[1:]
        for name, first in known[0].items()
        if name in other
    )
