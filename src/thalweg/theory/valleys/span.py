"""Outputs of least loss among those that given features can reach: what a last layer alone can do."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from thalweg.errors import InputError
from thalweg.theory.certificates.head import risk_at, slopes_at
from thalweg.theory.certificates.loss import squares_of
from thalweg.theory.subject import Subject

RANK = 1e-8
"""Singular values of features below this share of the largest count as zero: interpolation would lose 8 digits."""

STEPS = 2000
"""Most iterations by which outputs of least loss are found."""


def rank_of(features: Tensor) -> int:
    """Singular values above :data:`RANK` of the largest."""
    s = torch.linalg.svdvals(features)
    return int((s > RANK * s[0]).sum()) if len(s) and float(s[0]) > 0 else 0


def basis_of(features: Tensor) -> Tensor:
    """Orthonormal columns [n, r] that span those of the features [n, d]."""
    u, s, _ = torch.linalg.svd(features, full_matrices=False)
    return u[:, : int((s > RANK * s[0]).sum())] if len(s) and float(s[0]) > 0 else u[:, :0]


def best_within(subject: Subject, basis: Tensor, outputs: Tensor) -> Tensor:
    """Outputs [n, K] of least loss among outputs + basis · C, basis [n, r] with orthonormal columns.

    Closed form for squares, column by column; L-BFGS for any other loss.

    Raises
    ------
    InputError
        If outputs are not finite.
    """
    assert subject.risk is not None
    if not outputs.isfinite().all():
        raise InputError("the outputs at this point are not finite: give a point where they are")
    parts, r = subject.risk._parts, basis.shape[1]
    form = squares_of(parts, outputs)
    if form is not None:
        found = outputs.clone()
        for k in range(outputs.shape[1]):
            root = form.curvature[:, k].sqrt()
            wanted = root * (form.lowest[:, k] - outputs[:, k])
            c = torch.linalg.lstsq((root[:, None] * basis).cpu(), wanted.cpu().unsqueeze(1), driver="gelsd").solution
            found[:, k] += basis @ c[:, 0].to(basis)
        return found

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        z = outputs + basis @ torch.from_numpy(x).reshape(r, -1).to(basis)
        return risk_at(parts, z), (basis.T @ slopes_at(parts, z)).cpu().numpy().ravel()

    options: Any = {"maxiter": STEPS, "maxfun": 2 * STEPS, "ftol": 0.0, "gtol": 1e-12}
    x = np.zeros(r * outputs.shape[1])
    for _ in range(2):  # begun again from where it ended, its memory does not hold it back
        x = minimize(value, x, jac=True, method="L-BFGS-B", options=options).x
    return outputs + basis @ torch.from_numpy(x).reshape(r, -1).to(basis)
