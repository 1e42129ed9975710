"""The main job: everything about a subject in one self-contained page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from thalweg.core.objective import Objective
from thalweg.core.space import Point
from thalweg.curvature import Lanczos
from thalweg.descent import Adam, Descent
from thalweg.errors import InputError
from thalweg.records import Record, Run
from thalweg.report import Section, page
from thalweg.slices import Line, Plane, TrajectoryPlane
from thalweg.study.commands import Request
from thalweg.study.faces import finite
from thalweg.study.session import Session
