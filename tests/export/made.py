"""Records with paths, beside those of the figures' tests."""

from __future__ import annotations

import numpy as np

from tests.plot import made
from thalweg.records import Bracket, Connection, Cost, Guarantee, Path, PathStatus, Record


def path(curve: str = "polyline", size: int = 7, seed: int = 0) -> Path:
    knots = np.random.default_rng(seed).normal(size=(4, size))
    t = np.linspace(0, 1, 13)
    data = {"knots": knots, "t": t, "loss": 1 + np.sin(np.pi * t), "accuracy": 1 - t / 2, "distance": 3.6 * t}
    if curve == "polyline":
        data["times"] = np.array([0.0, 0.2, 0.5, 1.0])
    return Path(
        data=data, status=PathStatus.CONNECTED, cost=Cost(forwards=13.0), provenance=made.provenance("String"),
        method="string", curve=curve, level=2.5, maximum=Bracket(2.0, 2.1, Guarantee.SAMPLED, Guarantee.ADAPTIVE),
        ends=(1.0, 1.0), length=1.2, straight=3.0, metrics=("accuracy",),
    )  # fmt: skip


def connection() -> Connection:
    one, two = path(), path("bezier", seed=1)
    data = {f"{name}.{key}": a for name, p in (("string", one), ("curve", two)) for key, a in p.data.items()}
    rows = (one.row, two.row.__class__(**{**{f: getattr(two.row, f) for f in two.row.__slots__}, "method": "curve"}))
    return Connection(
        data=data, status=PathStatus.CONNECTED, cost=Cost(), provenance=made.provenance("Connect"), level=2.5,
        rows=rows, ends=(1.0, 1.0), curves={"string": "polyline", "curve": "bezier"}, metrics=("accuracy",),
    )  # fmt: skip


def every() -> dict[str, Record]:
    return {
        "surface": made.surface(),
        "plane": made.surface(trajectory=False, labels=('d "1" <&>', "d2 µ")),
        "holes": made.surface(lambda a, b: np.where((a > 0.5) & (b > 0), np.nan, a * b), trajectory=False),
        "profile": made.profile(),
        "run": made.run(),
        "spectrum": made.spectrum(),
        "topology": made.topology(error=0.01),
        "path": path(),
        "bezier": path("bezier"),
        "connection": connection(),
    }
