"""What is known of a loss as a function of the outputs: squares, convexity."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.core.exact import structure
from thalweg.core.exact.form import NotExactError
from thalweg.core.exact.hidden import squares
from thalweg.core.parts import Parts
from thalweg.core.rng import Stream
from thalweg.records import Check, Guarantee
from thalweg.theory.certificates.head import shaped
from thalweg.theory.subject import Subject

CONVEX = frozenset({
    nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.CrossEntropyLoss, nn.BCEWithLogitsLoss, nn.NLLLoss,
    nn.SoftMarginLoss, nn.MultiMarginLoss, nn.HingeEmbeddingLoss, F.mse_loss, F.l1_loss, F.smooth_l1_loss,
    F.huber_loss, F.cross_entropy, F.binary_cross_entropy_with_logits, F.nll_loss, F.soft_margin_loss,
    F.multi_margin_loss, F.hinge_embedding_loss,
})  # fmt: skip
"""Losses of torch that are convex in their first argument whatever the targets."""

NONNEGATIVE = CONVEX - {nn.NLLLoss, F.nll_loss}
"""Those of them that are never below zero."""

PAIRS = 256
"""Pairs of outputs between which an unknown loss is tested."""


@dataclass(frozen=True)
class Squares:
    """F = Σ curvature·(z − lowest)² + least over outputs z [n, K], with Z worked in."""

    curvature: Tensor
    lowest: Tensor
    least: float

    def residual(self, outputs: Tensor) -> Tensor:
        """√curvature·(z − lowest), [n, K]: its square is what F is above its least value."""
        return self.curvature.sqrt() * (outputs - self.lowest)


def squares_of(parts: Parts, outputs: Tensor) -> Squares | None:
    """F as a weighted sum of squares of the outputs [n, K]; None for any other loss or with a regulariser."""
    table = parts.blocks.table
    if parts.regulariser is not None:
        return None
    given = shaped(parts, outputs)
    try:
        if structure._of_loss(parts, given, lambda _: 1, table) > 2:
            return None
        curvature, lowest, least = squares(parts.loss, given, table)
    except NotExactError:
        return None
    if not bool((curvature >= 0).all()):
        return None
    c, y = (torch.from_numpy(found).to(outputs).reshape(outputs.shape) for found in (curvature, lowest))
    return Squares(c / parts.z, y, least / parts.z)


def unregularised(subject: Subject) -> Check:
    """F is the loss of the rows alone."""
    if subject.risk is None:
        return Check.given("no regulariser", False, "it is a function, of no rows")
    return Check.given("no regulariser", subject.risk._parts.regulariser is None)


def convex(subject: Subject, outputs: Tensor) -> tuple[Check, Guarantee]:
    """The loss is convex in the outputs: known by its form or its name, otherwise tested at random pairs.

    A test can only refute: its guarantee is then SAMPLED.
    """
    name = "the loss is convex in the outputs"
    assert subject.risk is not None
    parts = subject.risk._parts
    if squares_of(parts, outputs) is not None:
        return Check.given(name, True, "squared errors"), Guarantee.EXACT
    kind = kind_of(parts)
    if kind in CONVEX:
        return Check.given(name, True, kind.__name__), Guarantee.EXACT
    excess = _excess(parts, outputs, subject.rng("convex"))
    return Check.at_most(name, excess, 1e-9, f"tested between {PAIRS} pairs of outputs, not proved"), Guarantee.SAMPLED


def kind_of(parts: Parts) -> Any:
    """The class or function of torch that the loss is, if it is one."""
    fn: Any = getattr(parts.loss, "fn", None)
    while isinstance(fn, functools.partial):
        fn = fn.func
    return type(fn) if isinstance(fn, nn.Module) else fn


def _excess(parts: Parts, outputs: Tensor, source: Stream) -> float:
    """The largest relative amount by which F at a midpoint is above the mean of the ends."""
    generator, targets = source.torch(), parts.blocks.table.targets
    scale = float(outputs.square().mean().sqrt()) + 1.0
    worst = 0.0
    with torch.no_grad():
        for i in range(PAIRS):
            size = scale * 2.0 ** (i % 8 - 2)
            noise = torch.randn(2, *outputs.shape, generator=generator, dtype=torch.float64).to(outputs)
            a, b = outputs + size * noise[0], outputs + size * noise[1]
            ends = [parts.loss.each(shaped(parts, z), targets) for z in (a, b, (a + b) / 2)]
            gap = ends[2] - (ends[0] + ends[1]) / 2
            worst = max(worst, float((gap / (ends[0].abs() + ends[1].abs() + 1e-300)).max()))
    return worst
