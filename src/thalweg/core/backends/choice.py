"""Which backend runs: by a short trial on one row block, after a check against the loop at two points."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from thalweg.core.backends.base import Backend, Points, Work
from thalweg.core.backends.compiled import Compiled
from thalweg.core.backends.loop import Loop
from thalweg.core.backends.stacked import Stacked
from thalweg.core.backends.vmap import Vmap
from thalweg.core.rows import RowBlocks
from thalweg.core.stacked.layers import Unsupported
from thalweg.errors import InputError

AUTO = "auto"
BACKENDS: dict[str, Callable[[Work], Backend]] = {
    "loop": lambda work: Loop(),
    "vmap": lambda work: Vmap(),
    "stacked": Stacked,
    "compiled": lambda work: Compiled(),
}
"""Backends by name; "auto" chooses among the first three."""

WIN = 1.15
"""How many times faster than the loop another backend must be in its trial to be used."""

CHEAP = {"cpu": 5e-4, "cuda": float("inf")}
"""Seconds of a point below which vmap is tried: above, a CPU's cache is better used one point at a time."""

CHUNKS = {"cpu": (2**20, 2**22, 2**23), "cuda": (2**26, 2**28, 2**30)}
"""Bytes of the widest activation of a chunk: the three sizes tried. A CPU's fit its second-level cache."""

MOST_POINTS = 512

CLOSE = 2.0
"""A lead, or a lag, below this is measured twice."""

FIRST_POINTS = 16
"""Points by which the cost of a point is first estimated."""

TIMED_POINTS = 128
"""Points that a chunk is timed with at most; beyond it the cost of a point no longer changes."""

TRIAL_POINTS = 6
"""Points of the loop that a trial of chunks may cost: under 1.5 % of a 21×21 grid."""

Draw = Callable[[int], Points]
"""Points for a trial, as many as asked."""


@dataclass(frozen=True)
class Choice:
    """A backend and why it runs."""

    backend: Backend
    reason: str

    @property
    def measured(self) -> dict[str, Any]:
        """As JSON values from which :func:`again` makes the same choice."""
        return {"backend": self.backend.name, "reason": self.reason, "options": self.backend.options}


def check(name: str) -> None:
    """Refuse an unknown backend.

    Raises
    ------
    InputError
        With the names there are.
    """
    if name != AUTO and name not in BACKENDS:
        raise InputError(f"backend={name!r} is unknown: choose {', '.join(map(repr, (AUTO, *BACKENDS)))}")


def again(measured: Mapping[str, Any], work: Work) -> Choice:
    """The choice that was once measured, without a trial."""
    backend = BACKENDS[measured["backend"]](work)
    if isinstance(backend, Stacked):
        backend.points = int(measured["options"]["points"])
    return Choice(backend, str(measured["reason"]))


def choose(asked: str, work: Work, draw: Draw, tolerance: float, *, gradients: bool = False) -> Choice:
    """The backend asked for, or the fastest; the loop, with the reason, where nothing else will do."""
    if asked == Loop.name:
        return Choice(Loop(), "reference")
    first = next(iter(work.blocks))
    trial = _Trial(replace(work, blocks=RowBlocks(first, first.count)), draw, tolerance, gradients)
    if asked != AUTO:
        return trial.forced(asked)
    return trial.fastest()


class _Trial:
    """Two points by the loop, which are the reference and its time, and the candidates against them.

    What a trial may cost is counted in points of the loop, for a grid that is small may not be worth a long one.
    """

    def __init__(self, work: Work, draw: Draw, tolerance: float, gradients: bool) -> None:
        self.work, self.draw, self.tolerance, self.gradients = work, draw, tolerance, gradients
        self.left, self.refused = 0.0, False
        self.probes = draw(2)
        self.expected = self._run(Loop(), self.probes)
        self.loop = self._seconds(Loop(), self.probes)
        self.left = TRIAL_POINTS * self.loop

    def forced(self, name: str) -> Choice:
        found = self._checked(name)
        if isinstance(found, str):
            return Choice(Loop(), found)
        backend, gap = found
        if isinstance(backend, Stacked):
            self._sized(backend)
        return Choice(backend, f"asked for; agrees with the loop to {gap:.1g} at two points")

    def fastest(self) -> Choice:
        loop, why = self.loop, []
        cheap = loop <= CHEAP.get(self.work.space.device.type, float("inf"))
        for name in ("stacked", "vmap"):
            if name == "vmap" and self.refused:
                why.append("vmap untried: it would refuse the same step")
                continue
            if name == "vmap" and not cheap:
                why.append("vmap untried: a point is too costly to batch")
                continue
            found = self._checked(name)
            if isinstance(found, str):
                why.append(found)
                continue
            backend, gap = found
            if isinstance(backend, Stacked):
                seconds = self._sized(backend)
            else:
                seconds = self._seconds(backend, self.draw(self._few(backend)))
            close = seconds < CLOSE * loop and loop < CLOSE * seconds
            if close or (cheap and loop < WIN * seconds):  # a moment's disturbance could have decided it
                loop = min(loop, self._seconds(Loop(), self.probes))
                seconds = min(seconds, self._seconds(backend, self.draw(self._few(backend))))
            if loop >= WIN * seconds:
                ahead = f"{loop / seconds:.1f}× the loop in a trial; agrees with it to {gap:.1g} at two points"
                return Choice(backend, "; ".join([ahead, *why]))
            why.append(f"{name} {loop / seconds:.2f}× the loop in a trial")
        return Choice(Loop(), "; ".join(why))

    def _checked(self, name: str) -> tuple[Backend, float] | str:
        """The backend with its largest relative difference from the loop, or why it cannot be used."""
        if not self.work.shared_buffers:
            return f"{name} cannot run a statistics policy that differs from point to point"
        try:
            backend = BACKENDS[name](self.work)
            found = self._run(backend, self.probes)
        except Unsupported as error:
            return f"{name} refused the model: {error}"
        except Exception as error:  # whatever a user's forward raises here, the loop can still run it
            text = str(error).strip().splitlines()
            self.refused = "atching rule" in str(error)  # then vmap would refuse the very same step
            return f"{name} refused the model: {text[0] if text else type(error).__name__}"
        away, size = (found - self.expected).abs(), self.expected.abs()
        gap = float((away / (size + 1e-300)).nan_to_num(0.0).max())
        # Ten units of rounding for each row, because what a sum of rows cancels to says nothing about its rounding.
        floor = 10 * torch.finfo(self.work.space.dtype).eps * self.work.blocks.table.count
        off = (away > floor + 10 * self.tolerance * size).any()
        if not torch.equal(found.isnan(), self.expected.isnan()) or bool(off):
            return f"{name} differs from the loop by {gap:.2g} relative at a probe point"
        return backend, gap

    def _sized(self, backend: Stacked) -> float:
        """The chunk that runs fastest among three, or the middle one where they cannot be afforded; per point."""
        width = backend.widest * (2 if self.gradients else 1)  # what is left for the backward pass counts too
        targets = CHUNKS.get(self.work.space.device.type, CHUNKS["cuda"])
        sizes = sorted({min(MOST_POINTS, max(1, size // max(width, 1))) for size in targets})
        sizes = [size for size in sizes if size > 1] or [1]  # beyond one point values do not depend on the size
        middle = sizes[len(sizes) // 2]
        backend.points = chosen = middle
        best = self._seconds(backend, self.draw(self._few(backend)))
        for size in (middle, *(other for other in sizes if other != middle)):
            timed = min(size, TIMED_POINTS)
            if timed * best > self.left:
                continue
            backend.points = size
            seconds = self._seconds(backend, self.draw(timed))
            if seconds < best:
                best, chosen = seconds, size
        backend.points = chosen
        return best

    def _few(self, backend: Backend) -> int:
        """Points for a first estimate: no more than a chunk, and fewer where a point is costly."""
        affordable = max(2, int(TRIAL_POINTS / 3 * max(1.0, 1e-3 / self.loop)))
        return min(getattr(backend, "points", FIRST_POINTS), FIRST_POINTS, affordable)

    def _seconds(self, backend: Backend, points: Points) -> float:
        """Per point, by one run of points that were seen before."""
        clock = time.perf_counter()
        self._run(backend, points)
        taken = time.perf_counter() - clock
        self.left -= taken
        return taken / len(points)

    def _run(self, backend: Backend, points: Points) -> Tensor:
        if self.gradients:
            assert isinstance(points, Tensor)
            value, gradient = backend.gradients(self.work, points)
            # The loss is compared entry by entry, the gradient by its norm: entries of a gradient cancel.
            found = torch.stack([value, gradient.norm(dim=1)], dim=1)
        else:
            found = backend.totals(self.work, points)
        if found.is_cuda:
            torch.cuda.synchronize(found.device)
        return found
