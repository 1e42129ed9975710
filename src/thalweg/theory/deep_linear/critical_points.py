"""Critical points of deep linear networks: built for every rank and subset, and classified for any weights.

For ½‖W_N … W_1 X − Y‖_F² with X [d_0, n] and Y [d_N, n]. Let Σ = Y Xᵀ(XXᵀ)⁻¹X Yᵀ = U Λ Uᵀ. A critical point keeps a
subset S of the eigenvectors: its value is ½(‖Y‖² − Σ_{i∈S} Λ_i) (Baldi & Hornik 1989; Zhou & Liang 2018). The index
below and the rule for degenerate saddles were derived and tested here; Achour, Malgouyres & Gerchinovitz treat the same
question in a text that was not read.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.errors import InputError
from thalweg.theory.deep_linear.build import product

Kind = Literal["global minimum", "strict saddle", "degenerate saddle"]

ZERO = 1e-9
"""Singular values below this share of the largest count as zero."""


@dataclass(frozen=True)
class Spectrum:
    """The data of a linear network: ``fit`` B = YXᵀ(XXᵀ)⁻¹, eigenvectors U and values Λ of BXYᵀ, descending."""

    fit: Tensor
    vectors: Tensor
    values: Tensor
    inputs: Tensor
    targets: Tensor

    @classmethod
    def of(cls, inputs: Tensor, targets: Tensor) -> Spectrum:
        """Of X [n, d_0] and Y [n, d_N], a row a sample, float64."""
        fit = torch.linalg.lstsq(inputs, targets, driver="gelsd").solution.T
        values, vectors = torch.linalg.eigh(fit @ inputs.T @ targets)
        return cls(fit, vectors.flip(1), values.flip(0).clamp(min=0.0), inputs, targets)

    @property
    def cross(self) -> Tensor:
        """Σ_XY = X Yᵀ, [d_0, d_N]."""
        return self.inputs.T @ self.targets


@dataclass(frozen=True)
class Built:
    """A critical point with what theory says of it: value ½‖·‖², index, and kind."""

    weights: tuple[Tensor, ...]
    kept: tuple[int, ...]
    value: float
    index: int
    kind: Kind


def build(
    spectrum: Spectrum,
    widths: Sequence[int],
    kept: Sequence[int],
    blocks: Sequence[Tensor | None] | None = None,
    gauge: Stream | None = None,
) -> Built:
    """The critical point that keeps the eigenvectors ``kept`` (0 is the largest).

    ``blocks`` are Z_1 … Z_N, what idle units do: [d_1 − r, d_0], [d_j − r, d_{j−1} − r], [d_N − r, d_{N−1} − r]; at
    least two of them None or zero, which is sufficient. ``gauge`` draws an invertible D_j for each hidden layer. The
    index is that of Z = 0: without two zero blocks, or with others, it is found from the Hessian, not predicted.

    Raises
    ------
    InputError
        If more eigenvectors are kept than the narrowest layer is wide, one is unknown or its eigenvalue zero, or fewer
        than two blocks are zero.
    """
    chosen, layers = tuple(sorted(set(kept))), len(widths) - 1
    u, values, r = spectrum.vectors, spectrum.values, len(set(kept))
    if r > min(widths):
        raise InputError(f"kept={chosen}: {r} eigenvectors do not fit through {min(widths)} units")
    if any(not 0 <= i < len(values) or values[i] <= ZERO * values[0] for i in chosen):
        raise InputError(
            f"kept={chosen}: choose among the {int((values > ZERO * values[0]).sum())} eigenvalues above 0"
        )
    given = list(blocks) if blocks is not None else [None] * layers
    if len(given) != layers or sum(z is None or not bool(z.any()) for z in given) < min(2, layers):
        raise InputError(f"{len(given)} blocks for {layers} layers: give one each, at least two of them None or zero")
    rest = [i for i in range(len(values)) if i not in chosen]
    us, uq = u[:, list(chosen)], u[:, rest]
    weights = []
    for j, (n, m) in enumerate(itertools.pairwise(widths)):
        w, z = torch.zeros(m, n, dtype=torch.float64), given[j]
        if layers == 1:
            w = us @ us.T @ spectrum.fit
        elif j == 0:
            w[:r] = us.T @ spectrum.fit
            if z is not None:
                w[r:] = z
        elif j == layers - 1:
            w[:, :r] = us
            if z is not None:
                w[:, r:] = uq @ z
        else:
            w[:r, :r] = torch.eye(r, dtype=torch.float64)
            if z is not None:
                w[r:, r:] = z
        weights.append(w)
    turned = _gauged(weights, gauge) if gauge is not None else weights
    value = 0.5 * float(spectrum.targets.square().sum() - values[list(chosen)].sum())
    return Built(tuple(turned), chosen, value, _index(values, chosen, widths), kind_of(turned, spectrum))


def _index(values: Tensor, kept: Sequence[int], widths: Sequence[int]) -> int:
    """Negative eigenvalues at Z = 0: one for each kept direction and larger one left out, and idle units."""
    rest = [j for j in range(len(values)) if j not in kept]
    swaps = sum(bool(values[j] > values[i] * (1 + ZERO)) for i in kept for j in rest)
    if len(widths) > 3:
        return swaps
    # With one layer there is nothing idle: F is convex, and what is left out is not there to be added.
    idle = widths[1] - len(kept) if len(widths) == 3 else 0
    return swaps + idle * sum(bool(values[j] > ZERO * values[0]) for j in rest)


def _gauged(weights: Sequence[Tensor], source: Stream) -> list[Tensor]:
    """W_j ← D_j W_j D_{j−1}⁻¹, which leaves the product, F and the inertia of its Hessian as they are."""
    generator, found, before = source.torch(), [], None
    for j, w in enumerate(weights):
        turned = w if before is None else w @ torch.linalg.inv(before)
        before = None
        if j < len(weights) - 1:
            m = len(w)
            before = torch.eye(m, dtype=torch.float64) + 0.3 * torch.randn(
                m, m, generator=generator, dtype=torch.float64
            )
            turned = before @ turned
        found.append(turned)
    return found


def kind_of(weights: Sequence[Tensor], spectrum: Spectrum) -> Kind:
    """What a critical point is (Yun, Sra & Jadbabaie 2018, Theorems 2.1 and 2.2, and the rule of tightness below).

    The weights are taken to be critical. A global minimum keeps the largest eigenvectors and as many as fit. Keeping
    others is a strict saddle. Keeping the largest, but fewer than fit, is degenerate exactly if for every pair of
    layers i > j the rank of W_{i−1} … W_{j+1} or that of W_{j−1} … W_1 Σ_XY W_N … W_{i+1} is that of the product
    (found exact on every case tried; not proved).
    """
    total = product(weights)
    r = _rank(total, float(spectrum.fit.norm()))
    widths = [weights[0].shape[1], *(len(w) for w in weights)]
    values = spectrum.values
    fitting = min(min(widths), int((values > ZERO * values[0]).sum()))
    top = values[:r].sum()
    found = values.sum() - (spectrum.fit @ spectrum.inputs.T - total @ spectrum.inputs.T).square().sum()
    if float(top - found) > 1e-7 * float(values.sum()):
        return "strict saddle"
    if r == fitting:
        return "global minimum"
    return "degenerate saddle" if _tight(weights, spectrum.cross, r) else "strict saddle"


def _tight(weights: Sequence[Tensor], cross: Tensor, r: int) -> bool:
    n = len(weights)
    for i in range(n):
        for j in range(i):
            between = weights[j + 1 : i]
            inner = product(between) if between else torch.eye(len(weights[j]), dtype=torch.float64)
            if _rank(inner, _size(between)) == r:
                continue
            outer, size = cross, float(cross.norm())
            if j > 0:
                outer, size = product(weights[:j]) @ outer, size * _size(weights[:j])
            if i < n - 1:
                outer, size = outer @ product(weights[i + 1 :]), size * _size(weights[i + 1 :])
            if _rank(outer, size) != r:
                return False
    return True


def _size(weights: Sequence[Tensor]) -> float:
    size = 1.0
    for w in weights:
        size *= max(float(w.norm()), 1e-300)
    return size


def _rank(matrix: Tensor, size: float) -> int:
    """Singular values above :data:`ZERO` of ``size``, that of the factors of a product."""
    return int((torch.linalg.svdvals(matrix) > ZERO * size).sum()) if matrix.numel() else 0
