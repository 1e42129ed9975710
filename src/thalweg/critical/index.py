"""The index of a Hessian: exact from the dense matrix, else a bracket by interlacing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.core import krylov
from thalweg.core.quadrature import gauss
from thalweg.core.rng import Stream
from thalweg.critical.geometry import Local
from thalweg.critical.inertia import inertia, rounding_of
from thalweg.curvature import probes
from thalweg.errors import InputError
from thalweg.records import Bracket, Guarantee


@dataclass(frozen=True)
class Index:
    """How many eigenvalues lie below −threshold, and within ±threshold, with what is known of the smallest.

    ``values`` [k] ascending and ``vectors`` [k, P] are eigenpairs, the smallest first; where ``matrix`` is not None it
    is the Hessian itself (on a manifold in the tangent basis).
    """

    index: Bracket
    nullity: Bracket
    smallest: Bracket
    threshold: float
    norm: float
    values: Tensor
    vectors: Tensor
    matrix: Tensor | None = None


def exact(local: Local, threshold: float | None = None, floor: float = 0.0) -> Index:
    """From the dense matrix: ``size`` products, two factorisations and one eigendecomposition.

    ``floor`` raises a threshold that is not given.

    Raises
    ------
    InputError
        If a product is not finite.
    """
    matrix = local.dense()
    if not bool(matrix.isfinite().all()):
        raise InputError("a product is NaN or infinite: check that F and its gradient are finite at this point")
    values, columns = torch.linalg.eigh(matrix)
    found = inertia(matrix, max(rounding_of(matrix), floor) if threshold is None else threshold, values)
    vectors = columns.T if local.normals is None else columns.T @ local.basis()
    sure = Guarantee.EXACT if found.certain else Guarantee.ADAPTIVE
    low, rounding = float(values[0]), found.rounding + 10 * len(values) * 2.3e-16 * float(matrix.norm())
    return Index(
        Bracket(found.negative, found.negative, sure, sure),
        Bracket(found.zero, found.zero, sure, sure),
        Bracket(low - rounding, low + rounding, Guarantee.EXACT, Guarantee.EXACT),
        found.threshold,
        float(matrix.norm()),
        values,
        vectors,
        matrix,
    )


def bracketed(local: Local, products: int, rng: Stream, threshold: float | None = None, floor: float = 0.0) -> Index:
    """Without the matrix: Ritz values below −threshold on orthonormal vectors never outnumber the eigenvalues there.

    Poincaré's separation theorem (Horn & Johnson 2013, Corollary 4.3.37): each such Ritz value certifies one negative
    eigenvalue, converged or not, and each above threshold one positive. Half of the products go to a random start,
    which sees both ends, and half to the smallest ones.

    Raises
    ------
    InputError
        If a product is not finite, or products is below 8.
    """
    if products < 8:
        raise InputError(f"products={products}: an index takes at least 8")
    size, start = len(local.theta), probes.sphere(len(local.theta), 1, rng)[0]
    if local.normals is not None:
        start = start - (local.normals @ start) @ local.normals
    rule = gauss(local.matvec, start, products // 2)
    k = max(2, products // 8)
    ends = krylov.Ends(k, "SA", max_products=max(products // 2, k + 1))
    pairs = krylov.lanczos(local.matvec, size, ends, rng, start=start)
    if not len(pairs.values):
        raise InputError("a product is NaN or infinite: check that F and its gradient are finite at this point")
    norm = max(pairs.norm, float(rule.nodes.abs().max()))
    tau = max(10 * np.finfo(float).eps * local.size * norm, floor) if threshold is None else threshold
    values = pairs.values.flip(0)
    low = max(int((values < -tau).sum()), int((rule.nodes < -tau).sum()))
    positive = int((rule.nodes > tau).sum())
    first, residual = float(values[0]), float(pairs.residuals[-1])
    settled = Guarantee.ADAPTIVE if pairs.converged else None
    return Index(
        Bracket(low, local.size - positive, Guarantee.CERTIFIED, Guarantee.CERTIFIED),
        Bracket(0, local.size - positive - low, Guarantee.CERTIFIED, Guarantee.CERTIFIED),
        # The Ritz value bounds the smallest eigenvalue from above; that it is the smallest is Lanczos' own estimate.
        Bracket(first - residual if settled else None, first + tau, settled, Guarantee.CERTIFIED),
        tau,
        norm,
        values,
        pairs.vectors.flip(0),
    )
