"""A grid of values in which neighbouring cells touch: what basins of lines, planes and volumes are found on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from thalweg.errors import InputError

Links = tuple[np.ndarray, np.ndarray, np.ndarray]
"""First end, second end (flat indices) and the level at which they touch, one entry per link."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """Values on a 1-D, 2-D or 3-D grid; two cells touch at the larger of their values.

    ``connectivity`` counts the neighbours of an inner cell: 2 on a line, 4 (sides) or 8 (and corners) on a
    plane, 6 (faces) or 26 in a volume; ``None`` is 2, 4 or 6. Cells that are NaN or infinite are holes and
    touch nothing. The cubical complex whose vertices are the cells gives 4 and 6, the one whose top cells
    they are gives 8 and 26 (Bleile et al. 2022, V- and T-construction).

    Raises
    ------
    InputError
        If the array has no cell, more than three axes or no real numbers, or the connectivity is not of its grid.
    """

    values: np.ndarray
    connectivity: int | None = None
    finite: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        values = real(self.values, "values")
        if not 1 <= values.ndim <= 3 or not values.size:
            raise InputError(f"values have shape {values.shape}: give a grid of 1 to 3 axes with at least one cell")
        known = {2 * values.ndim, 3**values.ndim - 1}
        connectivity = 2 * values.ndim if self.connectivity is None else self.connectivity
        if connectivity not in known:
            choices = " or ".join(str(c) for c in sorted(known))
            raise InputError(f"connectivity={connectivity!r} is not of a {values.ndim}-D grid: choose {choices}")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "connectivity", int(connectivity))
        object.__setattr__(self, "finite", np.isfinite(values))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the grid."""
        return self.values.shape

    def links(self) -> Iterator[Links]:
        """Every pair of touching cells once, one block per direction of the neighbour."""
        index = np.arange(self.values.size).reshape(self.shape)
        for offset in self._offsets():
            here = tuple(slice(max(0, -o), n - max(0, o)) for o, n in zip(offset, self.shape, strict=True))
            there = tuple(slice(max(0, o), n - max(0, -o)) for o, n in zip(offset, self.shape, strict=True))
            both = self.finite[here] & self.finite[there]
            level = np.maximum(self.values[here], self.values[there])
            yield index[here][both], index[there][both], level[both]

    def _offsets(self) -> list[tuple[int, ...]]:
        zero = (0,) * self.values.ndim
        steps = [step for step in product((-1, 0, 1), repeat=self.values.ndim) if step > zero]  # one of each ±pair
        return [step for step in steps if self.connectivity != 2 * self.values.ndim or sum(map(abs, step)) == 1]


def real(values: object, name: str) -> np.ndarray:
    """The values as a float64 array of their own.

    Raises
    ------
    InputError
        If they are not real numbers.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} are of type {array.dtype}: give real numbers")
    return np.array(array, dtype=np.float64)
