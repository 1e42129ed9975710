"""Records as methods would make them, from closed forms: no network is trained and torch is not needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.records import (
    Cost,
    DirectionsSummary,
    Fingerprint,
    Mark,
    Profile,
    Provenance,
    Record,
    Run,
    RunStatus,
    SliceStatus,
    Spectrum,
    SpectrumStatus,
    Surface,
    Topology,
)
from thalweg.topology import Basins


def provenance(method: str, points: tuple[str, ...] = ("seed 0",), **given: Any) -> Provenance:
    facts = {
        "fingerprint": Fingerprint("5a" * 8, "c3" * 8, "freeze", (0.5, 1.5)),
        "method": {"name": method, "steps": 25, "norm": "filter", "rule": {"name": "Adam", "lr": 0.003}},
        "points": points,
        "seed": f"0/{method.lower()}",
        "dtype": "float64",
        "device": "cpu",
        "backend": "loop",
        "reason": "reference",
        "statistics": "freeze",
        "tolerance": 1e-12,
        "threads": 2,
        "rows": 1797,
        "versions": {"thalweg": "0.1.0"},
        "created": "2026-01-01T00:00:00+00:00",
        "notes": ("one reservation",),
    }
    return Provenance(**{**facts, **given})


def surface(
    loss: Any = lambda a, b: 0.02 + (a - 0.2) ** 2 + 4 * (b + 0.1) ** 2 + 0.3 * a * b,
    n: tuple[int, int] = (13, 9),
    trajectory: bool = True,
    marks: tuple[Mark, ...] = (),
    labels: tuple[str, str] = ("PC 1", "PC 2"),
    **given: Any,
) -> Surface:
    """A bowl over [-1, 1.5] x [-1, 1], with a trajectory whose true points lie a little off the plane."""
    a, b = np.linspace(-1, 1.5, n[0]), np.linspace(-1, 1, n[1])
    mesh = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1)
    with np.errstate(all="ignore"):
        values = np.asarray(loss(mesh[..., 0], mesh[..., 1]), dtype=float) * np.ones(n)
    data: dict[str, np.ndarray] = {"loss": values, "coordinates": mesh}
    if trajectory:
        t = np.linspace(0, 1, 12)[:, None]
        data["path"] = np.concatenate([1.2 * (1 - t) ** 2, -0.8 * (1 - t)], axis=1)
        data["path_loss"] = 0.02 + (data["path"] ** 2).sum(axis=1)
        data["path_distance"] = 0.4 * (1 - t[:, 0])
        marks = marks or (Mark("end", (0.0, 0.0), 0.02), Mark("start", (1.2, -0.8), 2.1, 0.4))
    finite = bool(np.isfinite(values).all())
    recipe = {"kind": "pca"} if trajectory else {"kind": "random", "norm": "filter"}
    norms, explained = ((1.0, 1.0), (0.92, 0.07)) if trajectory else ((14.7, 14.2), None)
    return Surface(
        data=data,
        status=SliceStatus.COMPLETE if finite else SliceStatus.NONFINITE,
        cost=Cost(forwards=n[0] * n[1], rows=1797.0 * n[0] * n[1], seconds=2.5),
        provenance=given.pop("provenance", provenance("Plane")),
        directions=DirectionsSummary(recipe, norms, (5.6e-11,), labels, explained),
        center=None,
        center_loss=0.02,
        marks=marks,
        **given,
    )


def profile(names: tuple[str, ...] = ("seed 0", "seed 1"), peak: float = 2.0, **given: Any) -> Profile:
    """Two minima and the hump between them, with the accuracy that falls on it."""
    t = np.linspace(0, 1, 31)
    loss = 0.04 + 0.02 * t + peak * np.sin(np.pi * t) ** 2
    loss = given.pop("loss", loss)
    marks = tuple(Mark(name, (at,), float(loss[-1 if at else 0])) for name, at in zip(names, (0.0, 1.0), strict=False))
    return Profile(
        data={"loss": loss, "coordinates": t, "accuracy": 1 - 0.6 * np.sin(np.pi * t) ** 2},
        status=SliceStatus.COMPLETE if np.isfinite(loss).all() else SliceStatus.NONFINITE,
        cost=Cost(forwards=31, rows=31 * 1797.0, seconds=0.3),
        provenance=provenance("Line", names),
        directions=DirectionsSummary({"kind": "points"}, (20.8,), (), (" → ".join(names),)),
        center=(0,),
        center_loss=float(loss[0]),
        metrics=("accuracy",),
        marks=marks,
    )


def spectrum(values: tuple[float, ...] = (6.4, 4.4, 2.0, 0.3, -0.01, -0.05), **given: Any) -> Spectrum:
    """Eigenvalues of both signs over three decades, with residuals."""
    found = np.array(values)
    return Spectrum(
        data={"eigenvalues": found, "residuals": 1e-3 * np.abs(found) + 1e-6},
        status=given.pop("status", SpectrumStatus.CONVERGED),
        cost=Cost(products=101, seconds=1.2),
        provenance=provenance("Lanczos"),
        operator="Hessian",
        which="BE",
        size=3466,
        slack=4.5e-5,
        products=101,
        **given,
    )


def run(b: int = 2, names: tuple[str, ...] = ("seed 0", "seed 1"), diverged: bool = False) -> Run:
    """B descents of a quadratic with different rates; the last one may leave the finite numbers."""
    steps = np.arange(0, 601, 20)
    rates = 0.004 * (1 + 0.5 * np.arange(b))
    loss = 0.03 + 2.3 * np.exp(-steps[:, None] * rates)
    if diverged:
        loss[10:, -1] = np.nan
        loss[9, -1] = np.inf
    return Run(
        data={
            "steps": steps,
            "thetas": np.zeros((steps.size, b, 3)),
            "loss": loss,
            "gradient_norm": np.sqrt(np.abs(loss)),
            "accuracy": 1 - loss / 3,
            "ended": np.full(b, 600),
        },
        status=RunStatus.DIVERGED if diverged else RunStatus.STEPS,
        cost=Cost(backwards=600, forwards=60, seconds=58.2),
        provenance=provenance("Descent", names),
        rule="Adam",
        endings=(RunStatus.STEPS,) * b,
        metrics=("accuracy",),
    )


def wells(a: Any, b: Any) -> Any:
    """A bowl with ripples: 4 wells in the middle and shallower ones along the border."""
    return 0.4 * ((a - 0.2) ** 2 + b**2) + 0.25 * np.sin(5 * a) * np.cos(6 * b) + 0.5


def topology(source: Record | None = None, **options: Any) -> Topology:
    """The basins of a made record; by default of ripples with two marked points."""
    marks = (Mark("seed 0", (-0.35, 0.0), 0.2), Mark("seed 1", (0.9, 0.02), 0.2))
    given = surface(wells, n=(31, 27), trajectory=False, marks=marks, labels=("d1", "d2"))
    return Basins(**options)(given if source is None else source)  # type: ignore[arg-type]
