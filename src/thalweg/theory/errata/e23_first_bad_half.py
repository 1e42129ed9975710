"""E23: the recursion of Dynamic String Sampling as printed forgets one half."""

from __future__ import annotations

import itertools
from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.core.function import Function
from thalweg.descent import GradientDescent
from thalweg.paths import StringSearch
from thalweg.records import PathStatus
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown

LEVEL = 0.02


def ring() -> Function:
    """(‖x‖² − 1)², whose minima are a circle."""
    return Function(lambda t: (t.square().sum() - 1) ** 2, 2, initial=torch.ones(2, dtype=torch.float64))


def on_circle(angle: float) -> Tensor:
    """The minimum at this angle."""
    turn = torch.tensor(angle, dtype=torch.float64)
    return torch.stack([turn.cos(), turn.sin()])


def highest(fn: Function, a: Tensor, b: Tensor) -> tuple[float, Tensor]:
    """The largest F on 201 points of the segment, and where."""
    t = torch.linspace(0, 1, 201, dtype=torch.float64)[:, None]
    points = t * b + (1 - t) * a
    values = fn.losses(points)
    return float(values.max()), points[int(values.argmax())]


def printed(fn: Function, beads: list[Tensor], first: int = 0) -> None:
    """FindConnection of Algorithm 1, line by line, between ``beads[first]`` and the next."""
    theta = highest(fn, beads[first], beads[first + 1])[1]
    while float(fn.losses(theta[None])[0]) > LEVEL / 2:
        theta = theta - 0.05 * fn.value_and_grad(theta[None])[1][0]
    beads.insert(first + 1, theta)
    errors = [highest(fn, beads[k], beads[k + 1])[0] for k in (first, first + 1)]
    if errors[0] > LEVEL:
        printed(fn, beads, first)
    elif errors[1] > LEVEL:  # not reached once the first half was above: the line before it has returned
        printed(fn, beads, first + 1)


@final
class FirstBadHalf(Erratum):
    """Lines 12 and 13 of Algorithm 1 return, where they should go on."""

    id: ClassVar[str] = "E23"
    place: ClassVar[str] = "004 §3.1, Algorithm 1"
    quote: ClassVar[str] = (
        "if MaxError_1 > L_0 then return FindConnection(Phi_1, Phi_3) / "
        "if MaxError_2 > L_0 then return FindConnection(Phi_3, Phi_2)"
    )
    judgement: ClassVar[Judgement] = "misprint"
    corrected: ClassVar[str] = (
        "Both halves have to be mended: as printed, the second is forgotten once the first needed a bead, and a string "
        "can come back that rises above L_0. “return” stands for a call."
    )
    fairness: ClassVar[str] = "A draft; its figure and §3.2 (“every new recursive branch”) show what is meant."
    states: ClassVar[tuple[str, ...]] = ("004.string_sampling",)

    def refute(self) -> Shown:
        """On a ring, between angles 0 and 2.8, the printed recursion ends with a segment above its threshold."""
        fn = ring()
        beads = [on_circle(0.0), on_circle(2.8)]
        printed(fn, beads)
        tops = [highest(fn, a, b)[0] for a, b in itertools.pairwise(beads)]
        said = f"{len(beads)} beads, the string rises to {max(tops):.3g} where {LEVEL} was asked"
        return Shown(max(tops) > 2 * LEVEL, said, {"top": max(tops), "beads": len(beads)})

    def confirm(self) -> Shown:
        """With both halves mended the same ends are joined at that level."""
        search = StringSearch(level=LEVEL, order="greedy", alpha=0.5, rule=GradientDescent(0.05), hessian=False)
        path = search(ring(), on_circle(0.0), on_circle(2.8))
        top = path.maximum.upper if path.maximum.upper is not None else float("inf")
        said = f"{path.message} The top is {top:.3g}"
        return Shown(path.status is PathStatus.CONNECTED and top <= LEVEL, said, {"top": top})


if __name__ == "__main__":
    print(FirstBadHalf().report())
