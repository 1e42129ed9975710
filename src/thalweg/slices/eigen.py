"""Directions of extremal curvature: eigenvectors of the Hessian or the Gauss–Newton matrix."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from thalweg.core import krylov
from thalweg.core.directions import Dense, Directions
from thalweg.core.krylov import Which
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import Point
from thalweg.curvature import Lanczos
from thalweg.errors import InputError
from thalweg.records import Spectrum, SpectrumStatus, encode


def eigen_directions(
    objective: Objective,
    theta: Point | Tensor | np.ndarray,
    k: int = 2,
    *,
    lanczos: Lanczos | None = None,
    rng: int | Stream = 0,
) -> Directions:
    """The k extremal eigenvectors at ``theta``, unit rows, the most wanted first; by default the largest eigenvalues'.

    ``lanczos`` says which end of which matrix, and how well; its k is replaced. ``Lanczos(which="BE")`` gives the
    largest and the smallest. An eigenvector's sign is arbitrary: its largest entry is made positive. The recipe holds
    eigenvalues and residuals ‖Av − λv‖; what is not converged, or cannot be told from its neighbour, is noted.
    Their use as axes of a plane: Yao et al. 2020 (PyHessian), §4.

    Raises
    ------
    InputError
        If k is not between 1 and the number of variables, or a product is NaN or infinite.
    """
    point, source = objective.point(theta), stream(rng)
    if not 1 <= k <= objective.space.size:
        raise InputError(f"k={k}: a space of {objective.space.size:,} variables has from 1 to as many eigenvectors")
    method = replace(lanczos or Lanczos(), k=k)
    spectrum = method(objective, point, rng=source)
    found = spectral(objective, spectrum, k)
    found.recipe |= {
        "kind": "eigen",
        "lanczos": encode(asdict(method)),
        "seed": source.seed,
        "path": list(source.path),
        "space": objective.space.fingerprint,
        "at": [objective.space.digest(objective.space.check(point.theta))],
    }
    return found


def spectral(objective: Objective, spectrum: Spectrum, k: int) -> Dense:
    """The first k eigenvectors of a spectrum as directions.

    Raises
    ------
    InputError
        If the spectrum has fewer, keeps no vectors, or is of a space of another size.
    """
    vectors, which = spectrum.data.get("eigenvectors"), cast(Which, spectrum.which)
    if spectrum.status is SpectrumStatus.NONFINITE:
        raise InputError(f"{spectrum.message} Random directions need no derivative: use those")
    if vectors is None or len(vectors) < k:
        kept = 0 if vectors is None else len(vectors)
        raise InputError(f"the spectrum keeps {kept} eigenvectors: {k} are needed; compute it with k={k}")
    if vectors.shape[1] != objective.space.size:
        raise InputError(
            f"the spectrum is of {vectors.shape[1]:,} variables, the objective has {objective.space.size:,}: "
            "it is of another network"
        )
    order = krylov.select(torch.tensor(spectrum.eigenvalues), k, which)
    rows = torch.tensor(vectors[order.numpy()], dtype=torch.float64)
    rows = rows * torch.sign(rows.gather(1, rows.abs().argmax(1, keepdim=True)))
    values, residuals = (x[order.numpy()].tolist() for x in (spectrum.eigenvalues, spectrum.residuals))
    recipe = {
        "kind": "spectrum",
        "operator": spectrum.operator,
        "which": which,
        "eigenvalues": values,
        "residuals": residuals,
    }
    labels = tuple(f"eigenvector, λ = {value:.4g}".replace("-", "−") for value in values)
    return Dense(objective.space, rows, recipe, labels, notes=_notes(spectrum, values, residuals))


def _notes(spectrum: Spectrum, values: list[float], residuals: list[float]) -> tuple[str, ...]:
    """What a picture along these eigenvectors must say."""
    found = []
    if spectrum.status in (SpectrumStatus.BUDGET, SpectrumStatus.ROUNDING):
        found.append(f"eigenvectors of the {spectrum.operator}: {spectrum.message}")
    for i in range(len(values) - 1):
        if abs(values[i] - values[i + 1]) <= residuals[i] + residuals[i + 1] + 2 * spectrum.slack:
            found.append(
                f"eigenvalues {values[i]:.6g} and {values[i + 1]:.6g} cannot be told apart: "
                "the plane is theirs, its axes are not"
            )
    return tuple(found)
