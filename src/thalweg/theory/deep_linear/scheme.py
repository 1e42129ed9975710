"""Scalar outputs: how often a random start has a margin (Arora, Cohen, Golowich & Hu 2019, Theorem 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core.rng import Stream, stream
from thalweg.errors import InputError


@dataclass(frozen=True)
class Share:
    """How many of ``draws`` starts had a deficiency margin: ``share`` with its Wilson interval."""

    draws: int
    hits: int
    interval: tuple[float, float]

    @property
    def share(self) -> float:
        """The share."""
        return self.hits / self.draws


def margin_share(target: Tensor, scale: float, draws: int = 10_000, rng: int | Stream = 0, z: float = 1.96) -> Share:
    """How often W with N(0, scale²) entries is nearer to ``target`` [d_0] than the zero map is.

    For d_N = 1 the margin c = ‖Φ‖ − ‖W − Φ‖ is above 0 exactly where the loss is below that of W = 0. The balanced
    start with this product is :func:`thalweg.theory.deep_linear.balanced`.

    Raises
    ------
    InputError
        If the scale or the number of draws is not positive.
    """
    if not scale > 0 or draws < 1:
        raise InputError(f"scale={scale}, draws={draws}: both must be positive")
    generator = stream(rng)("margin").torch()
    drawn = scale * torch.randn(draws, target.numel(), generator=generator, dtype=torch.float64)
    phi = target.reshape(-1).double()
    hits = int(((drawn - phi).norm(dim=1) < phi.norm()).sum())
    share, square = hits / draws, z**2
    centre = (share + square / (2 * draws)) / (1 + square / draws)
    half = z * (share * (1 - share) / draws + square / (4 * draws**2)) ** 0.5 / (1 + square / draws)
    return Share(draws, hits, (max(0.0, centre - half), min(1.0, centre + half)))
