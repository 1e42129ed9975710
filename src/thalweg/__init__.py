"""thalweg: a workbench for the loss landscapes of neural networks.

Bring a model, a loss, data and checkpoints; thalweg draws the surface around and between them and says how
sure each answer is. Public names load on first use (PEP 562): importing the package loads nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_MODULES = (
    "core",
    "critical",
    "curvature",
    "descent",
    "errors",
    "export",
    "paths",
    "plot",
    "records",
    "report",
    "slices",
    "store",
    "testing",
    "theory",
    "topology",
    "trajectories",
    "zoo",
)
_NAMES = {
    "Budget": "thalweg.core.metered",
    "EmpiricalRisk": "thalweg.core.risk",
    "Function": "thalweg.core.function",
    "LazyScale": "thalweg.core.lazy",
    "Metered": "thalweg.core.metered",
    "Objective": "thalweg.core.objective",
    "ParameterSpace": "thalweg.core.space",
    "Point": "thalweg.core.space",
    "Smoothed": "thalweg.core.smoothed",
    "Streamed": "thalweg.core.streamed",
    "accuracy": "thalweg.core.metrics",
    "linearise": "thalweg.core.linearise",
    "load_points": "thalweg.core.checkpoints",
    "save_point": "thalweg.core.checkpoints",
}

if TYPE_CHECKING:
    from thalweg import (
        core,
        critical,
        curvature,
        descent,
        errors,
        export,
        paths,
        plot,
        records,
        report,
        slices,
        store,
        testing,
        theory,
        topology,
        trajectories,
        zoo,
    )
    from thalweg.core.checkpoints import load_points, save_point
    from thalweg.core.function import Function
    from thalweg.core.lazy import LazyScale
    from thalweg.core.linearise import linearise
    from thalweg.core.metered import Budget, Metered
    from thalweg.core.metrics import accuracy
    from thalweg.core.objective import Objective
    from thalweg.core.risk import EmpiricalRisk
    from thalweg.core.smoothed import Smoothed
    from thalweg.core.space import ParameterSpace, Point
    from thalweg.core.streamed import Streamed

__all__ = [
    "Budget",
    "EmpiricalRisk",
    "Function",
    "LazyScale",
    "Metered",
    "Objective",
    "ParameterSpace",
    "Point",
    "Smoothed",
    "Streamed",
    "__version__",
    "accuracy",
    "core",
    "critical",
    "curvature",
    "descent",
    "errors",
    "export",
    "linearise",
    "load_points",
    "paths",
    "plot",
    "records",
    "report",
    "save_point",
    "slices",
    "store",
    "testing",
    "theory",
    "topology",
    "trajectories",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"thalweg.{name}")
    else:
        raise AttributeError(f"module 'thalweg' has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
