"""The linear autoencoder, whose critical points are all known (Baldi & Hornik 1989)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import comb

import torch
from torch import Tensor

from thalweg.core.function import Function
from thalweg.core.rng import Stream
from thalweg.errors import InputError
from thalweg.zoo.facts import CriticalPoint, Facts


def linear_autoencoder(
    size: int = 16, hidden: int = 4, spectrum: Sequence[float] | None = None, seed: int = 0
) -> Function:
    """tr((I − BA) Σ (I − BA)ᵀ)/k: mean squared error of x ↦ BAx on inputs of covariance Σ = diag(spectrum).

    A is [hidden, size] and B [size, hidden], A first in theta; spectrum is 1, 2, …, k by default (Frye et al. 2021,
    §3.1, whose 10,000 rows estimate Σ). Starts at normal entries of variance 1/k from the stream ``seed/initial``.

    Raises
    ------
    InputError
        If hidden is not below size, or the spectrum is not positive and distinct.
    """
    values = _spectrum(size, hidden, spectrum)
    sigma = torch.tensor(values, dtype=torch.float64)

    def fn(theta: Tensor) -> Tensor:
        a, b = theta.split(size * hidden)
        left = torch.eye(size, dtype=theta.dtype, device=theta.device) - b.reshape(size, hidden) @ a.reshape(
            hidden, size
        )
        return (left.square() * sigma.to(theta)).sum() / size

    classes = sum(comb(size, r) for r in range(hidden + 1))
    top = range(size - hidden, size)
    facts = Facts(
        infimum=sum(sorted(values)[: size - hidden]) / size,
        critical_points=(
            autoencoder_point((), size, hidden, values),
            autoencoder_point(range(hidden), size, hidden, values),
            autoencoder_point(sorted(top, key=lambda i: values[i]), size, hidden, values),
        ),
        source="Baldi & Hornik 1989, Fact 4; Frye et al. 2021, §3.1",
        note=f"{classes:,} classes of critical points, one for each set of at most {hidden} eigenvectors.",
    )
    start = torch.randn(2 * size * hidden, generator=Stream(seed, ("initial",)).torch(), dtype=torch.float64)
    return Function(fn, 2 * size * hidden, facts, initial=start / size**0.5)


def autoencoder_point(
    kept: Iterable[int], size: int = 16, hidden: int = 4, spectrum: Sequence[float] | None = None
) -> CriticalPoint:
    """The critical point at which BA projects onto the eigenvectors ``kept``, with its value and index.

    F is the sum of the other eigenvalues over k. Each pair of a kept eigenvector and a larger one that is not kept
    gives a negative eigenvalue, and so does each pair of an idle hidden unit and an eigenvector that is not kept.

    Raises
    ------
    InputError
        If more eigenvectors are kept than there are hidden units, or one is unknown.
    """
    values, chosen = _spectrum(size, hidden, spectrum), sorted(set(kept))
    if len(chosen) > hidden or any(not 0 <= i < size for i in chosen):
        raise InputError(f"kept={chosen}: at most {hidden} of the eigenvectors 0 to {size - 1} can be kept")
    a, b = torch.zeros(hidden, size, dtype=torch.float64), torch.zeros(size, hidden, dtype=torch.float64)
    for unit, i in enumerate(chosen):
        a[unit, i] = b[i, unit] = 1.0
    rest = [i for i in range(size) if i not in chosen]
    swaps = sum(values[j] > values[i] for i in chosen for j in rest)
    index = swaps + (hidden - len(chosen)) * len(rest)
    kind = "strict saddle" if index else "global minimum"
    theta = tuple(torch.cat([a.reshape(-1), b.reshape(-1)]).tolist())
    return CriticalPoint(
        f"keeps {chosen}" if chosen else "origin", theta, sum(values[i] for i in rest) / size, index, kind
    )


def kept_by(theta: Tensor, size: int = 16, hidden: int = 4) -> tuple[tuple[int, ...], float]:
    """Which eigenvectors BA at theta [P] keeps, and how far BA is from the projection onto them (largest entry)."""
    a, b = theta.double().split(size * hidden)
    product = b.reshape(size, hidden) @ a.reshape(hidden, size)
    chosen = tuple(int(i) for i in (product.diagonal() > 0.5).nonzero()[:, 0])
    projection = torch.zeros(size, size, dtype=torch.float64)
    projection[list(chosen), list(chosen)] = 1.0
    return chosen, float((product - projection).abs().max())


def _spectrum(size: int, hidden: int, spectrum: Sequence[float] | None) -> list[float]:
    values = [float(i + 1) for i in range(size)] if spectrum is None else [float(v) for v in spectrum]
    if not 0 < hidden < size:
        raise InputError(
            f"size={size}, hidden={hidden}: an autoencoder has fewer hidden units than inputs, and at least 1"
        )
    if len(values) != size or len(set(values)) != size or min(values) <= 0:
        raise InputError(f"spectrum={values}: {size} distinct positive variances are needed")
    return values
