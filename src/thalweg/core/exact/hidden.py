"""From a network with one layer of kinks to the piecewise quartic that F is along a segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial import Chebyshev, Polynomial
from torch import Tensor

from thalweg.core.data import Table
from thalweg.core.exact.form import NotExactError
from thalweg.core.exact.polynomial import nodes
from thalweg.core.exact.quartic import PiecewiseQuartic, cumulative
from thalweg.core.exact.structure import forward, moved
from thalweg.core.exact.watch import Kinks
from thalweg.core.loss import RowLoss
from thalweg.core.parts import Parts
from thalweg.core.rng import Stream

PASSES = 2
"""Forward passes over the rows that the quartic takes: one at each end."""

MOST_KINKS = 2**23
"""Kinks that are kept: about 1.5 GB while they are sorted."""

CHUNK_BYTES = 2**21
"""Rows are worked on in parts whose jumps take about this much, to stay in cache."""


@dataclass(frozen=True)
class _Rows:
    """Rows of one block: h = p + q·t [n, W], weight [K, W] and bias [K] at both ends, the loss per output."""

    p: np.ndarray
    q: np.ndarray
    below: float
    weights: tuple[np.ndarray, np.ndarray]
    biases: tuple[np.ndarray, np.ndarray]
    curvature: np.ndarray
    lowest: np.ndarray


def piecewise(parts: Parts, a: Tensor, b: Tensor, rounding: float) -> PiecewiseQuartic:
    """F from a to b, both [P] and float64; its values carry the relative error ``rounding``.

    Raises
    ------
    NotExactError
        If the loss mixes outputs, or there are more kinks than are kept.
    """
    start, constant = np.zeros(5), 0.0
    kinks, jumps, count = [], [], 0
    for block in parts.blocks:
        rows, least = _rows(parts, a, b, block)
        constant += least
        for part in _chunks(rows):
            first, t, jump = _jumps(part)
            start += first
            count += len(t)
            if count > MOST_KINKS:
                raise NotExactError(f"the segment has more than {MOST_KINKS:,} kinks")
            kinks.append(t)
            jumps.append(jump)
    start[0] += constant
    times, steps = np.concatenate(kinks), np.concatenate(jumps)
    order = np.argsort(times, kind="stable")
    coefficients = cumulative(np.concatenate([start[None], steps[order]]))[1:] / parts.z
    coefficients += _regulariser(parts, a, b)
    return PiecewiseQuartic(times[order], coefficients, float(rounding * np.abs(coefficients).sum(1).max()))


def _rows(parts: Parts, a: Tensor, b: Tensor, block: Table) -> tuple[_Rows, float]:
    """A block between its kinks, and the sum of the least values of its rows' losses."""
    moving = moved(parts, a, b)
    ends: list[Kinks] = []
    for theta in (a, b):
        outputs, watch = forward(parts, theta, moving, block)
        kinks = watch.kinks(outputs)
        if kinks is None or kinks.weight is None:
            raise NotExactError("the forward pass differs from one row block to another")
        ends.append(kinks)
    first, last = ends
    curvature, lowest, least = squares(parts.loss, outputs, block)
    p = _array(first.h.flatten(1))
    weights = [_array(k.weight) for k in ends if k.weight is not None]
    biases = [np.zeros(len(weights[0])) if k.bias is None else _array(k.bias) for k in ends]
    q = _array(last.h.flatten(1)) - p
    return (
        _Rows(p, q, first.below, (weights[0], weights[1]), (biases[0], biases[1]), curvature, lowest),
        least,
    )


def squares(loss: RowLoss, outputs: Tensor, block: Table) -> tuple[np.ndarray, np.ndarray, float]:
    """A loss of degree 2 as Σ c·(z − y)² + least: c and y [n, K], and least.

    The gradient at two places gives c and y, if the loss does not mix outputs; that it does not is seen at
    random outputs, where two different quadratics agree with probability zero.
    """

    def gradient(z: Tensor) -> Tensor:
        leaf = z.detach().requires_grad_()
        with torch.enable_grad():
            (found,) = torch.autograd.grad(loss.sum(leaf, block.targets), leaf, materialize_grads=True)
        return found

    zero = torch.zeros_like(outputs)
    size = float(2.0 ** torch.frexp(gradient(zero).abs().max() + 1)[1])  # of the targets, so that little cancels
    curvature = (gradient(zero + size) - gradient(zero - size)) / (4 * size)
    flat = curvature.abs() <= 1e-12 * curvature.abs().max()
    slope = gradient(zero)
    if bool((flat & (slope.abs() > 1e-12 * slope.abs().max())).any()):
        raise NotExactError("the loss is linear in some outputs")
    lowest = torch.where(flat, 0.0, -slope / (2 * torch.where(flat, 1.0, curvature)))
    curvature = torch.where(flat, 0.0, curvature)
    with torch.no_grad():
        least = loss.each(lowest, block.targets).double()
        noise = torch.randn(outputs.shape, generator=Stream(0, ("loss",)).torch(), dtype=torch.float64).to(outputs)
        drawn = lowest + size * noise
        expected = least + (curvature * (drawn - lowest).square()).reshape(len(drawn), -1).sum(1)
        gap = (loss.each(drawn, block.targets) - expected).abs()
    if not bool((gap <= 1e-9 * expected.abs()).all()):
        raise NotExactError("the loss is no weighted sum of squared errors: it mixes outputs")
    n = len(outputs)
    return _array(curvature.reshape(n, -1)), _array(lowest.reshape(n, -1)), float(least.sum())


def _chunks(rows: _Rows) -> Iterator[_Rows]:
    outputs = rows.curvature.shape[1]
    size = max(1, CHUNK_BYTES // (rows.p.shape[1] * outputs * 3 * 8))
    for low in range(0, len(rows.p), size):
        cut = slice(low, low + size)
        kept = (rows.below, rows.weights, rows.biases)
        yield _Rows(rows.p[cut], rows.q[cut], *kept, rows.curvature[cut], rows.lowest[cut])


def _jumps(rows: _Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sum of row losses before the first kink [5], every kink's t [m] and the jump there [m, 5]."""
    p, q, (v, v1), (c, c1) = rows.p, rows.q, rows.weights, rows.biases
    u, curvature = v1 - v, rows.curvature
    active = np.where((p > 0) | ((p == 0) & (q > 0)), 1.0, rows.below)
    ap, aq = active * p, active * q
    error = (ap @ v.T + c - rows.lowest, ap @ u.T + aq @ v.T + (c1 - c), aq @ u.T)  # of 1, t, t²: each [n, K]
    start = _product([curvature * e for e in error], error).sum(0)

    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(p * q < 0, -p / q, np.inf)
    t[t >= 1] = np.inf
    order = np.argsort(t, axis=1, kind="stable")[:, : int(np.isfinite(t).sum(1).max(initial=0))]
    t = np.take_along_axis(t, order, axis=1)
    inside = np.isfinite(t)
    turn = np.where(inside, (1 - rows.below) * np.sign(np.take_along_axis(q, order, axis=1)), 0.0)
    tp, tq = (turn * np.take_along_axis(x, order, axis=1) for x in (p, q))
    vs, us = v.T[order], u.T[order]  # [n, m, K]
    jump = [tp[..., None] * vs, tq[..., None] * vs]
    if bool(u.any()):
        jump[1] += tp[..., None] * us
        jump.append(tq[..., None] * us)
    # The square changes by (after − before)·(after + before), which loses nothing to cancellation.
    both = [2 * (np.cumsum(j, axis=1) + e[:, None]) - j for j, e in zip(jump, error, strict=False)]
    steps = _product([curvature[:, None] * j for j in jump], both)
    return start, t[inside], steps[inside]


def _product(x: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> np.ndarray:
    """Products of quadratics, given by their coefficients [..., K] each, summed over K: [..., 5]."""
    found = np.zeros((*x[0].shape[:-1], 5))
    for i, left in enumerate(x):
        for j, right in enumerate(y):
            found[..., i + j] += np.einsum("...k,...k->...", left, right)
    return found


def _regulariser(parts: Parts, a: Tensor, b: Tensor) -> np.ndarray:
    """Coefficients of 1 … t⁴ of the regulariser, which is a polynomial of degree 4 at most."""
    if parts.regulariser is None:
        return np.zeros(5)
    t = nodes(5)
    with torch.no_grad():
        values = np.array([float(parts.regularised(a + float(s) * (b - a))) for s in t])
    fitted = Chebyshev.fit(t, values, 4, domain=[0, 1]).convert(kind=Polynomial, domain=[-1, 1], window=[-1, 1])
    return np.pad(fitted.coef, (0, 5 - len(fitted.coef)))


def _array(x: Tensor) -> np.ndarray:
    return np.asarray(x.detach().cpu().numpy(), dtype=np.float64)
