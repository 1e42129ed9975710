"""One seed, many named streams: adding a consumer of randomness never changes the draws of another."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from thalweg.errors import InputError


@dataclass(frozen=True, slots=True)
class Stream:
    """A substream of ``seed``, named by its path; the same path gives the same draws on every machine."""

    seed: int
    path: tuple[str, ...] = ()

    def __call__(self, *names: object) -> Stream:
        """The substream of this one with these names."""
        return Stream(self.seed, (*self.path, *(str(name) for name in names)))

    @property
    def entropy(self) -> int:
        """A 63-bit integer from seed and path."""
        text = "\x1f".join((str(self.seed), *self.path))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1

    def torch(self) -> torch.Generator:
        """A fresh CPU generator at the start of the stream; draw on the CPU, then move."""
        return torch.Generator().manual_seed(self.entropy)

    def numpy(self) -> np.random.Generator:
        """A fresh NumPy generator at the start of the stream."""
        return np.random.default_rng(self.entropy)

    def __str__(self) -> str:
        return "/".join((str(self.seed), *self.path))


def stream(rng: int | Stream) -> Stream:
    """A seed or a stream, as a stream.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(rng, Stream):
        return rng
    if isinstance(rng, bool) or not isinstance(rng, (int, np.integer)):
        raise InputError(f"rng={rng!r} is neither a seed nor a Stream: pass an integer such as rng=0")
    return Stream(int(rng))
