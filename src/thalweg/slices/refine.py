"""A grid filled by interpolation wherever that is good enough, and by evaluation where it is not."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter

from thalweg.errors import InputError, StoreError
from thalweg.records import Cost, SliceStatus
from thalweg.slices.fill import Canvas, Fill, Filled, at
from thalweg.slices.pyramid import Prediction, Pyramid

DECAY = 0.5
"""What a halved spacing is taken to leave of an error: a kink's halves, a smooth function's falls to a sixteenth."""

CHECKS = (4, 32)
"""Fewest and most points drawn at random to check a surface: an eighth of those it took, within these."""

CHUNK = 64
"""Points evaluated between two checkpoints; fixed, so that an interrupted run is cut at the same places."""


@dataclass(frozen=True)
class Refine(Fill):
    """Cubic splines through a coarse grid, refined where points that were held back are missed by too much.

    About ``start`` points along each axis are evaluated at first, and whatever lies between is predicted. Every new
    value is compared with its prediction: half of what a cell and its neighbours were missed by is the estimated
    error of the cells it was cut into. A cell whose estimate exceeds ``tolerance`` times the range of F found so far
    (or ``absolute``, in units of F) is halved along each axis. When none does, points drawn at random are evaluated;
    one that is missed by more opens its cell again. The largest estimate that remains is the record's
    ``interpolation_error``. It is no bound: a spike between the points looked at is not seen. In tests the true error
    stays below ``tolerance`` on networks' planes and on random smooth surfaces, and exceeds it by up to three times
    where single kinks of few ReLUs stand out.

    Beside values that are not finite every point is evaluated. Metrics are interpolated linearly on the same points,
    and nothing is said of their error. A surface that needs all of its points is as sure as a dense one.

    Raises
    ------
    InputError
        If the tolerance is not positive or start is below 4.
    StoreError
        If the work is resumed with other settings than it was begun with.
    """

    tolerance: float = 1e-2
    absolute: float | None = None
    start: int = 13

    def __post_init__(self) -> None:
        if not self.tolerance > 0 or (self.absolute is not None and not self.absolute > 0):
            raise InputError(f"tolerance={self.tolerance}, absolute={self.absolute}: an error must be positive")
        if self.start < 4:
            raise InputError(f"start={self.start}: a cubic spline needs at least 4 points along each axis")

    def __call__(self, canvas: Canvas) -> Filled:
        """Fill a grid of one or two axes."""
        pyramid = Pyramid(canvas.shape, self.start)
        sheet = _Sheet(canvas, asdict(self))
        first = (canvas.mesh == 0).all(-1).numpy()  # the centre, where the grid holds it
        first[np.ix_(*pyramid.levels[1])] = True
        sheet.know(first)
        halved = [np.zeros([len(a) - 1 for a in level], dtype=bool) for level in pyramid.levels]
        halved[0][:] = True
        checks, missed = 0, None  # of the last points drawn, if no cell was opened since
        while True:
            found = pyramid.predict(sheet.values["loss"], sheet.known)
            if sheet.known.all():
                remaining, wanted = 0.0, None
            else:
                remaining, wanted = self._judged(pyramid, halved, found, sheet)
            if wanted is not None:
                sheet.know(wanted)
                missed = None
            elif sheet.known.all() or missed is not None:
                break
            else:
                drawn = self._drawn(sheet, checks)
                sheet.know(drawn)
                misses = np.abs(sheet.values["loss"][drawn] - found.values[drawn])
                missed = float(misses[np.isfinite(misses)].max(initial=0.0))
                checks += 1
        values = {name: pyramid.predict(x, sheet.known, 1).values for name, x in sheet.values.items() if name != "loss"}
        whole = bool(sheet.known.all())
        fields = {"interpolation_error": 0.0 if whole or missed is None else max(remaining, missed)}
        status = SliceStatus.COMPLETE if whole else SliceStatus.INTERPOLATED
        return Filled({"loss": found.values, **values}, {"evaluated": sheet.known}, fields, status)

    def _judged(
        self, pyramid: Pyramid, halved: list[np.ndarray], found: Prediction, sheet: _Sheet
    ) -> tuple[float, np.ndarray | None]:
        """The largest estimated error, and the points of the cells in which it is too large; those are now halved."""
        odd = sheet.known & ~np.isfinite(sheet.values["loss"])
        allowed = self._allowed(sheet)
        remaining, wanted = 0.0, np.zeros(pyramid.shape, dtype=bool)
        for level in range(1, len(pyramid.levels) - 1):
            parents = maximum_filter(pyramid.tested(found.surplus, level - 1), 3, mode="nearest")
            error = np.maximum(DECAY * pyramid.below(parents, level), pyramid.most(found.surplus, level))
            corners = np.zeros_like(odd)
            corners[np.ix_(*pyramid.levels[level])] = odd[np.ix_(*pyramid.levels[level])]
            beside = maximum_filter(pyramid.cellwise(corners, level), 3, mode="nearest")
            error[beside | pyramid.cellwise(odd, level)] = np.inf
            leaves = pyramid.below(halved[level - 1], level) & ~halved[level] & pyramid.cellwise(~sheet.known, level)
            bad = leaves & (error > allowed)
            halved[level] |= bad
            wanted |= pyramid.inside(bad, level)
            remaining = max(remaining, float(error[leaves].max(initial=0.0)))
        return remaining, wanted if wanted.any() else None

    def _allowed(self, sheet: _Sheet) -> float:
        loss = sheet.values["loss"][sheet.known]
        loss = loss[np.isfinite(loss)]
        if not loss.size:
            return 0.0
        rounding = sheet.canvas.objective.tolerance * float(np.abs(loss).max())
        return max(rounding, self.tolerance * float(np.ptp(loss)) if self.absolute is None else self.absolute)

    def _drawn(self, sheet: _Sheet, which: int) -> np.ndarray:
        """Points that are only interpolated, at random."""
        count = int(np.clip(sheet.known.sum() // 8, *CHECKS))
        left = sheet.canvas.rng("checks", which).numpy().permutation(np.flatnonzero(~sheet.known))
        drawn = np.zeros_like(sheet.known)
        drawn.reshape(-1)[left[:count]] = True
        return drawn


class _Sheet:
    """The values known so far. What an interrupted run had evaluated is looked up when it is asked for again.

    Every decision is made again from the beginning, so that the same points come out, bit for bit.
    """

    def __init__(self, canvas: Canvas, method: dict[str, Any]) -> None:
        self.canvas = canvas
        self.known = np.zeros(canvas.shape, dtype=bool)
        self.had = np.zeros(canvas.shape, dtype=bool)
        self.values = {name: np.full(canvas.shape, np.nan) for name in canvas.names}
        self.begun = canvas.objective.meter.read()
        self.settings = json.loads(json.dumps({**canvas.settings, "refine": method}))
        self._restore()

    def know(self, wanted: np.ndarray) -> None:
        """Evaluate those of these points that were not evaluated yet."""
        index = np.flatnonzero(wanted & ~self.had)
        for part in np.split(index, range(CHUNK, len(index), CHUNK)):
            if len(part):
                for name, found in at(self.canvas, part).items():
                    self.values[name].reshape(-1)[part] = found
                self.had.reshape(-1)[part] = True
                self._keep()
                self.canvas.evaluate.progress(int(self.had.sum()), self.had.size)
        self.known |= wanted

    def _keep(self) -> None:
        spent = self.canvas.objective.meter.read() - self.begun
        state = {f"value/{name}": values for name, values in self.values.items()}
        state["had"] = self.had.astype(np.uint8)
        state["cost"] = np.array([spent.forwards, spent.backwards, spent.products, spent.rows, spent.seconds])
        state["settings"] = _bytes(self.settings)
        state["road"] = _bytes(self.canvas.measured())
        self.canvas.evaluate.checkpoint(state)

    def _restore(self) -> None:
        kept = self.canvas.evaluate.restore()
        if kept is None:
            return
        begun = json.loads(kept["settings"].tobytes())
        for key in sorted(begun.keys() | self.settings.keys()):
            if begun.get(key) != self.settings.get(key):
                raise StoreError(
                    f"the work was begun with {key}={begun.get(key)} and is now asked with {key}="
                    f"{self.settings.get(key)}: repeat the first, or use another directory"
                )
        self.canvas.obey(json.loads(kept["road"].tobytes()))
        self.had = kept["had"].astype(bool)
        self.values = {name: kept[f"value/{name}"].copy() for name in self.canvas.names}
        *counts, seconds = kept["cost"].tolist()
        meter = self.canvas.objective.meter
        meter.cost, meter.started = meter.cost + Cost(*counts), meter.started - seconds


def _bytes(value: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)
