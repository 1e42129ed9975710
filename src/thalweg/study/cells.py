"""The option ``plane --descend``: from every cell of the plane, what descent reaches, without noise and with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from thalweg.descent import GradientDescent, NoisyGD
from thalweg.errors import InputError
from thalweg.records import DescentBasins
from thalweg.slices import Dense, Plane
from thalweg.trajectories import DescentBasins as DescentBasinsOf

OPTIONS = ("descend", "lr", "noise", "batch")
"""What says how cells are descended from; all others are the plane's."""


def descents(o: Mapping[str, Any], plane: Plane) -> DescentBasinsOf | None:
    """How cells are descended from; None where that was not asked for. Minibatches are the noise where they are given.

    Raises
    ------
    InputError
        If an option is out of range, or one is given without ``--descend``.
    """
    if not o["descend"]:
        for name in OPTIONS[1:]:
            if o[name] is not None:
                raise InputError(f"--{name} {o[name]} without --descend: say how many steps to descend from every cell")
        return None
    if o["noise"] is not None and o["batch"] is not None:
        raise InputError(f"--noise {o['noise']} and --batch {o['batch']}: minibatches are noise; give one of them")
    rule = GradientDescent(0.1 if o["lr"] is None else o["lr"])
    noise = rule if o["batch"] is not None else NoisyGD(rule.lr, 1.0 if o["noise"] is None else o["noise"])
    return DescentBasinsOf(replace(plane, fill=Dense()), rule, noise, steps=o["descend"], batch=o["batch"])


def from_cells(record: DescentBasins) -> dict[str, Any]:
    """What the command adds."""
    return {
        "descents": {
            "rule": record.rule,
            "noise": record.noise,
            "steps": record.steps,
            "level": record.level,
            "cells": int(record.known.sum()),
            "bad": int(record.bad.sum()),
            "avoidance": record.avoidance,
            "escape": record.escape,
            "escape_interval": None if record.escape_interval is None else list(record.escape_interval),
            "status": record.status.name,
        }
    }
