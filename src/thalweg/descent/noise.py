"""Draws that belong to a point and a step: they do not depend on the other points of a batch, nor on a resumption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from thalweg.core.rng import Stream

BLOCK = 4096
"""A point's draws of several steps come from one generator, this many numbers at a time."""


@final
class Noise:
    """The randomness of a batch of B points, a stream for each.

    A draw is a function of the point's stream, the name of the draw, its size and the step ``count``. Draws are
    float64 on the CPU, the same in every dtype and on every device.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self.streams = tuple(streams)
        self._kept: dict[str, tuple[int, Tensor]] = {}

    @classmethod
    def numbered(cls, rng: Stream, first: int, count: int) -> Noise:
        """Streams of the points ``first`` … ``first + count − 1``."""
        return cls([rng(b) for b in range(first, first + count)])

    def some(self, index: np.ndarray) -> Noise:
        """The randomness of some of the points."""
        made = Noise([self.streams[int(b)] for b in index])
        rows = torch.as_tensor(index)
        made._kept = {name: (block, drawn[rows]) for name, (block, drawn) in self._kept.items()}
        return made

    def normal(self, like: Tensor, count: int, name: str = "normal") -> Tensor:
        """Standard normal, of the shape [B, P], dtype and device of ``like``."""

        def draw(generator: torch.Generator, many: int) -> Tensor:
            return torch.randn(many, like.shape[1], generator=generator, dtype=torch.float64)

        return self._row(name, count, like.shape[1], draw).to(like)

    def sphere(self, like: Tensor, count: int) -> Tensor:
        """Uniform on the unit sphere, [B, P]."""
        drawn = self.normal(like.double(), count, "sphere")
        return (drawn / drawn.norm(dim=1, keepdim=True)).to(like)

    def integers(self, high: int, many: int, count: int, name: str = "integers") -> Tensor:
        """Uniform on 0 … high − 1, int64 [B, many], on the CPU."""

        def draw(generator: torch.Generator, steps: int) -> Tensor:
            return torch.randint(high, (steps, many), generator=generator)

        return self._row(name, count, many, draw)

    def ball(self, like: Tensor, count: int, which: Tensor) -> Tensor:
        """Uniform in the unit ball, U^{1/P} times a uniform direction, for the points ``which`` [B]; 0 for others."""
        found = torch.zeros(like.shape, dtype=torch.float64)
        size = like.shape[1]
        for b in which.nonzero().flatten().tolist():
            generator = self.streams[b]("ball", count).torch()
            drawn = torch.randn(size, generator=generator, dtype=torch.float64)
            radius = float(torch.rand((), generator=generator, dtype=torch.float64)) ** (1 / size)
            found[b] = radius * drawn / drawn.norm()
        return found.to(like)

    def _row(self, name: str, count: int, size: int, draw: Callable[[torch.Generator, int], Tensor]) -> Tensor:
        steps = max(1, BLOCK // size)
        block, place = divmod(count, steps)
        kept = self._kept.get(name)
        if kept is None or kept[0] != block or len(kept[1]) != len(self.streams):
            drawn = torch.stack([draw(stream(name, block).torch(), steps) for stream in self.streams])
            kept = self._kept[name] = (block, drawn)
        return kept[1][:, place]
