"""What second-order rules know of the Hessians of a batch of points: eigenpairs, or Ritz pairs from products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from thalweg.core.products import Linearization
from thalweg.errors import InputError

Seed = Literal["random", "gradient"]
"""What a Krylov space grows from. From the gradient alone it never leaves the stable manifold of a saddle."""

BREAKDOWN = 1e-12
"""A new direction this much shorter than what it was made from is rounding, and is left out."""


@dataclass(frozen=True)
class Pairs:
    """Ritz pairs at B points, float64: values [B, m] ascending, vectors [B, m, P], scale [B] the largest |value|.

    Rows of ``vectors`` are orthonormal; where a Krylov space ended early they are zero, with value 0. ``whole`` says
    that they are all the eigenpairs.
    """

    values: Tensor
    vectors: Tensor
    scale: Tensor
    whole: bool

    def along(self, vector: Tensor) -> Tensor:
        """Coordinates of a vector [B, P] in the Ritz vectors, [B, m]."""
        return torch.einsum("bmp,bp->bm", self.vectors, vector.double())

    def combine(self, coordinates: Tensor) -> Tensor:
        """The vector [B, P] with these coordinates [B, m]."""
        return torch.einsum("bm,bmp->bp", coordinates, self.vectors)


def whole(linear: Linearization) -> Pairs:
    """Every eigenpair, from P products at each point."""
    count, size = linear.thetas.shape
    eye = torch.eye(size, dtype=linear.thetas.dtype, device=linear.thetas.device).expand(count, -1, -1)
    return _pairs(torch.eye(size, dtype=torch.float64, device=eye.device).expand(count, -1, -1), linear.hvp(eye), True)


def ritz(linear: Linearization, starts: Tensor, rank: int) -> Pairs:
    """Rayleigh–Ritz on the block Krylov space of ``starts`` [B, k, P]: at most ``rank`` directions, a product for each.

    Full reorthogonalisation in float64 (Golub & Van Loan 2013, §10.3). A start that is zero adds nothing.
    """
    count, _, size = starts.shape
    rank = min(rank, size)
    basis = torch.zeros(count, rank, size, dtype=torch.float64, device=starts.device)
    applied = torch.zeros_like(basis)
    grown, done = 0, 0
    fresh = starts.double()
    while done < rank:
        for vector in fresh.unbind(1):
            if grown == rank:
                break
            basis[:, grown] = _orthogonal(vector, basis[:, :grown])
            grown += 1
        images = linear.hvp(basis[:, done:grown].to(linear.thetas.dtype)).double()
        applied[:, done:grown] = images
        fresh, done = images, grown
    return _pairs(basis, applied, False)


def checked(seed: str) -> None:
    """Refuse an unknown seed.

    Raises
    ------
    InputError
        With the seed.
    """
    if seed not in get_args(Seed):
        raise InputError(f"seed={seed!r}: choose 'random', or 'gradient' to see it fail at a saddle")


def seeds(kind: Seed, gradient: Tensor, random: Tensor) -> Tensor:
    """What a Krylov space starts from [B, k, P]: the gradient, and with "random" a random vector beside it.

    There, where the gradient is zero, a second random vector takes its place: no direction of the space is wasted.
    """
    if kind == "gradient":
        return gradient.double()[:, None]
    known = gradient.double().norm(dim=1, keepdim=True) > 0
    return torch.stack([torch.where(known, gradient.double(), random.roll(1, dims=1)), random], dim=1)


def pairs_of(
    linear: Linearization, gradient: Tensor, random: Tensor, rank: int | None, seed: Seed
) -> tuple[Pairs, int]:
    """All eigenpairs where ``rank`` is None or at least P, else Ritz pairs; and the products taken at each point."""
    size = gradient.shape[1]
    if rank is None or rank >= size:
        return whole(linear), size
    return ritz(linear, seeds(seed, gradient, random), rank), rank


def _orthogonal(vector: Tensor, known: Tensor) -> Tensor:
    """The unit vectors [B, P] along the parts of ``vector`` orthogonal to known [B, k, P]; zero where none is left."""
    before = vector.norm(dim=1, keepdim=True)
    for _ in range(2):  # twice is enough (Parlett 1998, §6.9)
        vector = vector - torch.einsum("bk,bkp->bp", torch.einsum("bkp,bp->bk", known, vector), known)
    norm = vector.norm(dim=1, keepdim=True)
    return torch.where(norm > BREAKDOWN * before, vector / norm.clamp(min=torch.finfo(torch.float64).tiny), 0.0)


def _pairs(basis: Tensor, applied: Tensor, whole: bool) -> Pairs:
    projected = applied.double() if whole else basis @ applied.transpose(1, 2)
    projected = (projected + projected.transpose(1, 2)) / 2
    # A point whose products are not finite stays where it is: the loop ends it, and its neighbours go on.
    finite = projected.isfinite().all(2).all(1)[:, None, None]
    values, mix = torch.linalg.eigh(torch.where(finite, projected, 0.0))
    vectors = mix.transpose(1, 2) if whole else mix.transpose(1, 2) @ basis
    vectors = torch.where(finite, vectors, torch.nan)
    return Pairs(values, vectors, values.abs().amax(1), whole)
