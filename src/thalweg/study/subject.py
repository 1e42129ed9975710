"""The subject of a study: a zoo name or the user's own factory, and the points it is studied at."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from thalweg import zoo
from thalweg.core.backends import AUTO, BACKENDS
from thalweg.core.checkpoints import load_points
from thalweg.core.function import Function
from thalweg.core.metrics import accuracy
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.core.statistics import POLICIES, Freeze, Interpolate, Repair
from thalweg.errors import InputError, SubjectError, ThalwegError

HELD_OUT = {"digits": 297}
"""Test rows that commands hold out of a zoo subject without a test split, unless ``--set test=N`` says how many."""

SEEN_ROWS = 1024
"""Rows of streamed data whose targets are looked at, to see whether they are classes."""

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "tf32": torch.float32}


@dataclass(frozen=True)
class Subject:
    """What to study and how to evaluate it; every field is an option of the command line.

    ``name`` is a zoo name, ``path.py:factory`` or ``package.module:factory``. ``parameters`` are for zoo
    subjects. Empty ``dtype``, ``backend`` and ``statistics`` keep what the subject brings.
    """

    name: str
    checkpoints: tuple[str, ...] = ()
    data: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    dtype: str = ""
    backend: str = ""
    statistics: str = ""

    def load(self) -> tuple[Objective, list[Point]]:
        """The objective and its points: the checkpoints in order, or the parameters it came with.

        Raises
        ------
        ThalwegError
            If anything about the subject, its data or its checkpoints is wrong.
        """
        for option, value, known in (
            ("dtype", self.dtype, DTYPES),
            ("backend", self.backend, (AUTO, *BACKENDS)),
            ("statistics", self.statistics, POLICIES),
        ):
            if value and value not in known:
                raise InputError(f"--{option} {value} is unknown: choose {', '.join(known)}")
        if self.dtype:  # the one way in which products of float32 are made coarser; the record says so
            torch.set_float32_matmul_precision("high" if self.dtype == "tf32" else "highest")
        objective = self._objective(self.seed)
        points = [objective.initial]
        if self.checkpoints:
            points = load_points(objective, *_distinct(self.checkpoints))
        else:
            _finite(self.name, objective)
        if self.backend and isinstance(objective, (EmpiricalRisk, Function)):
            objective = objective.with_backend(self.backend)
        if self.statistics:
            if not isinstance(objective, EmpiricalRisk) or not objective.network.normalised:
                raise InputError(f"--statistics {self.statistics}: {self.name} has no normalising layer; leave it out")
            objective = objective.with_statistics(self._policy(points))
        return objective, [
            _renamed(p, f, self.checkpoints) for p, f in zip(points, self.checkpoints or [""], strict=True)
        ]

    def initials(self, objective: Objective, count: int) -> list[Point]:
        """``count`` starting points: those of the subject built with seeds seed, seed + 1 and so on.

        A plain function's are its initial point plus standard normal draws.

        Raises
        ------
        SubjectError
            If a factory ignores torch's generator and gives the same parameters twice.
        """
        if isinstance(objective, Function):
            draws = [
                torch.randn(objective.space.size, generator=Stream(self.seed + i, ("start",)).torch())
                for i in range(count)
            ]
            starts = [objective.initial.theta + draw.to(objective.initial.theta) for draw in draws]
            return [Point(theta, None, f"seed {self.seed + i}") for i, theta in enumerate(starts)]
        found = [objective.initial]
        for i in range(1, count):
            other = self._objective(self.seed + i).initial
            if torch.equal(other.theta, found[0].theta):
                raise SubjectError(
                    f"{self.name} gives the same parameters for seeds {self.seed} and {self.seed + i}: "
                    "let the factory draw them, or pass two checkpoints"
                )
            found.append(other)
        return [Point(p.theta, p.statistics, f"seed {self.seed + i}") for i, p in enumerate(found)]

    def _objective(self, seed: int) -> Objective:
        if ":" in self.name:
            objective = self._made(_factory(self.name), seed)
            if self.data is not None or self.parameters:
                raise InputError(f"--data and --set are for zoo subjects: {self.name} reads its own data")
        elif self.name.endswith(".py"):
            raise SubjectError(
                f"{self.name} names no factory: write {self.name}:make, where make returns (model, loss, data)"
            )
        else:
            given = dict(self.parameters)
            reserved = sorted({"seed", "data", "dtype"} & set(given))
            if reserved:
                raise InputError(f"--set {reserved[0]}={given[reserved[0]]}: use --{reserved[0]}")
            if self.data is not None:
                given["data"] = self.data
            if self.name in HELD_OUT:
                given.setdefault("test", HELD_OUT[self.name])
            objective = zoo.build(self.name, seed=seed, **given)
        return objective.to(DTYPES[self.dtype]) if self.dtype else objective

    def _made(self, factory: Callable[[], Any], seed: int) -> Objective:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            try:
                made = factory()
                if isinstance(made, Objective):
                    return made
                if not isinstance(made, tuple) or len(made) not in (3, 4):
                    raise SubjectError(
                        f"{self.name} returned a {type(made).__name__}: return an Objective, (model, loss, data) or "
                        "(model, loss, data, test)"
                    )
                return _risk(*made)
            except ThalwegError:
                raise
            except (Exception, SystemExit) as error:  # the factory is the user's code; its error is quoted on one line
                line = str(error).strip().splitlines()[0] if str(error).strip() else ""
                raise SubjectError(f"{self.name} raised {type(error).__name__}: {line}; mend the factory") from error

    def _policy(self, points: Sequence[Point]) -> Any:
        if self.statistics in (Interpolate.name, Repair.name):
            if len(points) != 2:
                raise InputError(f"--statistics {self.statistics} joins 2 checkpoints; {len(points)} were given")
            return Interpolate(*points) if self.statistics == Interpolate.name else Repair(*points)
        return Freeze() if self.statistics == Freeze.name else POLICIES[self.statistics]()  # type: ignore[call-arg]


def _risk(model: Any, loss: Any, data: Any, test: Any = None) -> EmpiricalRisk:
    """What the user's factory returned as a risk; accuracy is reported where the targets are classes of the outputs."""
    plain = EmpiricalRisk(model, loss, data, test=test)
    outputs, rows = plain.row_output, plain.table
    targets = (rows.at(slice(0, SEEN_ROWS)) if rows.streamed else rows).targets
    classes = (
        isinstance(outputs, torch.Tensor)
        and isinstance(targets, torch.Tensor)
        and targets.dtype == torch.int64
        and outputs.ndim == targets.ndim + 1
        and outputs.shape[2:] == targets.shape[1:]
        and int(targets.max()) < outputs.shape[1]
    )
    return plain.with_metrics({"accuracy": accuracy}) if classes else plain


def _factory(name: str) -> Callable[[], Any]:
    where, _, attribute = name.rpartition(":")
    if not where or not attribute:
        raise SubjectError(f"{name!r} names no factory: write path.py:factory or package.module:factory")
    if where.endswith(".py") or "/" in where:
        module = _from_file(Path(where))
    else:
        try:
            module = importlib.import_module(where)
        except (Exception, SystemExit) as error:  # importing runs the user's code; its error is quoted on one line
            line = f"{type(error).__name__}: {error}".splitlines()[0]
            raise SubjectError(f"{name}: module {where!r} cannot be imported ({line}); give path.py:factory") from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        named = [n for n in vars(module) if callable(getattr(module, n)) and not n.startswith("_")]
        raise SubjectError(f"{where} has no function {attribute!r}: it defines {', '.join(named[:6]) or 'none'}")
    return factory


def _from_file(path: Path) -> Any:
    """Load a file by its location; its folder goes to the end of the path, so it can shadow nothing."""
    if not path.is_file():
        raise SubjectError(f"{path}: no such file; a subject is path.py:factory")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    name = f"thalweg_subject_{path.stem}"
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(path.resolve()):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None and spec.loader is not None  # a .py file always has a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # importing runs the user's code; its error is quoted on one line
        del sys.modules[name]
        line = f"{path} cannot be loaded: {type(error).__name__}: {error}".splitlines()[0]
        remedy = (
            "put what the script does under if __name__ == '__main__'" if isinstance(error, SystemExit) else "mend it"
        )
        raise SubjectError(f"{line}; {remedy}") from error
    return module


def _finite(name: str, objective: Objective) -> None:
    bad = int((~torch.isfinite(objective.initial.theta)).sum())
    if bad:
        raise SubjectError(
            f"{name} gives {bad} NaN or infinite parameters: mend its initialisation, or pass --checkpoint"
        )


def _distinct(files: Sequence[str]) -> Sequence[str]:
    if len({str(Path(f).resolve()) for f in files}) < len(files):
        raise InputError(f"the same checkpoint was given twice ({', '.join(files)}): give different ones")
    return files


def _renamed(point: Point, file: str, files: Sequence[str]) -> Point:
    """The file's stem as the point's name; its path where two stems are the same."""
    if not file:
        return point
    stems = [Path(f).stem for f in files]
    name = Path(file).stem if stems.count(Path(file).stem) == 1 else file
    return Point(point.theta, point.statistics, name)
