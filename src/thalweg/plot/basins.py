"""What both kinds of figure need to know about basins: which are shown, where their branches stand, their outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.plot.scale import Scale
from thalweg.records import Topology

MOST = 12
"""At most this many basins are drawn: those that survive first, each by persistence."""


@dataclass(frozen=True)
class Branch:
    """A basin as a branch: from ``birth`` to ``death`` at abscissa ``x``, where it falls into ``parent``, if drawn.

    ``lives`` says that it never dies: ``death`` is then the top of the values.
    """

    basin: int
    birth: float
    death: float
    lives: bool
    x: float
    parent: int | None
    survives: bool
    area: int

    def ends(self, scale: Scale) -> tuple[float, float]:
        """Birth and death as drawn: a logarithmic scale draws zeros at its low end."""
        low = scale.low if scale.zeros else -np.inf
        return max(self.birth, low), max(self.death, low)

    @property
    def label(self) -> str:
        """What its bar says: its rise, and how many cells it has."""
        rise = "never ends" if self.lives else f"rises {self.death - self.birth:.2g}"
        return f"{rise}; {self.area:,} cell{'s' if self.area > 1 else ''}"


def branches(record: Topology, most: int = MOST) -> list[Branch]:
    """The basins to draw, the most persistent first, side by side so that no two branches cross."""
    order = np.lexsort((np.arange(record.count), ~record.survives))[:most].tolist()
    shown = sorted(order)
    finite = record.data["values"][np.isfinite(record.data["values"])]
    top = float(finite.max()) if finite.size else 0.0
    parents, deaths = record.data["parents"].tolist(), record.data["deaths"]
    heirs: dict[int, int | None] = {b: _drawn(parents, b, shown) for b in shown}
    places = _places(shown, heirs, deaths)
    return [
        Branch(
            basin=b,
            birth=float(record.data["births"][b]),
            death=float(deaths[b]) if np.isfinite(deaths[b]) else top,
            lives=not np.isfinite(deaths[b]),
            x=places[b],
            parent=heirs[b],
            survives=bool(record.survives[b]),
            area=int(record.data["areas"][b]),
        )
        for b in shown
    ]


def left_out(record: Topology, shown: Sequence[Branch]) -> str:
    """How many basins are not drawn, in words; empty where all are."""
    more = record.count - len(shown)
    return f"{more:,} more basin{'s' if more > 1 else ''} not drawn" if more else ""


def cut(record: Topology) -> tuple[np.ndarray, np.ndarray, tuple[int | slice, ...], str]:
    """Coefficients along both axes of the map, the index of its cells, and what it is a cut at.

    A surface is its own map; of a volume it is the plane through the lowest minimum.
    """
    coordinates, label = record.data["coordinates"], ""
    index: tuple[int | slice, ...] = (slice(None), slice(None))
    if coordinates.ndim == 4:
        at = int(record.data["minima"][0, 2]) if record.count else coordinates.shape[2] // 2
        index = (*index, at)
        label = f"cut at {record.axes[2] if len(record.axes) > 2 else 'c'} = {coordinates[0, 0, at, 2]:.4g}"
    flat = coordinates[index]
    return flat[:, 0, 0], flat[0, :, 1], index, label


def on_map(record: Topology, cell: np.ndarray) -> bool:
    """Whether a cell lies on the map, which of a volume is one plane of cells."""
    _, _, index, _ = cut(record)
    return bool((cell >= 0).all()) and (len(index) < 3 or cell[2] == index[2])


def outline(inside: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The border of a set of cells [n0, n1] as segments [s, 2, 2] half-way between cell centres."""
    across, up = _edges(x), _edges(y)
    padded = np.pad(inside, 1)
    i, j = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])  # between columns i − 1 and i, along cell j
    upright = np.stack([np.stack([across[i], up[j]], -1), np.stack([across[i], up[j + 1]], -1)], axis=1)
    i, j = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    level = np.stack([np.stack([across[i], up[j]], -1), np.stack([across[i + 1], up[j]], -1)], axis=1)
    return np.concatenate([upright, level])


def _edges(at: np.ndarray) -> np.ndarray:
    """Borders between cells, [n + 1]; the outer ones lie on the outermost cells, where the picture ends."""
    return np.concatenate([at[:1], (at[1:] + at[:-1]) / 2, at[-1:]])


def _drawn(parents: list[int], basin: int, shown: Sequence[int]) -> int | None:
    """The nearest ancestor that is drawn."""
    at = parents[basin]
    while at >= 0 and at not in shown:
        at = parents[at]
    return at if at >= 0 else None


def _places(shown: Sequence[int], heirs: dict[int, int | None], deaths: np.ndarray) -> dict[int, float]:
    """An abscissa for each branch: those that end lower stand nearer to the one they fall into, on either side."""
    children: dict[int | None, list[int]] = {b: [] for b in (None, *shown)}
    for b in shown:
        children[heirs[b]].append(b)

    def laid(b: int) -> list[int]:
        left: list[int] = []
        right: list[int] = []
        for i, child in enumerate(sorted(children[b], key=lambda c: (deaths[c], c))):
            if i % 2:
                left = laid(child) + left
            else:
                right = right + laid(child)
        return [*left, b, *right]

    row = [b for root in children[None] for b in laid(root)]
    return {b: float(i) for i, b in enumerate(row)}
