"""E15: a path to a smaller loss does not rise."""

from __future__ import annotations

import itertools
from typing import ClassVar, final

import numpy as np
import torch

from thalweg.critical import classify
from thalweg.records import Classification
from thalweg.slices import Line
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown
from thalweg.zoo.functions import single_neuron


@final
class PathsOutOfAValley(Erratum):
    """Non-increasing, not non-decreasing."""

    id: ClassVar[str] = "E15"
    place: ClassVar[str] = "001 §IV-D, after Definition IV.2"
    quote: ClassVar[str] = (
        "the absence of spurious valley ensures that starting from any of these sub-optimal local-min, there exists a "
        "non-decreasing path (not necessarily strictly decreasing path) to a region with smaller loss"
    )
    judgement: ClassVar[Judgement] = "misprint"
    corrected: ClassVar[str] = "A non-increasing path: one that ends lower than it starts cannot be non-decreasing."
    fairness: ClassVar[str] = "The words in brackets say what is meant."
    states: ClassVar[tuple[str, ...]] = ("001.definition_IV.2",)

    def refute(self) -> Shown:
        """From the bad minimum of Figure 2 to a smaller loss F falls somewhere on the way."""
        values, start = self._path()
        falls = int((np.diff(values) < 0).sum())
        said = f"from index {start.index} F goes from {values[0]:g} to {values[-1]:.2g} and falls at {falls} steps"
        ok = start.gradient_norm == 0 and start.index.upper == 0 and falls > 0 and values[-1] < values[0]
        return Shown(ok, said, {"falls": falls})

    def confirm(self) -> Shown:
        """The same path, flat until v < 0 and then down, rises nowhere."""
        values, _ = self._path()
        rise, flat = float(np.diff(values).max()), int((np.diff(values) == 0).sum())
        said = f"the largest rise is {rise:.2g}; {flat} steps are flat before it falls"
        return Shown(rise <= 1e-15 and flat > 5 and values[-1] < 1e-20, said, {"rise": rise, "flat": flat})

    @staticmethod
    def _path() -> tuple[np.ndarray, Classification]:
        """F along (v, w): (1, 1), (−2, 1), (−2, 3); and what the start is."""
        fn = single_neuron().to(torch.float64)
        knots = [torch.tensor(p, dtype=torch.float64) for p in ((1.0, 1.0), (-2.0, 1.0), (-2.0, 3.0))]
        first, second = (Line(steps=41)(fn, a, b).data["loss"] for a, b in itertools.pairwise(knots))
        return np.concatenate([first, second[1:]]), classify(fn, knots[0])


if __name__ == "__main__":
    print(PathsOutOfAValley().report())
