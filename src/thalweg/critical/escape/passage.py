"""One rule from N starts at once: when each falls below the level, what it took, and where that leads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from thalweg.core.metered import Metered
from thalweg.core.rng import Stream
from thalweg.critical.certify import Certify
from thalweg.critical.escape.centre import Centre
from thalweg.descent import Descent, Library, Momentum, Rule
from thalweg.errors import BudgetSpent
from thalweg.records import BaselineStatus, CertificateStatus, RunStatus
from thalweg.records.escapes import NOT_STATIONARY, STATIONARY, UNKNOWN

JUDGED = 128
"""Up to this many parameters the Hessians at all end points are taken whole."""

CERTIFIED = 3
"""Beyond that, this many end points of each rule are certified by products."""


LOOKS = 50
"""Times at least that F of all rows is looked at along a run on some of them."""


@dataclass(frozen=True)
class Passage:
    """Arrays [N] of a lane, as :class:`thalweg.records.escapes.Race` keeps them; ``spent`` says the budget ended it."""

    arrays: dict[str, np.ndarray]
    spent: bool


@dataclass(frozen=True)
class Runner:
    """The options that every rule runs under.

    steps: at most. settling: plain steps with momentum from the passage to the end point, which is then judged
    second-order stationary where ‖∇F‖ ≤ ``flat`` and λ_min ≥ −``bent``. batch: rows drawn anew for a step; passages are
    then looked for after every pass through the data, and at least :data:`LOOKS` times.
    """

    steps: int
    settling: int
    flat: float
    bent: float
    batch: int | None = None

    def within(self, objective: Metered, at: Centre, rule: Rule | Library, starts: Tensor, rng: Stream) -> Passage:
        """Run a rule; where the budget has no room even for its first value, nothing is seen of any start."""
        try:
            return self(objective, at, rule, starts, rng)
        except BudgetSpent:
            many = len(starts)
            arrays = {name: np.zeros(many) for name in ("gradients", "forwards", "products", "steps")}
            arrays |= {name: np.zeros(many, dtype=bool) for name in ("passed", "diverged", "returned")}
            arrays |= {name: np.full(many, np.nan) for name in ("loss", "gradient_norm", "smallest")}
            return Passage(arrays | {"stationary": np.full(many, UNKNOWN)}, True)

    def __call__(self, objective: Metered, at: Centre, rule: Rule | Library, starts: Tensor, rng: Stream) -> Passage:
        """Run a rule; starts [N, P]."""
        if isinstance(rule, Library):
            return self._library(objective, at, rule, starts, rng)
        every = self.steps if self.batch is None else max(1, min(objective.row_count, self.steps // LOOKS))
        descent = Descent(
            rule,
            steps=self.steps,
            every=every,
            stop_loss=at.level,
            batch=self.batch,
            replacement=self.batch is not None,
        )
        run = descent(objective, starts, rng=rng)
        endings = np.array([ending.name for ending in run.endings])
        passed, out = endings == RunStatus.LOSS.name, endings == RunStatus.BUDGET.name
        arrays = {name: run.data[name].astype(float) for name in ("gradients", "forwards", "products")}
        arrays["steps"] = run.data["ended"].astype(float)
        # Who stopped by itself, or left the finite numbers, will never pass: it stays at risk as long as anyone.
        never = ~passed & ~out
        for x in arrays.values():
            x[never] = x.max()
        arrays["steps"][never] = self.steps
        returned = np.isin(endings, (RunStatus.CERTIFIED.name, RunStatus.RETURNED.name))
        arrays |= {"passed": passed, "diverged": endings == RunStatus.DIVERGED.name, "returned": returned}
        arrays |= {"loss": run.final_loss.copy(), "gradient_norm": run.final_gradient_norm.copy()}
        arrays |= {"smallest": np.full(len(passed), np.nan), "stationary": np.full(len(passed), UNKNOWN)}
        return self._settled(objective, at, torch.from_numpy(run.final.copy()).to(starts), arrays, rng, bool(out.any()))

    def _library(self, objective: Metered, at: Centre, rule: Library, starts: Tensor, rng: Stream) -> Passage:
        """One start after the other; it draws nothing, so that equal starts are run once."""
        different, which = torch.unique(starts, dim=0, return_inverse=True)
        run = replace(rule, limit=self.steps, stop_loss=at.level)(objective, different, rng=rng)
        arrays = {n: run.data[n][which].astype(float) for n in ("gradients", "forwards", "products", "steps")}
        passed = run.data["reached"][which]
        arrays["steps"][~passed] = self.steps
        arrays |= {"passed": passed, "diverged": ~np.isfinite(run.data["loss"])[which]}
        arrays |= {"returned": ~passed & ~arrays["diverged"]}
        arrays |= {"loss": run.data["loss"][which], "gradient_norm": run.data["gradient_norm"][which]}
        arrays |= {"smallest": np.full(len(passed), np.nan), "stationary": np.full(len(passed), UNKNOWN)}
        ends = objective.retract(torch.from_numpy(run.data["thetas"][which]).to(starts))
        return self._settled(objective, at, ends, arrays, rng, run.status is BaselineStatus.BUDGET)

    def _settled(
        self, objective: Metered, at: Centre, ends: Tensor, arrays: dict[str, np.ndarray], rng: Stream, spent: bool
    ) -> Passage:
        """A lane with what lies beyond its passages [N, P], where the budget lasts; without it they stand."""
        if arrays["passed"].any():
            try:
                self._judge(objective, at, ends[torch.from_numpy(arrays["passed"])], arrays, rng)
            except BudgetSpent:
                spent = True
        return Passage(arrays, spent)

    def _judge(self, objective: Metered, at: Centre, ends: Tensor, arrays: dict[str, np.ndarray], rng: Stream) -> None:
        """What lies beyond the passages: F, the gradient's norm and the lowest eigenvalue where the descent settles.

        ``ends`` [n, P] are where those that passed did; their entries of ``arrays`` are replaced.
        """
        passed = arrays["passed"]
        loss, norms = arrays["loss"][passed], arrays["gradient_norm"][passed]
        lowest, stationary = np.full(len(ends), np.nan), np.full(len(ends), UNKNOWN)
        if self.settling:
            on = Descent(Momentum(1 / (2 * at.smoothness), 0.9), steps=self.settling, every=self.settling)
            run = on(objective, ends)
            ends = torch.from_numpy(run.final.copy()).to(ends)
            loss, norms = run.final_loss, run.final_gradient_norm
        arrays["loss"][passed], arrays["gradient_norm"][passed] = loss, norms
        flat = norms <= self.flat
        stationary[~flat] = NOT_STATIONARY
        if objective.space.size <= JUDGED:
            lowest = _lowest(objective, ends)
            known = flat & np.isfinite(lowest)
            stationary[known] = np.where(lowest[known] >= -self.bent, STATIONARY, NOT_STATIONARY)
        else:
            certify = Certify(tolerance=self.flat, curvature=self.bent)
            for b in np.flatnonzero(flat)[:CERTIFIED]:
                found = certify(objective, ends[int(b)], rng=rng("certify", int(b)))
                lowest[b] = np.nan if found.smallest.upper is None else found.smallest.upper
                if found.status is not CertificateStatus.INCONCLUSIVE:
                    stationary[b] = STATIONARY if found.stationary else NOT_STATIONARY
        arrays["smallest"][passed], arrays["stationary"][passed] = lowest, stationary


def _lowest(objective: Metered, thetas: Tensor) -> np.ndarray:
    """The smallest Hessian eigenvalue at each point, from P products; NaN where they are not finite. float64 [B]."""
    size = thetas.shape[1]
    eye = torch.eye(size, dtype=thetas.dtype, device=thetas.device).expand(len(thetas), -1, -1)
    with objective.linearized(thetas) as linear:
        matrices = linear.hvp(eye).double().cpu()
    found = torch.full((len(thetas),), torch.nan, dtype=torch.float64)
    finite = matrices.isfinite().all(2).all(1)
    found[finite] = torch.linalg.eigvalsh((matrices + matrices.transpose(1, 2))[finite] / 2)[:, 0]
    return found.numpy()
