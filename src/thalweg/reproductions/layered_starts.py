"""Gradient descent on deep linear networks with one output from layer-wise and from balanced starts, many at once."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from thalweg.core.rng import Stream
from thalweg.theory.deep_linear.build import balanced

ETAS = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Steps that are tried from every start; the best counts."""

Stack = np.ndarray


def steps_to(
    level: float, widths: tuple[int, ...], scales: np.ndarray, steps: int, rng: Stream
) -> dict[str, np.ndarray]:
    """Steps until ½‖W − Φ‖² is below ``level`` with the best of :data:`ETAS`, for every scale and start; NaN for never.

    ``scales`` are standard deviations: of every entry of every layer ("layerwise"), and for the "balanced" start of the
    entries of the product (Arora, Cohen, Golowich & Hu 2019, §5, compare the two in this way). Φ is drawn, of norm 1.
    """
    target = torch.randn(widths[-1], widths[0], generator=rng("target").torch(), dtype=torch.float64)
    phi = (target / target.norm()).numpy()
    starts: dict[str, list[list[np.ndarray]]] = {"layerwise": [], "balanced": []}
    for i, scale in enumerate(scales):
        generator = rng("start", i).torch()
        shapes = [(m, n) for n, m in itertools.pairwise(widths)]
        drawn = [scale * torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]
        whole = scale * torch.randn(widths[-1], widths[0], generator=generator, dtype=torch.float64)
        starts["layerwise"].append([w.numpy() for w in drawn])
        starts["balanced"].append([w.numpy() for w in balanced(whole, widths)])
    return {kind: _first(level, found, phi, steps) for kind, found in starts.items()}


def _first(level: float, starts: list[list[np.ndarray]], phi: np.ndarray, steps: int) -> np.ndarray:
    """The first step at which the loss is below ``level``, the least over the sizes of steps."""
    count = len(starts)
    eta = np.repeat(ETAS, count)[:, None, None]
    layers: list[Stack] = [np.tile(np.stack([s[j] for s in starts]), (len(ETAS), 1, 1)) for j in range(len(starts[0]))]
    first = np.full(len(ETAS) * count, np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps + 1):
            below = _below(layers)
            loss = 0.5 * np.square(below[-1] - phi).sum((1, 2))
            first = np.where((loss < level) & np.isinf(first), step, first)
            layers = _step(layers, below, phi, eta)
    least = first.reshape(len(ETAS), count).min(0)
    return np.where(np.isinf(least), np.nan, least)


def _below(layers: list[Stack]) -> list[Stack]:
    """The products W_1, W_2 W_1, … of every stack."""
    return list(itertools.accumulate(layers, lambda total, w: w @ total))


def _step(layers: list[Stack], below: list[Stack], phi: np.ndarray, eta: np.ndarray) -> list[Stack]:
    above, found = below[-1] - phi, list(layers)
    for j in range(len(layers) - 1, -1, -1):
        gradient = above @ below[j - 1].swapaxes(1, 2) if j else above
        found[j] = layers[j] - eta * gradient
        above = layers[j].swapaxes(1, 2) @ above
    return found
