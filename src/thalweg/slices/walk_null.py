"""What principal components make of pure noise: the shares of variance that a random walk explains.

The points of a random walk in many dimensions have a covariance, point against point, that is known: its
eigenvalues are those of the inverse of a path graph's Laplacian. A walk explains 60.8 % and 15.2 % of its
variance by its first two components, however little there is to explain (Antognini & Sohl-Dickstein 2018).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.errors import InputError

About = Literal["mean", "end"]

FEW_DIMENSIONS = 100
"""Below this many parameters walks are simulated: the formulas are those of many dimensions."""

DRAWS = 200
"""How many walks are simulated then."""


def walk_shares(points: int, about: About = "mean") -> np.ndarray:
    """Shares of a random walk of ``points`` points with equal steps, in many dimensions: float64 [points − 1].

    About the mean, component k has 3 / (2 (T² − 1) sin²(πk/2T)), which tends to 6/(πk)²; the covariance is the
    pseudo-inverse of the path graph's Laplacian (Antognini & Sohl-Dickstein 2018, §3, for T → ∞). About the last
    point it has 1 / (2 n (n + 1) sin²((2k − 1)π/(4n + 2))) with n = T − 1, which tends to 8/(π(2k − 1))².

    Raises
    ------
    InputError
        If there are fewer than 2 points, or ``about`` is neither.
    """
    if points < 2:
        raise InputError(f"points={points}: a walk has at least 2")
    k, n = np.arange(1, points), points - 1
    if about == "mean":
        return 1.5 / ((points**2 - 1) * np.sin(np.pi * k / (2 * points)) ** 2)
    if about != "end":
        raise InputError(f"about={about!r}: choose 'mean' or 'end'")
    return 0.5 / (n * (n + 1) * np.sin((2 * k - 1) * np.pi / (4 * n + 2)) ** 2)


def expected_shares(squares: Sequence[Tensor], starts: Tensor, about: About = "mean") -> np.ndarray:
    """Shares of R walks in many dimensions, with steps of squared lengths ``squares`` (R times [T_r − 1]).

    ``starts`` [R, P] are where they begin. The last point of the first walk is what ``about="end"`` measures from.
    Descending, float64 [ΣT − 1].
    """
    shifts = (starts - starts[0]).double()
    owner = torch.cat([torch.full((len(s) + 1,), r) for r, s in enumerate(squares)])
    gram = (shifts @ shifts.T)[owner][:, owner]
    grown = [torch.cat([torch.zeros(1, dtype=torch.float64), s.double().cumsum(0)]) for s in squares]
    # two points of one walk share the steps up to the earlier of them, and nothing with another walk
    gram += torch.block_diag(*[torch.minimum(g[:, None], g[None, :]) for g in grown])
    return _shares(referred(gram, len(grown[0]) - 1 if about == "end" else None))[:-1]


def simulated_shares(
    squares: Sequence[Tensor], starts: Tensor, about: About, rng: Stream, draws: int = DRAWS
) -> np.ndarray:
    """Shares of ``draws`` simulated sets of walks in the P dimensions of ``starts`` [R, P]: float64 [draws, ΣT − 1]."""
    size, found = starts.shape[1], []
    for i in range(draws):
        generator, walks = rng("walk", i).torch(), []
        for start, s in zip(starts.double(), squares, strict=True):
            noise = torch.randn(len(s), size, generator=generator, dtype=torch.float64) / math.sqrt(size)
            steps = s.double().sqrt().unsqueeze(1) * noise
            walks.append(start + torch.cat([torch.zeros(1, size, dtype=torch.float64), steps.cumsum(0)]))
        points = torch.cat(walks)
        points = points - (points.mean(0) if about == "mean" else walks[0][-1])
        found.append(_shares(points @ points.T)[:-1])
    return np.stack(found)


def spread(shares: np.ndarray, dimensions: int) -> np.ndarray:
    """Standard deviation of a walk's shares in that many dimensions, from all of them; float64, like ``shares``.

    Eigenvalues of a Wishart matrix of many degrees of freedom vary independently by λ√(2/P) (Anderson 1963, §2); a
    share is a quotient of such.
    """
    return shares * np.sqrt(2 / dimensions * (1 - 2 * shares + np.sum(shares**2)))


def walk_null(paths: Sequence[Tensor], rng: Stream, about: About = "mean", k: int = 10) -> dict[str, np.ndarray]:
    """The first k shares of random walks as long as these paths (each [T, P]), from the same starts, as arrays.

    ``walk`` with steps of one length (the root mean square of all), ``walk_lengths`` with the paths' own lengths,
    ``walk_spread`` the larger standard deviation of both, ``walk_points`` [R] their numbers of points.
    """
    squares = [step_squares(path) for path in paths]
    mean = torch.cat(squares).mean()
    even = [torch.full_like(s, float(mean)) for s in squares]
    starts = torch.stack([path[0] for path in paths]).double().cpu()
    found, spreads = [], []
    for lengths in (even, squares):
        if starts.shape[1] < FEW_DIMENSIONS:
            drawn = simulated_shares(lengths, starts, about, rng)
            found.append(drawn.mean(0))
            spreads.append(drawn.std(0))
            continue
        alone = len(paths) == 1 and lengths is even
        shares = walk_shares(len(paths[0]), about) if alone else expected_shares(lengths, starts, about)
        found.append(shares)
        spreads.append(spread(shares, starts.shape[1]))
    return {
        "walk": found[0][:k],
        "walk_lengths": found[1][:k],
        "walk_spread": np.maximum(*spreads)[:k],
        "walk_points": np.array([len(path) for path in paths]),
    }


def step_squares(path: Tensor) -> Tensor:
    """Squared lengths of the steps between the points of a path [T, P]: float64 [T − 1]."""
    return torch.stack([(b - a).double().square().sum() for a, b in itertools.pairwise(path)]).cpu()


def referred(gram: Tensor, to: int | None) -> Tensor:
    """Inner products [n, n] of points as those of their differences from point ``to``, or from the mean (None)."""
    if to is not None:
        return gram - gram[to] - gram[:, to : to + 1] + gram[to, to]
    means = gram.mean(0)
    return gram - means - means.unsqueeze(1) + means.mean()


def _shares(gram: Tensor) -> np.ndarray:
    values = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0)
    return (values / values.sum()).numpy()
