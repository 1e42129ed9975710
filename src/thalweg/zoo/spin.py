"""The spherical p-spin Hamiltonian: random homogeneous polynomials on the sphere."""

from __future__ import annotations

import torch
from torch import Tensor

from thalweg.core.function import Function
from thalweg.core.rng import Stream
from thalweg.errors import InputError
from thalweg.zoo.facts import CriticalPoint, Facts


def spherical_spin(dimension: int = 8, order: int = 3, seed: int = 0) -> Function:
    """Σ J_{i…k} u_i⋯u_k/√N on the unit sphere, J normal: the energy per spin of σ = √N u (Auffinger et al. 2013).

    J [N, …, N] has independent standard normal entries from the stream ``seed/couplings``; the scale is that of the
    paper's eq. (1.1), cited from memory, unverified. For p = 2 the critical points are ± the eigenvectors of the
    symmetric part of J; for an even p they come in pairs of one index, for an odd one in pairs k and N − 1 − k. Starts
    at a point drawn uniformly.

    Raises
    ------
    InputError
        If dimension or order is below 2, or J has more than 2^20 entries.
    """
    if dimension < 2 or order < 2:
        raise InputError(f"dimension={dimension}, order={order}: each is at least 2")
    if dimension**order > 2**20:
        raise InputError(f"dimension={dimension}, order={order}: {dimension**order:,} couplings are more than 2^20")
    shape = (dimension,) * order
    couplings = torch.randn(shape, generator=Stream(seed, ("couplings",)).torch(), dtype=torch.float64)
    couplings = couplings / dimension**0.5

    def fn(u: Tensor) -> Tensor:
        energy = couplings.to(u)
        for _ in range(order):
            energy = energy @ u
        return energy

    start = torch.randn(dimension, generator=Stream(seed, ("initial",)).torch(), dtype=torch.float64)
    facts = (
        _pairs(couplings)
        if order == 2
        else Facts(
            infimum=-float(couplings.norm()),  # a bound: |⟨J, u⊗…⊗u⟩| ≤ ‖J‖
            critical_points=(),
            source="bound by the norm of J",
            note="The infimum is a lower bound, not attained.",
        )
    )
    return Function(fn, dimension, facts, manifold="sphere", initial=start / start.norm())


def _pairs(couplings: Tensor) -> Facts:
    """The eigenvectors of the symmetric part: eigenvalues of the Riemannian Hessian are 2(λ_j − λ_k) for j ≠ k."""
    values, columns = torch.linalg.eigh((couplings + couplings.T) / 2)
    points = tuple(
        CriticalPoint.of(
            f"eigenvector {k + 1}" if k else "minimum",
            columns[:, k].tolist(),
            float(values[k]),
            [2 * float(v - values[k]) for j, v in enumerate(values) if j != k],
        )
        for k in (*range(1, len(values)), 0)
    )
    return Facts(
        infimum=float(values[0]),
        critical_points=points,
        source="the eigenvalue problem; spectra by differentiation",
        note="Each eigenvector with either sign.",
        count=2 * len(values),
    )
