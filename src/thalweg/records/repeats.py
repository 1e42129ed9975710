"""The same slice along several directions: quantiles over them, rises by distance, and how far a slice reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Reach:
    """How the half-width of a slice was found: where F has risen by ``rise``, which is ``ratio``·F (None: as asked).

    ``by`` is "loss" (bisection of the median rise over ``directions`` directions) or "curvature" (from the quadratic
    of the curvature along them). ``found`` are the half-widths of the models it was looked for at, of which
    ``half_width`` is the largest; ``reached`` says whether F rose that far within the limits at every one of them.
    """

    half_width: float
    by: str
    ratio: float | None
    rise: tuple[float, ...]
    found: tuple[float, ...]
    directions: int
    reached: bool

    def __str__(self) -> str:
        count = f"{self.directions} direction{'s' if self.directions > 1 else ''}"
        how = f"the median rise over {count}" if self.by == "loss" else f"the quadratic of the curvature along {count}"
        much = _list(self.rise) if self.ratio is None else f"{self.ratio:g} times F ({_list(self.rise)})"
        said = f"half-width {self.half_width:.3g}: where {how} is {much}"
        if len(self.found) > 1:
            said += f", the largest of {len(self.found)} models ({_list(self.found)})"
        return said if self.reached else f"{said}; not reached within the limits"


def _list(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def quantile(values: np.ndarray, q: float) -> np.ndarray:
    """The quantile over the first axis, interpolated between neighbours; what is NaN counts as infinite.

    F has left the finite numbers there. NumPy's own would give NaN beside an infinite value that has no weight.
    """
    ordered = np.sort(np.where(np.isnan(values), np.inf, values), axis=0)
    place = q * (len(ordered) - 1)
    low = int(place)
    if place == low:
        found: np.ndarray = ordered[low]
        return found
    with np.errstate(invalid="ignore"):  # between two infinite values it is infinite
        found = ordered[low] + (place - low) * (ordered[low + 1] - ordered[low])
    return np.where(np.isnan(found), np.inf, found)


def rings(values: np.ndarray, coordinates: np.ndarray, center_loss: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances [m] from the centre and the mean rise of F there, [R, m]; values [R, *grid], coordinates [*grid, k].

    A line has two points at each distance. The points of a plane are gathered in rings as wide as its coarser
    spacing, out to the nearest edge, and a ring's distance is the mean of its points'. The centre is left out.
    """
    flat = coordinates.reshape(-1, coordinates.shape[-1])
    radius = np.linalg.norm(flat, axis=1)
    reach = min(min(-axis.min(), axis.max()) for axis in flat.T)
    spacing = max(float(np.ptp(axis)) / max(1, n - 1) for axis, n in zip(flat.T, values.shape[1:], strict=True))
    if flat.shape[1] == 1:
        places = np.unique(np.round(radius / spacing, 6))
        which = np.searchsorted(places, np.round(radius / spacing, 6))
    else:
        which = np.floor(radius / spacing + 0.5).astype(int)
    inside = (radius > 1e-9 * spacing) & (radius <= reach * (1 + 1e-9))
    kept = np.unique(which[inside])
    with np.errstate(invalid="ignore"):  # an infinite centre leaves no rise to speak of
        rise = np.where(np.isnan(values), np.inf, values).reshape(len(values), -1) - center_loss
    members = [inside & (which == w) for w in kept]
    distances = np.array([radius[m].mean() for m in members])
    return distances, np.stack([rise[:, m].mean(1) for m in members], axis=1) if members else rise[:, :0]
