"""How every construction ends: its knots as a path whose maximum is certified at the knots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.errors import BudgetSpent, InputError
from thalweg.paths.certificate import certify
from thalweg.paths.construct.chain import Chain, chain_of
from thalweg.paths.curve import Polyline
from thalweg.paths.ends import Ends
from thalweg.paths.trace import traced
from thalweg.records import Path


class Moves:
    """Knots in the making: the parts of a chain as they are, and every place they have been."""

    def __init__(self, parts: Sequence[Tensor]) -> None:
        self.parts = [p.clone() for p in parts]
        self.knots = [list(self.parts)]

    def set(self, layer: int, part: Tensor) -> None:
        """One layer moves straight to ``part``; a move that changes nothing is left out."""
        self.set_all({layer: part})

    def set_all(self, moved: dict[int, Tensor]) -> None:
        """Several layers move straight, together."""
        if all(torch.equal(part, self.parts[k]) for k, part in moved.items()):
            return
        self.parts = [moved.get(k, part).clone() for k, part in enumerate(self.parts)]
        self.knots.append(list(self.parts))

    def then(self, other: Moves) -> None:
        """Go on along another's knots backwards; layer by layer to where that ends, which differs by rounding."""
        for k, part in enumerate(other.parts):
            self.set(k, part)
        for parts in reversed(other.knots[:-1]):
            self.set_all(dict(enumerate(parts)))


def chain_at(joined: Ends) -> Chain:
    """The chain behind two ends.

    Raises
    ------
    InputError
        If the network is none, or normalises.
    """
    if joined.values.statistics_name:
        raise InputError("the network has normalising layers: this construction is for chains of linear layers")
    return chain_of(joined.values)


def finished(
    method: Any,
    joined: Ends,
    chain: Chain,
    moves: Moves,
    rng: Stream,
    *,
    name: str,
    evidence: Sequence[str],
    boxes: int = 300,
    arrays: Mapping[str, np.ndarray] | None = None,
    lower_bound: float | None = None,
) -> Path:
    """The record: knots in the space's own dtype, the ends as they were given."""
    base = joined.values.space.check(joined.a.theta)
    knots = torch.stack([chain.point(parts, base) for parts in moves.knots])
    knots[0], knots[-1] = base, joined.values.space.check(joined.b.theta)
    curve = Polyline(knots)
    said = list(evidence)
    try:
        found = certify(joined.values, curve, boxes=boxes, level=joined.level)
    except BudgetSpent as spent:
        bracket = None
        said.append(f"The path is not certified because {spent}.")
    else:
        bracket = found.bracket
        top = bracket.lower if bracket.upper is None else bracket.upper
        rise = float("nan") if top is None else top - max(joined.losses)
        said += [*found.evidence, f"F rises {rise:.3g} above the worse end."]
    return traced(
        method,
        joined.values,
        joined.points,
        curve,
        joined.level,
        rng,
        name=name,
        evidence=said,
        maximum=bracket,
        arrays=arrays,
        lower_bound=lower_bound,
        steps=max(60, len(knots)),
    )
