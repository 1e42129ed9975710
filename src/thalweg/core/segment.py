"""The largest value of F on a segment, with what stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from thalweg.core.exact.find import Found, agree, closed_form
from thalweg.core.exact.form import NotExactError
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.space import Point
from thalweg.core.spline import search
from thalweg.errors import BudgetSpent, InputError
from thalweg.records import Bracket, Guarantee

Method = Literal["exact", "adaptive", "sampled"]

MOST = 65
"""Evaluations that an adaptive or sampled maximum may take."""

CHUNK_BYTES = 64 * 2**20
"""Points are formed a chunk at a time, so that many of them need no more than this."""


@dataclass(frozen=True)
class Maximum:
    """The largest value found on a segment, F(a + t(b − a)), and its bracket.

    The lower side was evaluated, at ``t``; it is None where no value is a number. ``method`` is "polynomial",
    "quartic", "adaptive" or "sampled", and ``reason`` says why no stronger one was taken; ``evaluations`` counts
    values of F. An exact maximum is one of F in float64.
    """

    bracket: Bracket
    t: float
    method: str
    evaluations: int
    reason: str

    @property
    def value(self) -> float:
        """The largest value that was evaluated; NaN where none is a number."""
        return float("nan") if self.bracket.lower is None else self.bracket.lower

    @property
    def guarantee(self) -> Guarantee:
        """EXACT, ADAPTIVE or SAMPLED."""
        return self.bracket.guarantee

    @property
    def summary(self) -> str:
        """The answer in one sentence with its numbers."""
        count = f"{self.evaluations} evaluation{'s' if self.evaluations != 1 else ''}"
        return f"The largest F is {self.value:.6g} at t = {self.t:.6g} ({self.guarantee}, {count}): {self.reason}."


class Segment:
    """F from a to b, t in [0, 1]. Points bring their statistics (``objective.at``); tensors take F as it is.

    Raises
    ------
    InputError
        If an end has another length than the space.
    """

    def __init__(self, objective: Objective, a: Point | Tensor, b: Point | Tensor) -> None:
        points = [p for p in (a, b) if isinstance(p, Point)]
        self.objective = objective.at(*points) if points else objective
        ends = [p.theta if isinstance(p, Point) else p for p in (a, b)]
        self.a, self.b = (self.objective.space.check(x).detach() for x in ends)
        self._known: list[tuple[float, float]] = []

    def max(self, tol: float = 1e-6, method: Method | None = None, most: int = MOST) -> Maximum:
        """The maximum: exact where F has a closed form, else adaptive to ``tol``·max|F|, else sampled.

        An adaptive or sampled one takes up to ``most`` evaluations. ``method`` forces one of the three; an
        adaptive one whose error stays above ``tol``, or that meets a value that is not finite, ends as sampled.

        Raises
        ------
        InputError
            If tol is not positive, most below 2, the method unknown, or "exact" is forced where it does not apply.
        BudgetSpent
            If the budget ends before anything is evaluated, or before a maximum that is forced to be exact.
        """
        if not 0 < tol < float("inf") or most < 2:
            raise InputError(f"tol={tol}, most={most}: tol must be positive and finite, and most at least 2")
        if method not in (None, "exact", "adaptive", "sampled"):
            raise InputError(f"method={method!r}: choose 'exact', 'adaptive' or 'sampled', or None for the strongest")
        before, reason = len(self._known), f"{method} was asked for"
        try:
            if method in (None, "exact"):
                try:
                    return self._exactly()
                except NotExactError as error:
                    reason = f"not exact because {error}"
                    if method == "exact":
                        raise InputError(f"{reason}: use method='adaptive', or None") from error
            if method == "sampled":
                self._losses(self.objective, np.linspace(0.0, 1.0, most))
                return self._listed(before, reason)
            return self._adaptively(tol, most, before, reason)
        except BudgetSpent as spent:
            if method == "exact" or len(self._known) == before:
                raise
            return self._listed(before, f"{reason}; {spent}" if method else str(spent))

    def at(self, ts: np.ndarray) -> np.ndarray:
        """F at ts [n], float64 [n]: looked up in the closed form where there is one, else evaluated."""
        ts = np.asarray(ts, dtype=np.float64)
        if isinstance(self._found, NotExactError):
            return self._losses(self.objective, ts)
        return self._found.form.at(ts)

    @property
    def evaluated(self) -> tuple[np.ndarray, np.ndarray]:
        """Every t evaluated so far, increasing, and F there; both float64 [n]."""
        ts, values = np.array(self._known, dtype=np.float64).reshape(-1, 2).T
        order = np.argsort(ts, kind="stable")
        return ts[order], values[order]

    # --- the three ways -----------------------------------------------------------------------------

    def _exactly(self) -> Maximum:
        if isinstance(self._found, NotExactError):
            raise self._found
        peak = self._found.form.maximum()
        values = self._losses(self._double, np.array([peak.t]))
        form = agree(self._found.form, np.array([peak.t]), values)
        value = float(values[0])
        sides = (value, max(value, peak.value), Guarantee.EXACT, Guarantee.EXACT)
        bracket = Bracket(*sides, slack=2 * form.slack)
        return Maximum(bracket, peak.t, self._found.kind, self._taken + 1, f"F is a {form}")

    def _adaptively(self, tol: float, most: int, before: int, reason: str) -> Maximum:
        found = search(lambda ts: self._losses(self.objective, ts), tol, most)
        scale = float(np.abs(found.values).max())
        if not (np.isfinite(scale) and found.remaining <= tol * scale):
            if np.isfinite(found.remaining):
                reason += f"; not adaptive because an error of {found.remaining:.3g} is estimated to remain"
            return self._listed(before, reason)
        best = int(np.argmax(found.values))
        value = float(found.values[best])
        sides = (value, value + found.remaining, Guarantee.EXACT, Guarantee.ADAPTIVE)
        bracket = Bracket(*sides, slack=self.objective.tolerance * scale)
        return Maximum(bracket, float(found.ts[best]), "adaptive", len(self._known) - before, reason)

    def _listed(self, before: int, reason: str) -> Maximum:
        """The largest of the values evaluated since; nothing is claimed between them."""
        ts, values = np.array(self._known[before:]).T
        odd = int((~np.isfinite(values)).sum())
        if odd:
            reason += f"; {odd} of {len(values)} values {'is' if odd == 1 else 'are'} not finite"
        if np.isnan(values).all():
            return Maximum(Bracket(None, None), float("nan"), "sampled", len(values), reason)
        best = int(np.nanargmax(values))
        value = float(values[best])
        slack = self.objective.tolerance * abs(value) if np.isfinite(value) else 0.0
        bracket = Bracket(value, None, Guarantee.EXACT, None, slack)
        return Maximum(bracket, float(ts[best]), "sampled", len(values), reason)

    # --- values ---------------------------------------------------------------------------------------

    @cached_property
    def _double(self) -> Objective:
        """F in float64, on the same meter."""
        return self.objective if self.objective.space.dtype == torch.float64 else self.objective.to(torch.float64)

    @cached_property
    def _found(self) -> Found | NotExactError:
        """The closed form, or why there is none."""
        before = len(self._known)
        try:
            return closed_form(self._double, self.a.double(), self.b.double(), self._one_by_one)
        except NotExactError as reason:
            return reason
        finally:
            self._taken = len(self._known) - before

    def _one_by_one(self, ts: np.ndarray) -> np.ndarray:
        """F in float64: so few points are not worth a trial of backends, and come out the same bit for bit."""
        return self._losses(self._double, ts, 1)

    def _losses(self, objective: Objective, ts: np.ndarray, size: int | None = None) -> np.ndarray:
        """F at ts [n], ``size`` at a time; under a budget point by point, so that none is lost."""
        a, b = self.a.to(objective.space.dtype), self.b.to(objective.space.dtype)
        limited = isinstance(objective, Metered) and objective.meter.budget != Budget()
        size = 1 if limited else size or max(1, CHUNK_BYTES // (a.numel() * a.element_size()))
        found = []
        for part in np.array_split(ts, -(-len(ts) // size)):
            values = objective.losses(torch.addcmul(a, torch.from_numpy(part)[:, None].to(a), b - a)).cpu().numpy()
            self._known += zip(part.tolist(), values.tolist(), strict=True)
            found.append(values)
        return np.concatenate(found)
