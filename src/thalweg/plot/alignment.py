"""What every figure of an alignment draws, apart from how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.records import Alignment


@dataclass(frozen=True)
class Curve:
    """Values [m] along the segment, before or after, on the rows themselves or on test rows."""

    label: str
    values: np.ndarray
    after: bool
    test: bool


def curves(record: Alignment, name: str) -> list[Curve]:
    """The curves of the loss or of a metric, those before the alignment first."""
    found = []
    for after, word in ((False, "before"), (True, "aligned")):
        for test in (False, True):
            key = f"{'after' if after else 'before'}_{'test_' if test else ''}{name}"
            if key in record.data:
                found.append(Curve(f"{word}, test rows" if test else word, record.data[key], after, test))
    return found
