"""Times to an event of which some were never seen: Kaplan–Meier curves, Wilson intervals, exponents by bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from thalweg.errors import InputError

LEVEL = 0.95
"""The confidence of every interval here, unless another is asked for."""

_ROUNDING = 1e-9  # the shares are products of many fractions: 0.5 may come out a few ulps above


def wilson(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval of a share from ``successes`` out of ``trials`` (Wilson 1927, J. Am. Stat. Assoc. 22:209–212).

    Unlike the normal interval it stays inside [0, 1] and has a width at 0 and at all of them.

    Raises
    ------
    InputError
        If there are no trials, more successes than trials, or level is outside (0, 1).
    """
    if not 0 <= successes <= trials or trials < 1:
        raise InputError(f"{successes} successes of {trials} trials: give at least one trial, and no more successes")
    z = _normal(level)
    share, weight = successes / trials, z * z / trials
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * (share * (1 - share) / trials + weight / (4 * trials)) ** 0.5
    # at the ends the two terms are equal but for their rounding
    return (0.0 if successes == 0 else middle - half), (1.0 if successes == trials else middle + half)


@dataclass(frozen=True)
class Survival:
    """The Kaplan–Meier estimate (1958, J. Am. Stat. Assoc. 53:457–481) of times of which some are censored.

    ``times`` [k], where events were seen, ascending; ``share`` [k], the estimated share still without an event just
    after each; ``variance`` [k], Greenwood's sum Σ d/(n(n − d)); ``end``, the longest time that anyone was watched;
    ``count``, how many were. A time that is censored counts as at risk up to and including itself.
    """

    times: np.ndarray
    share: np.ndarray
    variance: np.ndarray
    end: float
    count: int

    @classmethod
    def of(cls, times: np.ndarray, seen: np.ndarray) -> Survival:
        """From the times [N] and whether the event was seen [N] or the watching ended.

        Raises
        ------
        InputError
            If there are no times, or one is NaN.
        """
        given, event = np.asarray(times, dtype=float), np.asarray(seen, dtype=bool)
        if given.ndim != 1 or given.shape != event.shape or not given.size or np.isnan(given).any():
            raise InputError(f"times {list(given.shape)}, seen {list(event.shape)}: give as many numbers as outcomes")
        at, events = np.unique(given[event], return_counts=True)
        risk = (given[None, :] >= at[:, None]).sum(1)
        with np.errstate(divide="ignore"):  # the last event of all leaves nobody: the share is 0 there
            greenwood = np.cumsum(events / (risk * (risk - events)))
        return cls(at, np.cumprod(1 - events / risk), greenwood, float(given.max()), given.size)

    def quantile(self, q: float) -> float | None:
        """The first time by which a share q has had the event; None where that was not reached."""
        reached = np.nonzero(self.share <= 1 - q + _ROUNDING)[0]
        return float(self.times[reached[0]]) if reached.size else None

    @property
    def median(self) -> float | None:
        """The first time by which half have had the event; None where fewer did."""
        return self.quantile(0.5)

    def interval(self, q: float = 0.5, level: float = LEVEL) -> tuple[float | None, float | None]:
        """An interval of the quantile (Brookmeyer & Crowley 1982, with the log−log transform of the share).

        A side is None where the data do not bound it: few events leave the upper side open.
        """
        z, inside = _normal(level), []
        goal = np.log(-np.log(1 - q))
        for t, s, v in zip(self.times, self.share, self.variance, strict=True):
            if 0 < s < 1:
                place = np.log(-np.log(s))
                if abs(place - goal) <= z * v**0.5 / abs(np.log(s)):
                    inside.append(float(t))
        if not inside:  # everyone at once: the data bound it by that time alone
            found = self.quantile(q)
            return found, found
        later = self.times[self.times > inside[-1]]
        return inside[0], (float(later[0]) if later.size else None)

    def steps(self, start: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Corners (times, share) of the curve as a staircase from ``start`` to the end of the watching."""
        x = np.concatenate([[start], np.repeat(self.times, 2), [max(self.end, start)]])
        return x, np.repeat(np.concatenate([[1.0], self.share]), 2)


@dataclass(frozen=True, slots=True)
class Exponent:
    """The power of ``over`` with which ``what`` grows, with an interval of ``level`` from ``draws`` bootstrap samples.

    ``values`` are those of ``over`` that were compared. None: a median was not reached, or too few values differ.
    """

    what: str
    over: str
    values: tuple[float, ...]
    value: float | None
    low: float | None
    high: float | None
    level: float = LEVEL
    draws: int = 0

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.what} ~ {self.over}^?"
        return f"{self.what} ~ {self.over}^{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def exponents(
    what: str,
    over: Mapping[str, Sequence[float]],
    times: Sequence[np.ndarray],
    seen: Sequence[np.ndarray],
    rng: np.random.Generator,
    *,
    draws: int = 400,
    level: float = LEVEL,
) -> tuple[Exponent, ...]:
    """Powers of every variable in the medians of G groups, by least squares of logarithms, all variables together.

    ``over`` names the values [G] of each variable; ``times`` and ``seen`` are those of each group. The interval is that
    of medians of starts drawn again with replacement; draws in which a median is not reached count as infinitely slow.
    Variables that do not vary, or only together with others, have no exponent.

    Raises
    ------
    InputError
        If a variable is not positive, or the groups are not as many as its values.
    """
    moving = {name: np.asarray(x, dtype=float) for name, x in over.items() if len(set(x)) > 1}
    for name, x in moving.items():
        if (x <= 0).any() or len(x) != len(times):
            raise InputError(f"{name}={x.tolist()}: a power law needs {len(times)} positive values")
    logs = np.stack([np.ones(len(times)), *(np.log(x) for x in moving.values())], axis=1)
    if not moving or np.linalg.matrix_rank(logs) < logs.shape[1]:
        return tuple(Exponent(what, n, tuple(np.unique(x).tolist()), None, None, None) for n, x in moving.items())

    def fit(groups: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray | None:
        medians = [Survival.of(t, s).median for t, s in groups]
        if any(m is None or m <= 0 for m in medians):
            return None
        return np.linalg.lstsq(logs, np.log(np.array(medians, dtype=float)), rcond=None)[0][1:]

    found = fit(list(zip(times, seen, strict=True)))
    again = []
    for _ in range(draws if found is not None else 0):
        picks = [rng.integers(len(t), size=len(t)) for t in times]
        again.append(fit([(t[i], s[i]) for t, s, i in zip(times, seen, picks, strict=True)]))
    tail = (1 - level) / 2
    result = []
    for i, (name, x) in enumerate(moving.items()):
        values = tuple(np.unique(x).tolist())
        if found is None:
            result.append(Exponent(what, name, values, None, None, None, level))
            continue
        drawn = np.sort([np.inf if a is None else a[i] for a in again])
        low, high = (float(drawn[round(p * (len(drawn) - 1))]) for p in (tail, 1 - tail))
        result.append(Exponent(what, name, values, float(found[i]), low, high, level, draws))
    return tuple(result)


def _normal(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"level={level}: it must lie between 0 and 1")
    return NormalDist().inv_cdf((1 + level) / 2)
