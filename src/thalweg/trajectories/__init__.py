"""Runs: what changes along them, what they meet, and how they are kept while they train."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from thalweg.trajectories.along import Along as Along
from thalweg.trajectories.balance import Pair as Pair
from thalweg.trajectories.balance import pairs_of as pairs_of
from thalweg.trajectories.descent_basins import DescentBasins as DescentBasins
from thalweg.trajectories.edge import Edge as Edge
from thalweg.trajectories.errors import ErrorTerms as ErrorTerms
from thalweg.trajectories.errors import Taught as Taught
from thalweg.trajectories.funnel import Funnel as Funnel
from thalweg.trajectories.plateaus import Plateaus as Plateaus
from thalweg.trajectories.recorder import Recorder as Recorder
from thalweg.trajectories.recorder import record as record
from thalweg.trajectories.recorder_keep import Keep as Keep
from thalweg.trajectories.recorder_load import Load as Load
from thalweg.trajectories.recorder_load import load as load
from thalweg.trajectories.recorder_reading import Recording as Recording
from thalweg.trajectories.recorder_reading import is_recorded as is_recorded
from thalweg.trajectories.recorder_reading import read as read
from thalweg.trajectories.recorder_schedule import Every as Every
from thalweg.trajectories.recorder_schedule import LogSpaced as LogSpaced
from thalweg.trajectories.recorder_sketch import CountSketch as CountSketch
from thalweg.trajectories.recorder_store import compact as compact
from thalweg.trajectories.views import Rate as Rate
from thalweg.trajectories.views import rate_of as rate_of

if TYPE_CHECKING:
    from thalweg.trajectories.callbacks_lightning import LightningRecorder as LightningRecorder
    from thalweg.trajectories.callbacks_transformers import TransformersRecorder as TransformersRecorder

_CALLBACKS = {
    "LightningRecorder": "thalweg.trajectories.callbacks_lightning",
    "TransformersRecorder": "thalweg.trajectories.callbacks_transformers",
}
"""They need libraries that not everybody has."""


def __getattr__(name: str) -> Any:
    if name in _CALLBACKS:
        return getattr(importlib.import_module(_CALLBACKS[name]), name)
    raise AttributeError(f"module 'thalweg.trajectories' has no attribute {name!r}")
