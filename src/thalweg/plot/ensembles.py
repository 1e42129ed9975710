"""What both kinds of figure show of ensembles: one curve a method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.records import Ensembles


@dataclass(frozen=True)
class EnsembleCurve:
    """Errors of one method's ensembles [k] against training runs [k]; ``members`` of the largest; ``noise`` [k]."""

    name: str
    members: int
    runs: np.ndarray
    error: np.ndarray
    alone: np.ndarray
    noise: np.ndarray


def curves_of(record: Ensembles) -> list[EnsembleCurve]:
    """Every method, in the order of the rows; noise is the standard error of a rate on as many rows."""
    count = max(int(record.data["count"]), 1)
    found = []
    for name in dict.fromkeys(row.method for row in record.rows):
        rows = [row for row in record.rows if row.method == name]
        error = np.array([row.error for row in rows])
        found.append(
            EnsembleCurve(
                name,
                rows[-1].members,
                np.array([row.runs for row in rows], dtype=np.float64),
                error,
                np.array([row.single_error for row in rows]),
                np.sqrt(error * (1 - error) / count),
            )
        )
    return found
