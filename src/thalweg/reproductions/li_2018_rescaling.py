"""A ReLU network and its rescaled twin: one function, two plain curves, one filter-normalised curve (§4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from thalweg import zoo
from thalweg.core.metered import Meter, Metered
from thalweg.core.rng import Stream
from thalweg.curvature.rescaling import rescaled
from thalweg.descent import Adam, Descent
from thalweg.errors import InputError
from thalweg.records import Finding
from thalweg.records.reproductions import Panel
from thalweg.slices import Line
from thalweg.slices.rules import Norm

STEPS = 41
TRAINING = 60
CHANGED, SAME = 0.1, 1e-4
"""A curve has changed when it moved by a tenth of its range, and is the same within 1e-4 of it."""

RULES: dict[str, Norm] = {"gaussian": None, "filter": "filter"}
"""Directions by name."""


def curves(seeds: int, factor: float, backend: str, rng: Stream, meter: Meter) -> dict[str, np.ndarray]:
    """Curves ``RULE.before`` and ``RULE.after`` [S, n] over ``RULE.x`` [n] of digits networks; ``change`` [S] of F.

    The plain direction is Gaussian as drawn, the same for a network and its twin, out to the root mean square of the
    weights: as long as the filter-normalised one would be if all filters had one norm. float64.
    """
    found: dict[str, list[np.ndarray]] = {}
    change = []
    for s in range(seeds):
        network = zoo.digits(rng("network", s).entropy % 2**31, dtype=torch.float64)
        risk = Metered(network.with_backend(backend), meter=meter)
        run = Descent(Adam(0.01), steps=TRAINING, batch=256, every=TRAINING)(risk, risk.initial, rng=rng("train", s))
        theta = torch.from_numpy(run.final[0].copy())
        twin, why = rescaled(risk, theta, factor)
        if twin is None:
            raise InputError(f"factor={factor}: {why}")
        losses = risk.losses(torch.stack([theta, twin]))
        change.append(float((losses[1] - losses[0]).abs() / losses[0]))
        for rule, norm in RULES.items():
            half = float(theta.square().mean().sqrt()) if norm is None else 1.0
            for name, point in (("before", theta), ("after", twin)):
                profile = Line(steps=STEPS, half_width=half, norm=norm)(risk, point, rng=rng("line", s))
                found.setdefault(f"{rule}.{name}", []).append(profile.loss)
            if s == 0:
                found[f"{rule}.x"] = [profile.data["coordinates"]]
    stacked = {k: np.stack(v) if not k.endswith(".x") else v[0] for k, v in found.items()}
    return stacked | {"change": np.array(change)}


def rows(data: Mapping[str, np.ndarray]) -> list[Finding]:
    """The same function; the plain curve moves, the filter-normalised one does not."""

    def moved(rule: str) -> np.ndarray:
        before, after = data[f"{rule}.before"], data[f"{rule}.after"]
        away: np.ndarray = np.abs(after - before).max(1) / np.ptp(before, axis=1)
        return away

    plain, filtered = float(moved("gaussian").min()), float(moved("filter").max())
    largest = float(data["change"].max())
    what = "largest difference over range"
    return [
        Finding(
            "rescaling_function", "§4: F is unchanged; largest relative change", None, largest, None, largest < 1e-6
        ),
        Finding("rescaling_plain", f"§4: the plain curve changes; least {what}", None, plain, None, plain > CHANGED),
        Finding("rescaling_filter", f"§4: the normalised one does not; {what}", None, filtered, None, filtered <= SAME),
    ]


def panels() -> tuple[Panel, ...]:
    """Both curves of the first network."""
    names = {"gaussian": "Gaussian direction", "filter": "filter-normalised"}
    return tuple(
        Panel(
            sheet="A ReLU network and its rescaled twin",
            row=0,
            column=i,
            arrays=(f"rescaling.{rule}.before", f"rescaling.{rule}.after"),
            index=(0,),
            labels=("as trained", "rescaled"),
            x=f"rescaling.{rule}.x",
            title=names[rule],
        )
        for i, rule in enumerate(RULES)
    )
