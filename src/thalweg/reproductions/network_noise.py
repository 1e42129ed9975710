"""The noise that SGD meets on a small network: eigenvalues of the covariance of rows' gradients, beside the Hessian."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from thalweg.core.metered import Metered
from thalweg.core.rng import Stream
from thalweg.curvature.row_noise import row_covariance, row_gradients
from thalweg.descent import Descent, GradientDescent
from thalweg.records import Finding
from thalweg.reproductions.classifiers import Classifier

NARROW = 1e-10
"""Eigenvalues below this share of the largest count as zero."""


def spectrum(counted: Metered, hidden: Sequence[int], rows: int, source: Stream) -> dict[str, np.ndarray]:
    """Eigenvalues of the covariance of the digits' gradients after training, and its cosine with the Hessian."""
    classifier = Classifier(hidden, rows=rows, test=0)
    risk = classifier.risk()
    digits, begin = Metered(risk, meter=counted.meter), classifier.starts(risk, 1, source)
    run = Descent(GradientDescent(0.2), steps=800, batch=16, every=800)(digits, begin, rng=source("train"))
    end = torch.tensor(run.final)
    covariance = row_covariance(row_gradients(digits, end))
    with digits.linearized(end) as there:
        hessian = there.hvp(torch.eye(risk.space.size, dtype=torch.float64)[None])[0]
    values = torch.linalg.eigvalsh(covariance).flip(0).clamp(min=0)
    kept = values[values > NARROW * values[0]]
    return {
        "spectrum": kept.numpy(),
        "number": np.arange(1.0, len(kept) + 1),
        "size": np.array(len(values)),
        "rows": np.array(rows),
        "cosine": ((covariance * hessian).sum() / (covariance.norm() * hessian.norm())).numpy(),
    }


def rows(found: dict[str, np.ndarray]) -> list[Finding]:
    """Its rank, how much of it lies in few directions, and how near it is to the Hessian."""
    values, size = found["spectrum"], int(found["size"])
    tenth, most = float(values[: max(1, size // 10)].sum() / values.sum()), min(int(found["rows"]) - 1, size)
    said = "Chaudhari & Soatto: noise is anisotropic; trace in a tenth of directions"
    return [
        Finding("rank", "rank of the covariance: at most rows − 1", most, len(values), None, len(values) <= most),
        Finding("tenth", said, None, tenth, None, tenth > 0.5),
        Finding("stable_rank", "trace over the largest eigenvalue", None, float(values.sum() / values[0])),
        Finding("cosine", "cosine of covariance and Hessian", None, float(found["cosine"])),
    ]
