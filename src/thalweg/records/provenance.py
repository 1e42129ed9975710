"""Where an answer comes from: the objective, the points, the seed, the versions and the numerics."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies an objective: digests of shapes and data, its policy, and F at two fixed points.

    The two values of F are compared to 1e-4 relative and never hashed, so that another machine or
    thread count is still the same objective, while another loss or architecture is not.
    """

    shapes: str
    data: str
    statistics: str
    probes: tuple[float, ...]

    def differences(self, other: Fingerprint) -> list[str]:
        """What differs, in words; an empty list means the same objective."""
        found = [
            f"{name} {getattr(self, name)!r} is not {getattr(other, name)!r}"
            for name in ("shapes", "data", "statistics")
            if getattr(self, name) != getattr(other, name)
        ]
        for mine, theirs in zip(self.probes, other.probes, strict=True):
            both_nan = math.isnan(mine) and math.isnan(theirs)
            if not both_nan and not math.isclose(mine, theirs, rel_tol=1e-4, abs_tol=1e-12):
                found.append(f"F at a probe point is {mine:.6g}, not {theirs:.6g}")
        return found


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything needed to compute the record again.

    ``seed`` is the seed with the path of its substream, ``method`` the name and options of the method,
    ``statistics`` the normalisation policies used, ``backend`` what evaluated F and ``reason`` why,
    ``tolerance`` the relative rounding that reported values carry, ``notes`` every reservation.
    """

    fingerprint: Fingerprint
    method: dict[str, Any]
    points: tuple[str, ...]
    seed: str
    dtype: str
    device: str
    backend: str
    reason: str
    statistics: str
    tolerance: float
    threads: int
    rows: int
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""
    notes: tuple[str, ...] = ()
