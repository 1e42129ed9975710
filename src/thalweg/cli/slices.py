"""Commands that draw F: lines, planes, simplexes, and the basins in them."""

from __future__ import annotations

from typing import Annotated

import typer

from thalweg.cli.options import (
    Along,
    BackendName,
    Biases,
    Checkpoints,
    Curvature,
    Data,
    Dtype,
    HalfWidth,
    Json,
    Norm,
    Out,
    RefineTo,
    Repeats,
    Resume,
    Runs,
    SampleRows,
    Seed,
    Sets,
    Split,
    Statistics,
    Steps,
    SubjectName,
    Threads,
    Values,
)
from thalweg.cli.run import app, study
from thalweg.errors import InputError


@app.command()
def plane(
    subject: SubjectName, checkpoint: Checkpoints = None, data: Data = None, set_: Sets = None, out: Out = None,
    seed: Seed = 0, resume: Resume = False, split: Split = "points", backend: BackendName = "", dtype: Dtype = "",
    threads: Threads = None, statistics: Statistics = "", values: Values = False, as_json: Json = False,
    steps: Annotated[str, typer.Option("--steps", help="Grid points: 51 along both directions, or 51x31.")] = "51",
    half_width: HalfWidth = "1", norm: Norm = "filter", biases: Biases = "zero", directions: Along = "random",
    repeats: Repeats = 1,
    orthogonal: Annotated[bool, typer.Option(help="Orthogonalise the directions.")] = True,
    margin: Annotated[float, typer.Option("--margin", help="Reach beyond two or three points.")] = 0.25,
    run: Runs = None, curvature: Curvature = False,
    refine: RefineTo = None, rows: SampleRows = None,
    descend: Annotated[
        int, typer.Option("--descend", help="Descend so many steps from every cell, and again with noise; 0 for no.")
    ] = 0,
    lr: Annotated[float | None, typer.Option("--lr", help="… with this learning rate (0.1).")] = None,
    noise: Annotated[float | None, typer.Option("--noise", help="… and noise of this length beside ∇F (1).")] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="… or minibatches as the noise.")] = None,
) -> None:  # fmt: skip
    """Draw F over a plane around one point, or through two or three.

    Example: thalweg plane digits --steps 21 --json
    """
    options = {
        "steps": _pair(steps), "half_width": _number(half_width), "margin": margin, "norm": _norm(norm),
        "biases": biases, "repeats": repeats, "directions": directions, "orthogonal": orthogonal, "run": run,
        "curvature": curvature,
        "refine": refine, "rows": rows, "descend": descend, "lr": lr, "noise": noise, "batch": batch,
    }  # fmt: skip
    study("plane", locals(), options)


@app.command()
def line(
    subject: SubjectName, checkpoint: Checkpoints = None, data: Data = None, set_: Sets = None, out: Out = None,
    seed: Seed = 0, resume: Resume = False, split: Split = "points", backend: BackendName = "", dtype: Dtype = "",
    threads: Threads = None, statistics: Statistics = "", values: Values = False, as_json: Json = False,
    steps: Steps = 51, half_width: HalfWidth = "1", norm: Norm = "filter", biases: Biases = "zero",
    directions: Along = "random", repeats: Repeats = 1,
    margin: Annotated[float, typer.Option("--margin", help="Reach beyond the two points.")] = 0.0,
    refine: RefineTo = None, rows: SampleRows = None,
) -> None:  # fmt: skip
    """Draw F along a line around one point, or between two.

    Example: thalweg line digits --steps 31 --repeats 6 --out around
    """
    options = {
        "steps": steps, "half_width": _number(half_width), "margin": margin, "norm": _norm(norm), "biases": biases,
        "repeats": repeats, "directions": directions, "refine": refine, "rows": rows,
    }  # fmt: skip
    study("line", locals(), options)


@app.command()
def simplex(
    subject: SubjectName, checkpoint: Checkpoints = None, data: Data = None, set_: Sets = None, out: Out = None,
    seed: Seed = 0, resume: Resume = False, split: Split = "points", backend: BackendName = "", dtype: Dtype = "",
    threads: Threads = None, statistics: Statistics = "", values: Values = False, as_json: Json = False,
    steps: Annotated[int, typer.Option("--steps", help="Lattice points along each edge.")] = 21,
    count: Annotated[int, typer.Option("--count", help="Without checkpoints: initial points from seeds.")] = 3,
) -> None:  # fmt: skip
    """Draw F over the mixtures of two or more checkpoints: a triangle of three.

    Example: thalweg simplex digits --steps 9 --json
    """
    study("simplex", locals(), {"steps": steps, "count": count})


@app.command()
def topology(
    subject: Annotated[str, typer.Argument(help="A subject, or a study, record, .npz or .h5 file that is there.")],
    checkpoint: Checkpoints = None, data: Data = None, set_: Sets = None, out: Out = None,
    seed: Seed = 0, resume: Resume = False, split: Split = "points", backend: BackendName = "", dtype: Dtype = "",
    threads: Threads = None, statistics: Statistics = "", values: Values = False, as_json: Json = False,
    record: Annotated[str | None, typer.Option("--record", help="Which record of a study.")] = None,
    line: Annotated[bool, typer.Option("--line", help="Along a line instead of over a plane.")] = False,
    volume: Annotated[bool, typer.Option("--volume", help="Along three directions instead of over a plane.")] = False,
    steps: Annotated[int | None, typer.Option("--steps", help="Grid points along each direction (51; 21)")] = None,
    half_width: Annotated[float | None, typer.Option("--half-width", help="As for plane and line (1).")] = None,
    margin: Annotated[float | None, typer.Option("--margin", help="As for plane and line.")] = None,
    norm: Annotated[str | None, typer.Option("--norm", help="filter, layer, whole or none.")] = None,
    biases: Annotated[str | None, typer.Option("--biases", help="zero or scale.")] = None,
    field: Annotated[str, typer.Option("--field", help="loss, or a metric.")] = "loss",
    connectivity: Annotated[int | None, typer.Option("--connectivity", help="4 or 8 on a plane; 2; 6 or 26.")] = None,
    error: Annotated[float | None, typer.Option("--error", help="How far each value may be from the truth.")] = None,
) -> None:  # fmt: skip
    """Find the basins of a plane or line, and which of them are more than its error.

    Example: thalweg topology digits --steps 31 --json
    """
    options = {
        "record": record, "line": line, "volume": volume, "steps": steps, "half_width": half_width,
        "margin": margin, "norm": norm, "biases": biases, "field": field, "connectivity": connectivity, "error": error,
    }  # fmt: skip
    study("topology", locals(), options)


def _norm(norm: str) -> str | None:
    return None if norm in ("none", "None") else norm


def _number(half_width: str) -> float | str:
    """A number where it is one; else how to find it."""
    try:
        return float(half_width)
    except ValueError:
        return half_width


def _pair(steps: str) -> int | tuple[int, ...]:
    """51 as a number, 51x31 as two."""
    parts = steps.replace("×", "x").split("x")
    if len(parts) > 2 or not all(part.strip().isdigit() for part in parts):
        raise InputError(f"--steps {steps}: write a number such as 51, or two such as 51x31")
    numbers = tuple(int(part) for part in parts)
    return numbers if len(numbers) > 1 else numbers[0]
