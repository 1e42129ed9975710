"""Reproductions done part by part: what is finished is kept, and a resumed one goes on after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import final

import numpy as np
from scipy import stats

from thalweg.core.evaluate import Evaluator, Inline
from thalweg.core.metered import Meter
from thalweg.paths.resume import part, respend, spent
from thalweg.records import Finding
from thalweg.records.reproductions import Panel
from thalweg.records.survival import wilson


@final
class Parts:
    """Arrays of named parts, each computed once; ``total`` is how many there will be."""

    def __init__(self, evaluate: Evaluator | None, meter: Meter, total: int) -> None:
        self._evaluate, self._meter, self._total, self._done = evaluate or Inline(), meter, total, 0
        self._kept = dict(self._evaluate.restore() or {})
        if "cost" in self._kept:
            respend(meter, self._kept["cost"])

    def __call__(self, name: str, compute: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The arrays of that part, from what was kept or by ``compute``."""
        found = part(self._kept, name)
        if not found:
            found = dict(compute())
            self._kept |= {f"{name}/{key}": np.asarray(x) for key, x in found.items()}
            self._kept["cost"] = spent(self._meter)
            self._evaluate.checkpoint(self._kept)
        self._done += 1
        self._evaluate.progress(self._done, self._total)
        return found


def interval(values: np.ndarray, errors: float = 2.0) -> tuple[float, tuple[float, float]]:
    """The mean of values [n], n at least 2, and so many standard errors about it."""
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / len(values) ** 0.5
    return mean, (mean - errors * error, mean + errors * error)


def mean_row(
    claim: str,
    source: str,
    values: np.ndarray,
    published: float | None = None,
    agrees: Callable[[float, float], bool] | None = None,
    errors: float = 2.0,
) -> Finding:
    """The mean of values [n] with so many standard errors; ``agrees`` judges by the lower and the upper end."""
    ours, (low, high) = interval(values, errors)
    return Finding(claim, source, published, ours, (low, high), None if agrees is None else bool(agrees(low, high)))


def share_row(
    claim: str,
    source: str,
    count: int,
    many: int,
    published: float | None = None,
    agrees: Callable[[float, float], bool] | None = None,
) -> Finding:
    """``count`` of ``many`` with Wilson's interval; ``agrees`` judges by the lower and the upper end."""
    low, high = wilson(count, many)
    return Finding(claim, source, published, count / many, (low, high), None if agrees is None else agrees(low, high))


def rank_row(claim: str, source: str, x: np.ndarray, y: np.ndarray, agrees: Callable[[float, float], bool]) -> Finding:
    """Spearman's correlation of x and y [n], neither constant, and two standard errors by Fisher's transformation."""
    rank = float(stats.spearmanr(x, y).statistic)
    low, high = (float(np.tanh(np.arctanh(rank) + side / max(len(x) - 3, 1) ** 0.5)) for side in (-2, 2))
    return Finding(claim, source, None, rank, (low, high), agrees(low, high))


def above_zero(low: float, high: float) -> bool:
    """Whether all of an interval lies above zero."""
    return low > 0


def below_zero(low: float, high: float) -> bool:
    """Whether all of an interval lies below zero."""
    return high < 0


def close(claim: str, source: str, published: float, ours: float, within: float = 0.0) -> Finding:
    """A value that agrees where it is that near the published one."""
    return Finding(claim, source, published, ours, None, bool(abs(ours - published) <= within))


def side_by_side(
    sheet: str,
    x: str,
    *drawn: tuple[str, Sequence[str], Sequence[str]],
    text: str = "",
    row: int = 0,
    first: int = 0,
    linear: bool = True,
) -> tuple[Panel, ...]:
    """Panels of a ``row`` over one x, from column ``first`` on: title, arrays and labels of each, ``text`` below."""
    return tuple(
        Panel(sheet, row, column, tuple(arrays), x=x, labels=tuple(labels), title=title, text=text, linear=linear)
        for column, (title, arrays, labels) in enumerate(drawn, first)
    )
