"""What both kinds of figure need to know about a simplex: its faces, and the small triangles of their lattice."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from thalweg.records import SimplexSurface

MOST = 6
"""At most this many faces are drawn."""

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(0.75)]])
"""An equilateral triangle: no point is preferred."""


@dataclass(frozen=True)
class Face:
    """Three of the points: their indices, rows of the arrays, places [m, 2] of the mixtures, small triangles [t, 3]."""

    corners: tuple[int, ...]
    rows: np.ndarray
    places: np.ndarray
    triangles: np.ndarray


def faces(record: SimplexSurface, most: int = MOST) -> list[Face]:
    """The triangles that three of the points make, in order; none of a simplex of two points."""
    found = []
    for corners in itertools.islice(itertools.combinations(range(len(record.marks)), 3), most):
        rows = record.face(corners)
        weights = record.weights[rows][:, list(corners)]
        counts = np.rint(weights * record.divisions).astype(int)
        found.append(Face(corners, rows, weights @ CORNERS, _triangles(counts, record.divisions)))
    return found


def left_out(record: SimplexSurface) -> int:
    """How many faces are not drawn."""
    return max(0, math.comb(len(record.marks), 3) - MOST)


def _triangles(counts: np.ndarray, divisions: int) -> np.ndarray:
    """Small triangles between neighbours of the lattice, [t, 3], as rows of ``counts`` [m, 3]."""
    where = {tuple(c): i for i, c in enumerate(counts.tolist())}
    found = []
    for i, j in itertools.product(range(divisions), repeat=2):
        k = divisions - 1 - i - j
        if k >= 0:
            found.append([where[i + 1, j, k], where[i, j + 1, k], where[i, j, k + 1]])
        if k >= 1:
            found.append([where[i, j + 1, k], where[i + 1, j, k], where[i + 1, j + 1, k - 1]])
    return np.array(found)
