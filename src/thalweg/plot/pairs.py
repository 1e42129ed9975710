"""Two records of one kind in one picture: which curves of either, so that both stand on one scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thalweg.plot.along import panels as along_panels
from thalweg.plot.bands import along
from thalweg.plot.curves import run_labels
from thalweg.plot.footer import order_of
from thalweg.records import Profile, Record, Run, SpectralDensity, Spectrum
from thalweg.records.kernels import KernelDrift, LinearTraining, TangentKernel
from thalweg.records.trajectories import AlongRun


@dataclass(frozen=True, eq=False)
class Curve:
    """Values ``y`` at ``x``, both [n], of one of the two records; ``error`` [n] as bars where it is known."""

    x: np.ndarray
    y: np.ndarray
    name: str = ""
    dash: bool = False
    dots: bool = False
    error: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture: its name, its axes, the curves of the first and of the second, and if it may be logarithmic."""

    name: str
    across: str
    up: str
    first: tuple[Curve, ...]
    second: tuple[Curve, ...]
    log: bool = False

    @property
    def values(self) -> np.ndarray:
        """Everything drawn, from which the one scale is chosen."""
        return np.concatenate([curve.y.ravel() for curve in (*self.first, *self.second)])


def panels(first: Record, second: Record) -> list[Panel]:
    """The pictures of two records; none where they are of different kinds, or of one that is not drawn as curves."""
    if first.record_type != second.record_type or first.record_type not in _DRAWN:
        return []
    found = []
    mine, theirs = (_DRAWN[record.record_type](record) for record in (first, second))
    for (name, across, up, log), curves in mine.items():
        beside = next((other for key, other in theirs.items() if key[0] == name), None)
        if beside is not None:
            found.append(Panel(name, across, up, curves, beside, log))
    return found


Key = tuple[str, str, str, bool]


def _run(record: Run) -> dict[Key, tuple[Curve, ...]]:
    found: dict[Key, tuple[Curve, ...]] = {}
    for field, log in (("loss", True), ("gradient_norm", True), *((m, False) for m in record.metrics)):
        lines = record.data[field].T
        name = field.replace("_", " ")
        curves = [Curve(record.data["steps"], y, label) for y, label in zip(lines, run_labels(record), strict=True)]
        found[_upper(name), "steps", name, log] = tuple(curves)
    return found


def _profile(record: Profile) -> dict[Key, tuple[Curve, ...]]:
    t = record.data["coordinates"]
    name = "training rows" if record.tested else ""
    curves = [Curve(t, record.median(), name)]
    curves += [Curve(t, record.median("test_loss"), "test rows", dash=True)] if record.tested else []
    found = {("Loss", along(record), "loss", True): tuple(curves)}
    for metric in record.metrics:
        curves = [Curve(t, record.median(metric), name)]
        if f"test_{metric}" in record.data:
            curves.append(Curve(t, record.median(f"test_{metric}"), "test rows", dash=True))
        found[_upper(metric), along(record), metric, False] = tuple(curves)
    return found


def _spectrum(record: Spectrum) -> dict[Key, tuple[Curve, ...]]:
    values = record.eigenvalues
    curve = Curve(np.arange(1, values.size + 1), values, dots=True, error=record.residuals)
    return {("Eigenvalues", order_of(record), f"eigenvalue of the {record.operator}", False): (curve,)}


def _density(record: SpectralDensity) -> dict[Key, tuple[Curve, ...]]:
    grid, share = record.data["grid"], f"share at or below, {record.level:.0%} bounds"
    curves = (Curve(grid, record.data["lower"], "at least"), Curve(grid, record.data["upper"], "at most", dash=True))
    return {("Distribution", f"eigenvalue of the {record.operator}", share, False): curves}


def _along(record: AlongRun) -> dict[Key, tuple[Curve, ...]]:
    steps = record.data["steps"]
    return {
        (_upper(panel.title.split(" (")[0]), "steps", panel.title, panel.log): tuple(
            Curve(steps, y, name) for name, y in panel.curves[:1]
        )
        for panel in along_panels(record)
    }


def _kernel(record: TangentKernel) -> dict[Key, tuple[Curve, ...]]:
    values = record.eigenvalues
    above = values > record.floor  # what is within rounding of zero has no place on a log scale
    shown = above if above.any() else np.ones_like(above)
    curve = Curve(np.arange(1, values.size + 1)[shown], values[shown], dots=True)
    return {("Eigenvalues", "order", "eigenvalue of the tangent kernel", True): (curve,)}


def _drift(record: KernelDrift) -> dict[Key, tuple[Curve, ...]]:
    labels = {"change": "‖Θ − Θ₀‖/‖Θ₀‖", "turn": "1 − cosine of Θ and Θ₀", "alignment": "alignment with the labels"}
    return {
        (_upper(name), "steps", label, False): (Curve(record.data["steps"], record.data[name]),)
        for name, label in labels.items()
        if name in record.data
    }


def _linear(record: LinearTraining) -> dict[Key, tuple[Curve, ...]]:
    d = record.data
    losses = (Curve(d["steps"], d["loss"], "network"), Curve(d["steps"], d["linear_loss"], "expansion", dash=True))
    gap = (Curve(d["steps"], d["gap"]),)
    return {("Loss", "steps", "loss", True): losses, ("Gap", "steps", "rms of f − f_lin", False): gap}


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]


_DRAWN: dict[str, Callable[..., dict[Key, tuple[Curve, ...]]]] = {
    Run.record_type: _run,
    Profile.record_type: _profile,
    Spectrum.record_type: _spectrum,
    SpectralDensity.record_type: _density,
    AlongRun.record_type: _along,
    TangentKernel.record_type: _kernel,
    KernelDrift.record_type: _drift,
    LinearTraining.record_type: _linear,
}
