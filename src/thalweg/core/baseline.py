"""What needs no hidden unit: the best constant and the best affine predictor of the targets, in float64.

Their losses explain steps of a length-against-level curve: above the best constant predictor's loss two networks may
meet where all weights are zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import linprog, minimize
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream

WORK = 3e7
"""Rows × inputs × outputs up to which the affine predictor is fitted."""

UNKNOWNS = 2000
"""Rows up to which a predictor of least absolute error is fitted: a linear programme of that many constraints."""


def baselines(objective: Objective) -> dict[str, float]:
    """The smallest data loss of a ``constant`` and of an ``affine`` predictor, on the scale of F without regulariser.

    Squared and absolute error (exactly, by least squares, medians and a linear programme) and cross-entropy with class
    targets (convex; by L-BFGS to a gradient of 1e-8, so that separable classes give nearly 0). What does not apply, or
    is too large, is left out: networks whose outputs or targets are no single tensor, other losses, inputs that are no
    finite floating-point tensor (no ``affine``), targets that are not finite, rows that other processes hold.
    """
    if not isinstance(objective, EmpiricalRisk) or objective._parts.split:
        return {}
    parts = objective._parts  # the loss and the rows in float64, and not the network with them: it may be large
    exact = torch.float64, torch.device("cpu")
    loss, table = parts.loss.to(*exact), parts.blocks.table.to(*exact)
    inputs, targets = table.inputs, table.targets
    if not isinstance(targets, Tensor) or not isinstance(parts.template, Tensor) or parts.template.ndim < 2:
        return {}
    shape, count = tuple(parts.template.shape[1:]), table.count
    form = _form(loss.each, shape, targets)
    if form is None:
        return {}
    if not bool(targets.isfinite().all()):  # nothing predicts them best
        return {}
    ones = torch.ones(count, 1, dtype=torch.float64)
    found = {"constant": _best(form, ones, shape, targets, loss.sum) / parts.z}
    if isinstance(inputs, Tensor) and inputs.is_floating_point():
        design = torch.cat([inputs.reshape(count, -1), ones], dim=1)
        small = form != "absolute" or count <= UNKNOWNS
        if small and bool(design.isfinite().all()) and design.numel() * int(np.prod(shape)) <= WORK:
            found["affine"] = _best(form, design, shape, targets, loss.sum) / parts.z
    return found


def squared(objective: Objective) -> tuple[int, float] | None:
    """For a squared loss without regulariser the number m of residuals e, and c with Σe²/2m = c·F; None for others."""
    if not isinstance(objective, EmpiricalRisk) or objective._parts.split:
        return None
    exact = objective.to(torch.float64, "cpu")
    parts, outputs = exact._parts, exact.outputs(objective.initial)
    targets = parts.blocks.table.targets
    if not isinstance(targets, Tensor) or not isinstance(outputs, Tensor) or parts.regulariser is not None:
        return None
    if parts.template.ndim < 2 or _form(parts.loss.each, tuple(parts.template.shape[1:]), targets) != "squared":
        return None
    square = float((outputs - targets).square().sum())
    return outputs.numel(), square / (2 * outputs.numel()) / float(parts.loss.sum(outputs, targets) / parts.z)


def _form(each: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...], targets: Tensor) -> str | None:
    """What kind of loss it is, told from its values at drawn outputs; None for any other."""
    some = targets[:64]
    z = torch.rand(len(some), *shape, generator=Stream(0, ("baseline",)).torch(), dtype=torch.float64)
    if not targets.is_floating_point():
        classes = targets.ndim == 1 and len(shape) == 1
        if not classes or not bool(((targets >= 0) & (targets < shape[0])).all()):
            return None
        ours = torch.nn.functional.cross_entropy(z, some, reduction="none")
        return "cross-entropy" if _proportional(each(z, some), ours) else None
    if targets.shape[1:] != shape:
        return None
    gap = (z - some).reshape(len(some), -1)
    for name, ours in (("squared", gap.square().sum(1)), ("absolute", gap.abs().sum(1))):
        if _proportional(each(z, some), ours):
            return name
    return None


def _proportional(one: Tensor, other: Tensor) -> bool:
    ratio = one.detach().double() / other
    return bool((ratio - ratio[0]).abs().max() <= 1e-6 * ratio[0].abs()) and float(ratio[0]) > 0


def _best(
    form: str, design: Tensor, shape: tuple[int, ...], targets: Tensor, total: Callable[[Tensor, Tensor], Tensor]
) -> float:
    """The smallest sum of losses of the predictors design @ weights."""
    size = int(np.prod(shape))

    def loss(weights: Tensor) -> Tensor:
        return total((design @ weights).reshape(-1, *shape), targets)

    if form == "squared":
        weights = torch.linalg.lstsq(design, targets.reshape(len(targets), -1), driver="gelsd").solution
    elif form == "absolute":
        columns = targets.reshape(len(targets), -1).numpy().T
        weights = torch.from_numpy(np.stack([_least_absolute(design.numpy(), y) for y in columns], axis=1))
    else:

        def value(x: np.ndarray) -> tuple[float, np.ndarray]:
            w = torch.from_numpy(x.reshape(design.shape[1], size)).requires_grad_()
            with torch.enable_grad():
                found = loss(w) / len(targets)
            return float(found.detach()), torch.autograd.grad(found, w)[0].numpy().ravel()

        start = np.zeros(design.shape[1] * size)
        options = {"maxiter": 2000, "gtol": 1e-8, "ftol": 1e-14}
        found = minimize(value, start, jac=True, method="L-BFGS-B", options=options)  # type: ignore[call-overload]
        weights = torch.from_numpy(found.x).reshape(design.shape[1], size)
    with torch.no_grad():
        return float(loss(weights))


def _least_absolute(design: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The weights of least Σ|design @ w − y|: its dual, one bounded variable per row (Koenker & Bassett 1978)."""
    if design.shape[1] == 1:
        return np.array([np.median(y)])
    # max yᵀu with designᵀu = 0, −1 ≤ u ≤ 1; the multipliers of the equalities are the weights.
    found = linprog(-y, A_eq=design.T, b_eq=np.zeros(design.shape[1]), bounds=(-1, 1), method="highs")
    return -np.asarray(found.eqlin.marginals)
