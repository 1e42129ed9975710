"""Bounds of the extremal eigenvalues of a symmetric matrix that hold with a stated probability over random starts.

Lanczos from a start that is not random proves nothing: one orthogonal to the eigenvector never sees its eigenvalue,
however many products are taken (Kuczyński & Woźniakowski 1992, whose bounds assume a semidefinite matrix and a number
of steps fixed beforehand). The bound used here assumes neither. Let θ be the smallest Ritz value of the Krylov space of
b after q steps, λ₁ < θ the smallest eigenvalue, v₁ its eigenvector and U no less than the largest. Every vector p(H)b
with a polynomial p of degree below q has a Rayleigh quotient of at least θ:

    Σ_i (λ_i − θ) p(λ_i)² (v_i·b)² ≥ 0.

Take p(λ) = T_{2q−1}(√x)/√x with x = (λ − θ)/(U − θ) and Chebyshev's polynomial T. For x in [0, 1] then x·p² ≤ 1, and at
x = −s² it is −sinh²((2q − 1) arsinh s). With |b| = 1 and (v₁·b)² = cos²φ it follows that

    sinh((2q − 1) arsinh s) ≤ tan φ,    θ − λ₁ = s²(U − θ) ≤ σ²(U − θ),    σ = sinh(arsinh(tan φ)/(2q − 1)).

The same holds of the largest eigenvalue, and U is bounded by both together: with R the distance between the extremal
Ritz values, each end lies within R σ²/(1 − σ²) of its Ritz value where σ < 1. φ alone is random. The Krylov space of a
block of k random vectors contains that of the vector of their span nearest to v₁, for which cos²φ has the law
Beta(k/2, (n − k)/2) in n dimensions. Both ends fail together with at most twice the probability of one, and as φ does
not depend on q, the iteration may stop whenever the bound suffices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from thalweg.core import krylov
from thalweg.core.rng import Stream
from thalweg.curvature import probes
from thalweg.errors import InputError

GROWTH = 1.15
"""The small eigenproblem is solved anew when the basis is this much larger."""

BREAKDOWN = 1e-13
"""A new direction shorter than this share of ‖H‖√n is taken for rounding; where all of a block are, the space is
invariant. The slack then holds what was left out."""


@dataclass(frozen=True)
class Ends:
    """What a block Krylov space knows of the extremal eigenvalues, up to ``slack``, the rounding of the products.

    ``smallest`` and ``largest`` are Ritz values, which lie between the extremal eigenvalues always; ``margin`` is how
    far beyond them those lie at most, except with the probability asked for: infinite where nothing is known yet, 0
    where the space is invariant. ``vector`` [P] belongs to the smallest, ``residual`` = ‖Hv − θv‖. ``exact`` says that
    the space is everything.
    """

    smallest: float
    largest: float
    margin: float
    vector: Tensor
    residual: float
    slack: float
    basis: int
    products: int
    exact: bool

    @property
    def norm(self) -> float:
        """The largest |Ritz value|."""
        return max(abs(self.smallest), abs(self.largest))


def margin(spread: float, size: int, block: int, steps: int, failure: float) -> float:
    """R σ²/(1 − σ²): how far an eigenvalue may lie beyond the Ritz values, except with probability ``failure``."""
    if block >= size:
        return 0.0
    cosine = aligned(size, block, failure / 2)
    exponent = math.asinh(math.sqrt((1 - cosine) / cosine)) / (2 * steps - 1)
    square = math.sinh(exponent) ** 2 if exponent < 1 else math.inf
    return spread * square / (1 - square) if square < 1 else math.inf


def aligned(size: int, block: int, failure: float) -> float:
    """A value that cos²φ of :mod:`thalweg.critical.krylov_ends` falls below with probability at most ``failure``.

    P(cos²φ < ε) ≤ ε^a/(a B(a, b)) with a = k/2, b = (n − k)/2 ≥ 1, since the law's density is at most ε^(a−1)/B(a, b);
    for b = 1/2 it is up to √2 times that where ε ≤ 1/2. Almost sharp for small ε, and needs no root of the law itself.
    """
    a, b = block / 2, (size - block) / 2
    log = (math.log(failure) + math.log(a) + float(special.betaln(a, b)) - (math.log(2) / 2 if b < 1 else 0.0)) / a
    return min(math.exp(log), 0.5)


def ends(
    matvec: krylov.Matvec,
    length: int,
    rng: Stream,
    enough: Callable[[Ends], bool],
    *,
    block: int = 2,
    failure: float = 1e-6,
    most: int = 1000,
    normals: Tensor | None = None,
) -> Ends:
    """Grow the Krylov space of ``block`` random vectors [length] until ``enough``, or until ``most`` products.

    ``normals`` [c, length] are orthonormal null vectors that are left out. Full reorthogonalisation in float64.

    Raises
    ------
    InputError
        If a product is not finite.
    """
    left_out = torch.zeros(0, length, dtype=torch.float64) if normals is None else normals.double()
    size = length - len(left_out)
    block, most = min(block, size), min(most, size)
    basis = torch.zeros(most, length, dtype=torch.float64)
    projected = torch.zeros(most, most, dtype=torch.float64)
    invariant = deflated = False
    asymmetry, grown, steps, norm, looked = 0.0, 0, 0, 0.0, 0
    fresh = probes.sphere(length, block, rng)
    found: Ends | None = None
    while True:
        first = grown
        for vector in fresh:
            if grown == most:
                break
            unit = _orthogonal(vector, basis[:grown], left_out, norm)
            if unit is None:
                deflated = True
                continue
            basis[grown] = unit
            grown += 1
        if grown == first:
            invariant = True
        else:
            images = matvec(basis[first:grown]).to("cpu", torch.float64)
            if not bool(images.isfinite().all()):
                raise InputError("a product is NaN or infinite: check that F and its gradient are finite at this point")
            part = basis[:grown] @ images.T
            twice = part[first:] - part[first:].T
            asymmetry = max(asymmetry, float(twice.norm()) / 2)
            part[first:] = (part[first:] + part[first:].T) / 2
            projected[:grown, first:grown] = part
            projected[first:grown, :grown] = part.T
            norm = max(norm, float(images.norm(dim=1).max()))
            # Only whole blocks count as steps: the last may be cut short.
            steps += int(grown - first == len(fresh) or grown == size)
            fresh = images
        done = invariant or grown == most
        if done or grown >= GROWTH * looked:
            looked = grown
            values, mix = torch.linalg.eigh(projected[:grown, :grown])
            vector = mix[:, 0] @ basis[:grown]
            whole = invariant or grown == size
            beyond = 0.0 if whole else margin(float(values[-1] - values[0]), size, block, max(steps, 1), failure)
            rounding = asymmetry + (BREAKDOWN if deflated else 10 * np.finfo(float).eps) * math.sqrt(length) * norm
            found = Ends(
                float(values[0]), float(values[-1]), beyond, vector, math.nan, rounding, grown, grown, grown == size
            )
            if done or enough(found):
                break
    image = matvec(found.vector[None])[0].to("cpu", torch.float64)
    residual = float((image - found.smallest * found.vector).norm())
    return Ends(**{**vars(found), "residual": residual, "products": grown + 1})


def _orthogonal(vector: Tensor, known: Tensor, left_out: Tensor, norm: float) -> Tensor | None:
    """The unit vector along the part of ``vector`` that is new; None where that is rounding."""
    for _ in range(2):  # twice is enough (Parlett 1998, §6.9)
        vector = vector - (left_out @ vector) @ left_out
        vector = vector - (known @ vector) @ known
    length = float(vector.norm())
    if length <= BREAKDOWN * max(norm, 1e-300) * math.sqrt(len(vector)):
        return None
    vector = vector / length
    vector = vector - (known @ vector) @ known - (left_out @ vector) @ left_out
    return vector / vector.norm()
