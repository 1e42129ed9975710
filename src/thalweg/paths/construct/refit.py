"""The last layer fitted anew on part of the features: a convex problem, solved where the features are orthonormal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from thalweg.core.metered import Metered
from thalweg.core.parts import Parts
from thalweg.records import Cost

KEPT = 1e-9
"""Directions of the features below this share of the largest are left alone."""


def reproduced(features: Tensor, rows: Tensor, columns: Tensor, biased: bool) -> Tensor:
    """Rows that give from the kept columns what the given rows gave from all, in least squares."""
    if not columns.numel():  # only dead units: nothing is kept, and nothing is given
        return rows.new_zeros(len(rows), 0)
    wanted = features @ rows.T
    return torch.linalg.lstsq(features[:, columns], wanted, rcond=KEPT, driver="gelsd").solution.T


@dataclass
class Refit:
    """Fits last layers [out, k] by L-BFGS on F + ridge·‖W‖²; what it evaluates is counted as its share of a gradient.

    A fit ends once F is at most what the whole network had: a path gains nothing below its end.
    """

    objective: Metered
    parts: Parts
    ridge: float
    steps: int

    def __call__(self, features: Tensor, start: Tensor, outputs: Tensor) -> Tensor:
        """The fitted last layer, from the start or from what gives these outputs in least squares, if that is lower."""
        u, s, vh = torch.linalg.svd(features, full_matrices=False)
        rank = int((s > KEPT * s[0]).sum()) if len(s) and float(s[0]) > 0 else 0
        if rank == 0 or self.steps == 0:
            return start
        root = len(features) ** 0.5
        basis, back = u[:, :rank] * root, (vh[:rank].T / s[:rank]) * root
        targets, shape = self.parts.blocks.table.targets, self.parts.template.shape[1:]
        rest = start - (start @ vh[:rank].T) @ vh[:rank]
        share = start.numel() / self.objective.space.size
        one = Cost(backwards=share, rows=round(share * len(features)))

        def plain(z: Tensor) -> Tensor:
            return self.parts.loss.sum(z.reshape(len(basis), *shape), targets) / self.parts.z

        def risk(c: Tensor) -> Tensor:
            value = plain(basis @ c.T)
            return value + self.ridge * ((c @ back.T) + rest).square().sum() if self.ridge else value

        def value(x: np.ndarray) -> tuple[float, np.ndarray]:
            self.objective.meter.afford(one)
            self.objective.meter.add(one)
            c = torch.from_numpy(x.reshape(len(start), rank)).to(features).requires_grad_()
            with torch.enable_grad():
                found = risk(c)
            slope = torch.autograd.grad(found, c)[0].cpu().numpy().ravel()
            if float(found.detach()) <= enough:
                raise _Enough(x)
            return float(found.detach()), slope

        options: Any = {"maxiter": self.steps, "ftol": 1e-15, "gtol": 1e-10}
        with torch.no_grad():
            starts = [(start @ vh[:rank].T) * s[:rank] / root, outputs.T @ basis / len(features)]
            first = min(starts, key=lambda c: float(risk(c)))
            enough = float(plain(outputs))
        try:
            x = minimize(value, first.cpu().numpy().ravel(), jac=True, method="L-BFGS-B", options=options).x
        except _Enough as found:
            x = found.args[0]
        best = torch.from_numpy(np.array(x).reshape(len(start), rank)).to(features)
        with torch.no_grad():
            return min((best, first), key=lambda c: float(risk(c))) @ back.T + rest


class _Enough(Exception):
    """The fit is as good as it has to be; carries where."""
