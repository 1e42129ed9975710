"""What is known about a landscape of the zoo: its critical points and where the facts come from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CriticalPoint:
    """A critical point: where, the value of F there, its Hessian's negative eigenvalues and what it is.

    ``kind`` is "global minimum", "local minimum", "strict saddle" or "degenerate saddle".
    """

    name: str
    theta: tuple[float, ...]
    value: float
    index: int
    kind: str


@dataclass(frozen=True)
class Facts:
    """Known critical points (representatives where they form families), the infimum, and the source."""

    infimum: float
    critical_points: tuple[CriticalPoint, ...]
    source: str
    note: str = ""
