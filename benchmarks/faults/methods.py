"""Methods on models and rows of any kind: shapes, types, and values that are no numbers.

A case is a name of a method and a seed. It ends well when a record comes out that says what is not finite in it, or
one :class:`~thalweg.errors.ThalwegError`; ``once(name, seed)`` repeats it.
"""

from __future__ import annotations

import contextlib
import json
import os
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from benchmarks.faults.alarm import alarm
from thalweg import records
from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.risk import EmpiricalRisk
from thalweg.critical import Classify
from thalweg.curvature import Density, Lanczos, Trace
from thalweg.curvature.kernel import EmpiricalKernel
from thalweg.descent import Adam, Descent, GradientDescent
from thalweg.errors import ThalwegError, ThalwegWarning
from thalweg.paths import align, connect
from thalweg.records import Record, Slice
from thalweg.report import card
from thalweg.slices import Line, Plane
from thalweg.study.faces import answer
from thalweg.theory import audit
from thalweg.topology import Basins

HANG_SECONDS = 120
"""A method that takes longer is said to hang; each takes well under a second."""

WARNINGS = 4
"""More warnings than this for one answer are a storm."""

SURE = ("COMPLETE", "CONVERGED", "EXACT", "MINIMUM", "STRICT_SADDLE", "CERTIFIED", "BELOW", "INTERPOLATED")
"""Statuses that promise numbers."""

BAD = (float("nan"), float("inf"), float("-inf"), 1e38, -1e38, 1e-45, 0.0)
DTYPES = (torch.float64, torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.int64)


@dataclass
class Counts:
    """What became of the cases that were tried: records, refusals in one line, and the defects, each told."""

    tried: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """A model, a loss and rows, two points, and what of all that is unusual."""

    model: torch.nn.Module
    loss: Any
    data: tuple[torch.Tensor, torch.Tensor]
    points: Callable[[Objective], list[Any]]
    told: str

    def objective(self) -> EmpiricalRisk:
        """The risk of the model on the rows."""
        return EmpiricalRisk(self.model, self.loss, self.data)


METHODS: dict[str, Callable[[Objective, list[Any]], Record]] = {
    "Line": lambda f, p: Line(steps=5)(f, p[0]),
    "Line of two": lambda f, p: Line(steps=5)(f, *p),
    "Line, range found": lambda f, p: Line(steps=5, half_width="auto")(f, p[0]),
    "Plane": lambda f, p: Plane(steps=3)(f, p[0]),
    "Plane of two": lambda f, p: Plane(steps=3)(f, *p),
    "Lanczos": lambda f, p: Lanczos(k=2, dense_below=0)(f, p[0], budget=Budget(200)),
    "Lanczos, dense": lambda f, p: Lanczos(k=2)(f, p[0]),
    "Trace": lambda f, p: Trace(products=12)(f, p[0]),
    "Density": lambda f, p: Density(probes=2, steps=4, points=9)(f, p[0]),
    "Classify": lambda f, p: Classify()(f, p[0]),
    "connect": lambda f, p: connect(f, *p, method="straight", budget=100),
    "connect by a string": lambda f, p: connect(f, *p, method="string", budget=60),
    "Descent": lambda f, p: Descent(GradientDescent(lr=0.1), steps=4)(f, p[0]),
    "Descent on rows": lambda f, p: Descent(Adam(), steps=4, batch=2)(f, *p),
    "Basins": lambda f, p: Basins()(Plane(steps=4)(f, p[0])),
    "align": lambda f, p: align(f, *p),
    "align by activations": lambda f, p: align(f, *p, method="activations"),
    "kernel": lambda f, p: EmpiricalKernel()(f, p[0]),
    "audit": lambda f, p: audit(f, p[0]),
}
"""Every method, on a risk and two points."""


def drawn(seed: int) -> Case:
    """A case from a seed: about one in three is of the usual kind, the others are odd in one or two ways."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, of empty layers and complex modules
        return _drawn(seed)


def _drawn(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    odd = set(rng.choice(ODD, size=rng.integers(0, 3), replace=False).tolist())
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    rows, wide, hidden, classes = int(rng.integers(3, 7)), int(rng.integers(1, 4)), int(rng.integers(1, 4)), 3
    rows = {"no rows": 0, "one row": 1}.get(next(iter(odd & {"no rows", "one row"}), ""), rows)
    classes = {"one class": 1, "many classes": 17}.get(next(iter(odd & {"one class", "many classes"}), ""), classes)
    hidden, wide = 0 if "empty layer" in odd else hidden, 0 if "no inputs" in odd else wide
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own of empty layers
        layers: list[torch.nn.Module] = [
            torch.nn.Linear(wide, hidden),
            torch.nn.Tanh(),
            torch.nn.Linear(hidden, classes),
        ]
    if "no activation" in odd:
        del layers[1]
    if "rectified" in odd:
        layers[1:2] = [torch.nn.ReLU()]
    if "batch norm" in odd:
        layers.insert(1, torch.nn.BatchNorm1d(hidden))
    if "layer norm" in odd:
        layers.insert(1, torch.nn.LayerNorm(hidden))
    if "dead" in odd:
        with torch.no_grad():
            for parameter in layers[0].parameters():
                parameter.zero_()
    model: torch.nn.Module = torch.nn.Sequential(*layers)
    inputs = torch.randn(rows, wide, generator=generator)
    classed = bool(rng.integers(2))
    targets = (
        torch.randint(classes, (rows,), generator=generator)
        if classed
        else torch.randn(rows, classes, generator=generator)
    )
    loss: Any = torch.nn.CrossEntropyLoss() if classed else torch.nn.MSELoss()
    if "scalars" in odd:
        model, inputs, targets, loss = (
            _Scalar(),
            torch.randn(rows, generator=generator),
            torch.randn(rows, generator=generator),
            torch.nn.MSELoss(),
        )
    if "class too large" in odd and classed and rows:
        targets[0] = classes
    if "class ignored" in odd and classed and rows:
        targets[0 if rng.integers(2) else slice(None)] = -100
    if "flat targets" in odd and not classed:
        targets = targets.flatten()
    if "uneven rows" in odd:
        targets = targets[:-1]
    model = _typed(model, DTYPES[rng.integers(len(DTYPES))]) if "model type" in odd else model.double()
    inputs = inputs.to(DTYPES[rng.integers(len(DTYPES))]) if "input type" in odd else inputs.double()
    if "target type" in odd:
        targets = targets.to(DTYPES[rng.integers(len(DTYPES))])
    elif not classed:
        targets = targets.double()
    if "bad inputs" in odd:
        _spoil(inputs, rng)
    if "bad targets" in odd:
        _spoil(targets, rng)
    if "bad parameters" in odd:
        _spoil(next(iter(model.parameters())).data, rng)
    bad_point, same, typed = "bad point" in odd, "equal points" in odd, "point type" in odd
    short = "point too short" in odd
    kind = DTYPES[rng.integers(len(DTYPES))]
    numbers = rng.spawn(1)[0]

    def points(objective: Objective) -> list[Any]:
        a = objective.initial.theta
        b = a.clone() if same else a + torch.randn(a.shape, generator=generator, dtype=torch.float64).to(a.dtype)
        if bad_point:
            a = a.clone()
            _spoil(a, numbers)
        found: list[Any] = [a, b]
        if typed:
            found = [x.to(kind) for x in found]
        return [x[:-1] for x in found] if short else found

    return Case(model, loss, (inputs, targets), points, ", ".join(sorted(odd)) or "nothing odd")


ODD = ("no rows", "one row", "one class", "many classes", "empty layer", "no inputs", "no activation", "rectified",
       "batch norm", "layer norm", "dead", "scalars", "class too large", "class ignored", "flat targets", "uneven rows",
       "model type", "input type", "target type", "bad inputs", "bad inputs", "bad targets", "bad parameters",
       "bad parameters", "bad point", "bad point", "equal points", "point type", "point too short")  # fmt: skip
"""What may be unusual about a case."""


class _Scalar(torch.nn.Module):
    """A model of one scalar parameter, of rows that are scalars."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.weight * x)


def _typed(model: torch.nn.Module, dtype: torch.dtype) -> torch.nn.Module:
    if dtype.is_floating_point or dtype.is_complex:
        return model.to(dtype)
    for module in model.modules():  # PyTorch refuses to convert; a user can still make such parameters
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                module._parameters[name] = torch.nn.Parameter(parameter.data.to(dtype), requires_grad=False)
    return model


def _spoil(values: torch.Tensor, rng: np.random.Generator) -> None:
    """Put values that are no usual numbers into one place, a row, or everywhere."""
    if not values.numel() or not (values.is_floating_point() or values.is_complex()):
        return
    value = BAD[rng.integers(len(BAD))]
    how = rng.integers(3) if values.ndim else 2
    if how == 0:
        values.view(-1)[int(rng.integers(values.numel()))] = value
    elif how == 1:
        values[int(rng.integers(len(values)))] = value
    else:
        values.fill_(value)


def once(name: str, seed: int, found: Counts | None = None) -> Counts:
    """One case: a method on what the seed draws."""
    found, told = found or Counts(), f"{name} {seed}"
    try:
        case = drawn(seed)
    except (RuntimeError, IndexError):  # PyTorch has no such model
        return found
    told = f"{told} ({case.told})"
    found.tried[name] += 1
    with muted(), alarm(HANG_SECONDS), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            objective = case.objective()
            record = METHODS[name](objective, case.points(objective))
            wrong = judged(record)
        except ThalwegError as error:
            found.refused[name] += 1
            wrong = "" if str(error) and "\n" not in str(error) else f"no line: {error!r}"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            at = [
                f"{f.filename.rpartition('/thalweg/')[2]}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)
            ]
            wrong = f"{error!r} at {' '.join(a for a in at if 'site-packages' not in a)[-240:]}"
        else:
            found.answered[name] += 1
    shown = [w for w in warned if not issubclass(w.category, DeprecationWarning)]  # which Python shows to nobody
    foreign = {f"{w.category.__name__}: {w.message}"[:120] for w in shown if not issubclass(w.category, ThalwegWarning)}
    if not wrong and (foreign or len(shown) > WARNINGS):
        wrong = f"{len(shown)} warnings: {sorted(foreign)[:3]}"
    if wrong:
        found.defects.append(f"{told}: {wrong}")
    return found


def judged(record: Record) -> str:
    """What is wrong with a record, in words: it must be shown, kept and found again, and say what is not finite."""
    text = card(record)
    json.dumps(answer(record, path=None, seconds=0.0, values=True), allow_nan=False)
    metadata, arrays = records.pack(record)
    again = records.unpack(json.loads(json.dumps(metadata)), arrays)
    if records.pack(again)[0] != metadata:
        return "its metadata come back as others"
    if not text.strip():
        return "its card is empty"
    values = [record.data[name] for name in ("loss", "eigenvalues", "samples") if name in record.data]
    if record.status.name in SURE and not all(np.isfinite(value).all() for value in values):
        return f"it says {record.message!r} of values that are not finite"
    if isinstance(record, Slice) and (record.status.name == "NONFINITE") == bool(np.isfinite(record.loss).all()):
        return f"it says {record.message!r} of {record.loss}"
    return ""


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Without what the libraries below PyTorch print of matrices that are not finite."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
