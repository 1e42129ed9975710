"""The options that commands share, each with its help."""

from __future__ import annotations

from typing import Annotated

import typer

SubjectName = Annotated[
    str,
    typer.Argument(
        help="A zoo name (see `thalweg zoo`), or your own code, which is run: path.py:factory, module:factory."
    ),
]
Checkpoints = Annotated[list[str] | None, typer.Option("--checkpoint", help="A point, in order; may be repeated.")]
Data = Annotated[str | None, typer.Option("--data", help="Folder of data files, for subjects that read them.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="key=value, a parameter of a zoo subject.")]
Out = Annotated[str | None, typer.Option("--out", help="Study directory: records, figures, and what resuming needs.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of every random choice.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the study in --out; a finished one is returned.")]
Split = Annotated[str, typer.Option("--split", help="What ranks share under torchrun: points or rows.")]
BackendName = Annotated[str, typer.Option("--backend", help="auto (the default), loop, vmap, stacked or compiled.")]
Dtype = Annotated[str, typer.Option("--dtype", help="float32, float64; for pictures only: tf32, bfloat16.")]
Threads = Annotated[int | None, typer.Option("--threads", help="CPU threads.")]
Statistics = Annotated[str, typer.Option("--statistics", help="freeze, batch, recalibrate, interpolate or repair.")]
Values = Annotated[bool, typer.Option("--values", help="Put every array into the JSON object.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Steps = Annotated[int, typer.Option("--steps", help="Grid points along each direction.")]
Norm = Annotated[str, typer.Option("--norm", help="filter, head, layer, whole or none.")]
Biases = Annotated[str, typer.Option("--biases", help="zero or scale: what one-dimensional tensors do.")]
Along = Annotated[
    str, typer.Option("--directions", help="random, eigen (or eigen:SA, LM, BE), a directions file or a study.")
]
RefineTo = Annotated[
    float | None, typer.Option("--refine", help="Interpolate where an error of this share of the range is kept.")
]
SampleRows = Annotated[int | None, typer.Option("--rows", help="Estimate from this many rows, with intervals.")]
Curvature = Annotated[
    bool, typer.Option("--curvature", help="At each point the Hessian's extreme eigenvalues and the gradient as well.")
]
Runs = Annotated[
    list[str] | None,
    typer.Option(
        "--run", help="A `train` study or a recorded trajectory: draw the plane of its path; may be repeated."
    ),
]
HalfWidth = Annotated[
    str,
    typer.Option("--half-width", help="From minus to plus this; auto, auto:5 (where F has risen 5-fold), curvature."),
]
Repeats = Annotated[int, typer.Option("--repeats", help="Random directions (or pairs) to draw, with bands.")]
