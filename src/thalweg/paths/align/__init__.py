"""Alignment: the units of one network brought into the order of another's; the function stays what it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.errors import InputError
from thalweg.paths.align.activations import ActivationMatching as ActivationMatching
from thalweg.paths.align.aligner import Aligner as Aligner
from thalweg.paths.align.find import symmetries as symmetries
from thalweg.paths.align.find import verify as verify
from thalweg.paths.align.frank_wolfe import FrankWolfe as FrankWolfe
from thalweg.paths.align.joined import AlignedSegment as AlignedSegment
from thalweg.paths.align.repair import RepairedSegment as RepairedSegment
from thalweg.paths.align.scaling import balanced as balanced
from thalweg.paths.align.sinkhorn import Sinkhorn as Sinkhorn
from thalweg.paths.align.straight_through import StraightThrough as StraightThrough
from thalweg.paths.align.symmetries import Symmetries as Symmetries
from thalweg.paths.align.weights import WeightMatching as WeightMatching
from thalweg.records import Alignment

ALIGNERS: Mapping[str, type[Aligner]] = {
    "weights": WeightMatching,
    "activations": ActivationMatching,
    "sinkhorn": Sinkhorn,
    "frank_wolfe": FrankWolfe,
    "straight_through": StraightThrough,
}
"""The methods by the names that ``align`` and the command line take."""


def aligner(method: str | Aligner) -> Aligner:
    """A method by name, or the one that is given.

    Raises
    ------
    InputError
        If the name is unknown.
    """
    if isinstance(method, Aligner):
        return method
    if method not in ALIGNERS:
        raise InputError(f"method={method!r} is unknown: choose {', '.join(ALIGNERS)}")
    return ALIGNERS[method]()


def align(
    objective: Objective,
    a: Point | Tensor | np.ndarray,
    b: Point | Tensor | np.ndarray,
    method: str | Aligner = "weights",
    *,
    rng: int | Stream = 0,
    evaluate: Evaluator | None = None,
    budget: Budget | None = None,
) -> Alignment:
    """B with its units in the order of a's, by a method or its name in :data:`ALIGNERS`."""
    return aligner(method)(objective, a, b, rng=rng, evaluate=evaluate, budget=budget)
