"""Principal directions of a trajectory (Li et al. 2018, §7; Lorch 2016)."""

from __future__ import annotations

import torch
from torch import Tensor

from thalweg.core.directions import Dense, Directions
from thalweg.core.space import ParameterSpace
from thalweg.errors import InputError
from thalweg.slices.walk_null import referred

COLUMNS = 2**18
"""Parameters that are converted to float64 at a time."""


def principal(space: ParameterSpace, thetas: Tensor, center: Tensor | None = None, k: int = 2) -> Directions:
    """The k directions that hold most of the points thetas [T, P]; unit rows.

    Without a ``center`` these are the principal components: differences are taken from the mean, and ``explained``
    is each one's share of the variance (as in the code of Li et al. 2018). With one [P], from it: ``explained``
    is then a share of the squared distance, and slices through the centre miss the points by as little as can be. A
    random walk has large shares too, and larger ones from its end: see :mod:`thalweg.slices.walk_null`.

    Raises
    ------
    InputError
        If the points do not span k directions.
    """
    found, _ = components(space, thetas, center, k)
    return found


def components(
    space: ParameterSpace, thetas: Tensor, center: Tensor | None = None, k: int = 2
) -> tuple[Directions, Tensor]:
    """The principal directions, and the share of every component, float64 [T], descending."""
    points = space.check(thetas)
    origin = points.mean(0) if center is None else space.check(center)
    # The Gram matrix [T, T] is small where P is large; its eigenvectors give the right singular vectors.
    gram = torch.zeros(len(points), len(points), dtype=torch.float64, device=points.device)
    for part, at in zip(points.split(COLUMNS, 1), origin.split(COLUMNS), strict=True):
        differences = part.double() - at.double()
        gram += differences @ differences.T
    if center is None:
        gram = referred(gram, None)  # the mean was rounded to the dtype of the space
    values, vectors = torch.linalg.eigh(gram)
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    rank = int((values > values[0] * 1e-12).sum()) if len(values) and values[0] > 0 else 0
    if rank < k:
        raise InputError(f"the trajectory of {len(thetas)} points spans {rank} directions: {k} are needed; record more")
    mix = (vectors[:, :k] / values[:k].sqrt()).T
    if center is None:
        mix = mix - mix.mean(1, keepdim=True)  # what the constant part would carry of the rounded mean
    parts = zip(points.split(COLUMNS, 1), origin.split(COLUMNS), strict=True)
    rows = torch.cat([mix @ (part.double() - at.double()) for part, at in parts], dim=1)
    q, r = torch.linalg.qr(rows.T)  # what rounding left of a perfect right angle
    rows = q.T * torch.sign(r.diagonal()).unsqueeze(1)
    shares = values / values.sum()
    about = "the mean" if center is None else "the centre of the slice"
    recipe = {"kind": "pca", "points": len(thetas), "centered": f"at {about}"}
    explained = tuple(shares[:k].tolist())
    return Dense(space, rows, recipe, tuple(f"PC {i + 1}" for i in range(k)), explained), shares
