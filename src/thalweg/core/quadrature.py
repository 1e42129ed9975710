"""Gauss quadrature of a vector's spectral measure, by Lanczos (Golub & Meurant 2010, §6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import BudgetSpent, InputError

Matvec = Callable[[Tensor], Tensor]
"""vectors [k, n] -> A·vectors [k, n], for a symmetric A."""


class NotFinite(InputError):
    """A product with a matrix was NaN or infinite."""


@dataclass(frozen=True)
class Rule:
    """Nodes [m] ascending and weights [m], positive and adding up to 1, float64.

    ∫ f dμ ≈ Σ w_j f(θ_j), exact for polynomials up to degree 2m − 1, where μ is the spectral measure of A at a
    unit vector v: mass (v·u_i)² at each eigenvalue. ``alpha`` [m] and ``beta`` [m − 1] are the tridiagonal matrix.
    ``whole`` says that the Krylov space is invariant, so that the rule is μ itself.
    """

    nodes: Tensor
    weights: Tensor
    alpha: Tensor
    beta: Tensor
    whole: bool

    def mass(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Lower and upper bounds of μ((−∞, x]) at x [q], in exact arithmetic; float64 [q] each.

        Chebyshev–Markov–Stieltjes: the mass up to a node of a Gauss rule lies between the weights before it and those
        up to it (Szegő 1939, §3.41); between two nodes, monotony.
        """
        summed = torch.cat([torch.zeros(1, dtype=torch.float64), self.weights.cumsum(0)])
        upto = torch.searchsorted(self.nodes, x.double(), right=True)
        if self.whole:
            exact = summed[upto].clamp(max=1.0)
            return exact, exact
        lower = summed[(upto - 1).clamp(min=0)]
        upper = torch.where(upto < len(self.nodes), summed[(upto + 1).clamp(max=len(self.nodes))], 1.0)
        return lower.clamp(max=1.0), upper.clamp(max=1.0)


def gauss(matvec: Matvec, start: Tensor, steps: int, partial: bool = False) -> Rule:
    """The rule of ``steps`` nodes for the unit vector along ``start`` [n]; full reorthogonalisation in float64.

    Fewer nodes where the Krylov space is smaller, and with ``partial`` where the budget ends after at least one
    product: a shorter rule is a rule. Takes ``steps`` products.

    Raises
    ------
    InputError
        If steps < 1, or start is zero or not finite.
    NotFinite
        If a product is.
    BudgetSpent
        Where the budget ends and the rule must be whole, or has no node.
    """
    if steps < 1:
        raise InputError(f"steps={steps}: a quadrature rule has at least 1 node")
    start = start.to("cpu", torch.float64)
    norm = float(start.norm())
    if not 0 < norm < float("inf"):
        raise InputError(f"the start vector has norm {norm}: give a finite vector that is not zero")
    size = len(start)
    steps = min(steps, size)
    vectors = torch.zeros(steps, size, dtype=torch.float64)
    vectors[0] = start / norm
    alpha = torch.zeros(steps, dtype=torch.float64)
    beta = torch.zeros(steps, dtype=torch.float64)
    done, scale = steps, 0.0
    for j in range(steps):
        try:
            w = matvec(vectors[j : j + 1])[0].to("cpu", torch.float64)
        except BudgetSpent:
            if not partial or j == 0:
                raise
            done = j
            break
        for sweep in range(2):  # twice is enough (Parlett 1998, §6.9)
            h = vectors[: j + 1] @ w
            w = w - h @ vectors[: j + 1]
            alpha[j] += h[j]
            if sweep == 0:
                scale = max(scale, float(h.abs().max()))
        beta[j] = w.norm()
        scale = max(scale, float(beta[j]))
        if float(beta[j]) <= 1e-13 * max(scale, 1e-300) * size**0.5:  # the Krylov space is invariant
            done = j + 1
            beta[j] = 0.0
            break
        if j + 1 < steps:
            vectors[j + 1] = w / beta[j]
    return rule_of(alpha[:done], beta[: done - 1], done == size or float(beta[done - 1]) == 0.0)


def rule_of(alpha: Tensor, beta: Tensor, whole: bool) -> Rule:
    """The rule of a tridiagonal matrix: alpha [m] on its diagonal, beta [m − 1] beside it.

    Raises
    ------
    NotFinite
        If an entry is.
    """
    projected = torch.diag(alpha) + torch.diag(beta, 1) + torch.diag(beta, -1)
    if not bool(projected.isfinite().all()):
        raise NotFinite("a product is NaN or infinite: check that F and its gradient are finite at this point")
    nodes, mix = torch.linalg.eigh(projected)
    return Rule(nodes, mix[0].square(), alpha, beta, whole)
