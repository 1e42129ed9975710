"""The index of a random Hessian against energy: formulas and their Monte Carlo (Pennington & Bahri 2017).

H = H0 + H1 for n parameters and m residuals, φ = n/m < 1: H0 = JJᵀ/m with J Gaussian, and H1 a sum of second
derivatives weighted by residuals e ~ N(0, 2ε), taken as free of H0. ``kind`` is "wigner" (H1 a symmetric Gaussian
matrix) or "relu" (H1 of one hidden ReLU layer, zero within each layer). Squared loss, energy ε = Σe²/2m; at critical
points only.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from scipy import integrate, optimize
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.errors import InputError

Kind = Literal["wigner", "relu"]

EDGE = 1e-9
"""Imaginary part at which the resolvent is taken beside the real axis."""


def critical_energy(phi: float, kind: Kind = "wigner") -> float:
    """ε_c, below which no eigenvalue is negative (eq. 17 for Wigner, eq. 30 for ReLU with σ = 1).

    The numbering of equations is cited from memory and unverified; both values are those at which the density found by
    :func:`density` first reaches below zero.
    """
    _check(phi, kind)
    if kind == "wigner":
        return (1 - 20 * phi - 8 * phi**2 + (1 + 8 * phi) ** 1.5) / 16
    chi = 1 + 16 * phi - 8 * phi**2
    return (27 - 18 * chi - chi**2 + 8 * chi**1.5) / (32 * phi * (1 - phi) ** 3)


def density(z: np.ndarray | float, energy: float, phi: float, kind: Kind = "wigner") -> np.ndarray:
    """The density of eigenvalues at z [q], from the resolvent G with z = R(G) + 1/G; float64 [q]."""
    _check(phi, kind, energy)
    return np.array(
        [max(0.0, -_resolvent(complex(x, EDGE), energy, phi, kind).imag) / math.pi for x in np.atleast_1d(z)]
    )


def negative_share(energy: float, phi: float, kind: Kind = "wigner") -> float:
    """α(ε), the share of negative eigenvalues: the density's integral over (−∞, 0)."""
    _check(phi, kind, energy)
    if energy <= critical_energy(phi, kind):
        return 0.0
    low = lowest(energy, phi, kind)

    def mass(s: float) -> float:  # z = low(1 − s²): the density's square root at the edge becomes linear
        return float(density(low * (1 - s * s), energy, phi, kind)[0]) * -2 * low * s

    return float(integrate.quad(mass, 0.0, 1.0, limit=200, epsabs=1e-9, epsrel=1e-8)[0])


def lowest(energy: float, phi: float, kind: Kind = "wigner") -> float:
    """The lower edge of the spectrum: the largest z(G) over G < 0 within R's domain, z(G) = R(G) + 1/G."""
    _check(phi, kind, energy)
    # Below the spectrum G is real and negative and z(G) rises to its maximum, which is the edge.
    bound = -math.sqrt(2 / (energy * phi**2)) if kind == "relu" and energy > 0 else -1e6
    scales = -np.geomspace(1e-6, min(1e6, -bound * (1 - 1e-12)), 400)
    values = np.array([_z(g, energy, phi, kind) for g in scales])
    i = int(values.argmax())
    a, b = scales[min(i + 1, len(scales) - 1)], scales[max(i - 1, 0)]
    found = optimize.minimize_scalar(
        lambda g: -_z(g, energy, phi, kind), bounds=(a, b), method="bounded", options={"xatol": 1e-12}
    )
    return float(max(-found.fun, values[i]))


def sample(energy: float, phi: float, size: int, rng: int | Stream = 0, kind: Kind = "wigner") -> Tensor:
    """The eigenvalues of one random Hessian with n = ``size`` parameters, ascending, float64 [size].

    Raises
    ------
    InputError
        If size is odd for "relu", whose two layers have equally many weights here.
    """
    _check(phi, kind, energy)
    source = (rng if isinstance(rng, Stream) else Stream(rng))("hessian")
    m = round(size / phi)

    def normal(name: str, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=source(name).torch(), dtype=torch.float64)

    j = normal("jacobian", size, m)
    hessian = j @ j.T / m
    if kind == "wigner":
        w = normal("wigner", size, size)
        hessian += (w + w.T) * math.sqrt(energy / size)  # off the diagonal, variance 2ε/n
    else:
        if size % 2:
            raise InputError(f"size={size}: two layers of equally many weights need an even number")
        half, residual = size // 2, math.sqrt(2 * energy) * normal("residual", m)
        active = (normal("active", half, m) > 0).double()
        block = (normal("inputs", half, m) * residual) @ (normal("outputs", half, m) * active).T / m
        hessian[:half, half:] += block
        hessian[half:, :half] += block.T
    return torch.linalg.eigvalsh(hessian)


def _r(g: complex, energy: float, phi: float, kind: Kind) -> complex:
    """The R-transform: those of free matrices add."""
    wishart = 1 / (1 - phi * g)
    if kind == "wigner":
        return wishart + 2 * energy * g
    return wishart + energy * phi * g / (2 - energy * phi**2 * g * g)


def _z(g: float, energy: float, phi: float, kind: Kind) -> float:
    return float((_r(g, energy, phi, kind) + 1 / g).real)


def _resolvent(z: complex, energy: float, phi: float, kind: Kind) -> complex:
    """The root with negative imaginary part of z = R(G) + 1/G as a polynomial; 0 density where all roots are real."""
    if kind == "wigner":
        roots = np.roots([2 * energy * phi, -(2 * energy + phi * z), z + phi - 1, -1])
    else:
        e, p = energy, phi
        # (2 − eφ²G²)(G + (1 − φG)(1 − zG)) + eφG²(1 − φG) = 0
        inner = np.polyadd(np.polymul([-p, 1], [-z, 1]), [1, 0])
        roots = np.roots(np.polyadd(np.polymul([-e * p * p, 0, 2], inner), np.polymul([e * p, 0, 0], [-p, 1])))
    below = roots[roots.imag < 0]
    if not len(below):
        return 0j
    # Beside the physical root others may lie below the axis; that one satisfies G ~ 1/z far away and is followed in.
    if len(below) == 1:
        return complex(below[0])
    return _followed(z, energy, phi, kind)


def _followed(z: complex, energy: float, phi: float, kind: Kind) -> complex:
    """Newton's method on z = R(G) + 1/G from far above the real axis, where G = 1/z, down to z."""
    g = 1 / (z + 1e3j)
    for height in np.append(np.geomspace(1e3, 1e-6, 120), 0.0):
        point = z + 1j * height
        for _ in range(30):
            step = 1e-7 * abs(g)
            f = _r(g, energy, phi, kind) + 1 / g - point
            slope = (_r(g + step, energy, phi, kind) + 1 / (g + step) - point - f) / step
            g_next = g - f / slope
            if abs(g_next - g) < 1e-13 * abs(g):
                break
            g = g_next
    return complex(g)


def _check(phi: float, kind: str, energy: float = 1.0) -> None:
    if kind not in ("wigner", "relu"):
        raise InputError(f"kind={kind!r}: choose 'wigner' or 'relu'")
    if not 0 < phi < 1:
        raise InputError(f"phi={phi}: the transition needs fewer parameters than residuals, 0 < phi < 1")
    if not 0 <= energy < float("inf"):
        raise InputError(f"energy={energy}: it must be finite and not negative")
