"""Commands that do everything: the atlas of a subject, the figure of a paper."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from thalweg.cli.options import (
    BackendName,
    Checkpoints,
    Data,
    Dtype,
    Json,
    Out,
    Resume,
    Seed,
    Sets,
    Split,
    Statistics,
    SubjectName,
    Threads,
    Values,
)
from thalweg.cli.run import answer, app, parameters, study
from thalweg.errors import InputError
from thalweg.exec.ranks import alone


@app.command()
def atlas(
    subject: SubjectName, checkpoint: Checkpoints = None, data: Data = None, set_: Sets = None, out: Out = "atlas",
    seed: Seed = 0, resume: Resume = False, split: Split = "points", backend: BackendName = "", dtype: Dtype = "",
    threads: Threads = None, statistics: Statistics = "", values: Values = False, as_json: Json = False,
    steps: Annotated[int, typer.Option("--steps", help="Grid points along each direction.")] = 25,
    train_steps: Annotated[int, typer.Option("--train-steps", help="Training steps, without checkpoints.")] = 600,
    lr: Annotated[float, typer.Option("--lr", help="Learning rate of Adam, without checkpoints.")] = 3e-3,
    batch: Annotated[int, typer.Option("--batch", help="Rows a training step; 0 for all.")] = 128,
    race: Annotated[str | None, typer.Option("--race", help="An `escape` study of this subject, to be shown.")] = None,
    census: Annotated[int, typer.Option("--census", help="Searches for critical points, from along the training.")] = 0,
) -> None:  # fmt: skip
    """Draw everything about a subject into one self-contained page.

    Example: thalweg atlas digits --steps 9 --train-steps 50 --out atlas-small
    """
    options = {"steps": steps, "train_steps": train_steps, "lr": lr, "batch": batch, "race": race, "census": census}
    study("atlas", locals(), options)


@app.command()
def reproduce(
    name: Annotated[str | None, typer.Argument(help="One of `thalweg reproduce --list`: freeman_bruna, …")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, a parameter of the reproduction.")] = None,
    out: Out = None, seed: Seed = 0, resume: Resume = False, threads: Threads = None, values: Values = False,
    as_json: Json = False,
    list_: Annotated[bool, typer.Option("--list", help="List them: paper, what is measured, seconds.")] = False,
) -> None:  # fmt: skip
    """Compute a figure or table of a paper: ours beside what was published.

    Example: thalweg reproduce freeman_bruna --set task=cubic --set level=0.3 --set pairs=4
    """
    if resume and out is None:
        raise InputError("--resume goes on with the study in a directory: name it by --out DIR")
    if list_ == (name is not None):
        raise InputError(f"name a reproduction or list them{', not both' if list_ else ''}: thalweg reproduce --list")

    def run() -> tuple[dict[str, Any], str]:
        from thalweg.reproductions.command import listing
        from thalweg.reproductions.command import reproduce as perform

        if name is None:
            return listing()
        if not alone():
            line = "a reproduction is carried out by rank 0 alone: the others have ended"
            print(f"thalweg: {line}", file=sys.stderr, flush=True)
        given = parameters(set_ or [])
        return perform(name, given, out=out, seed=seed, resume=resume, threads=threads, values=values)

    answer(run, as_json, kept=out is not None)
