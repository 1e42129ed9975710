"""Principal directions of a trajectory (Li et al. 2018, §7; Lorch 2016)."""

from __future__ import annotations

import torch
from torch import Tensor

from thalweg.core.directions import Dense, Directions
from thalweg.core.space import ParameterSpace
from thalweg.errors import InputError


def principal(space: ParameterSpace, thetas: Tensor, center: Tensor, k: int = 2) -> Directions:
    """The k directions that hold most of the trajectory thetas [T, P] around ``center`` [P]; unit rows.

    Differences from the centre are decomposed without subtracting their mean, so that the centre stays on
    the slice (Li et al. centre at the final point). ``explained`` is each direction's share of the squared
    distance. A random walk gives 81 % and 9 % in this convention, so a
    large share is no evidence of a simple path.

    Raises
    ------
    InputError
        If the trajectory does not span k directions.
    """
    differences = (space.check(thetas) - space.check(center)).double()
    # The Gram matrix [T, T] is small where P is large; its eigenvectors give the right singular vectors.
    values, vectors = torch.linalg.eigh(differences @ differences.T)
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    rank = int((values > values[0] * 1e-12).sum()) if len(values) and values[0] > 0 else 0
    if rank < k:
        raise InputError(f"the trajectory of {len(thetas)} points spans {rank} directions: {k} are needed; record more")
    rows = (vectors[:, :k] / values[:k].sqrt()).T @ differences
    rows = torch.linalg.qr(rows.T).Q.T * torch.sign(torch.linalg.qr(rows.T).R.diagonal()).unsqueeze(1)
    explained = tuple((values[:k] / values.sum()).tolist())
    recipe = {"kind": "pca", "points": len(thetas), "centered": "at the centre of the slice"}
    return Dense(space, rows, recipe, tuple(f"PC {i + 1}" for i in range(k)), explained)
