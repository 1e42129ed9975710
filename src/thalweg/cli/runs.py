"""The command about runs: what changes along them and what they meet."""

from __future__ import annotations

from typing import Annotated

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
from thalweg.cli.run import app, study
from thalweg.errors import InputError


@app.command()
def trajectory(
    subject: SubjectName, checkpoint: Checkpoints = None, data: Data = None, set_: Sets = None, out: Out = None,
    seed: Seed = 0, resume: Resume = False, split: Split = "points", backend: BackendName = "", dtype: Dtype = "",
    threads: Threads = None, statistics: Statistics = "", values: Values = False, as_json: Json = False,
    run: Annotated[
        list[str] | None, typer.Option("--run", help="A `train` study: follow it; of several the first is followed.")
    ] = None,
    points: Annotated[int, typer.Option("--points", help="Points of the run to look at; 0 for all.")] = 25,
    which: Annotated[int, typer.Option("--which", help="Which of the run's networks, from 0.")] = 0,
    sharpness: Annotated[bool, typer.Option(help="Find the Hessian's largest eigenvalue at each.")] = True,
    kernel_rows: Annotated[int, typer.Option("--kernel-rows", help="Rows of the tangent kernel; 0 for none.")] = 50,
    lr: Annotated[float | None, typer.Option("--lr", help="Learning rate, where the run does not say it.")] = None,
    momentum: Annotated[float, typer.Option("--momentum", help="… and its momentum.")] = 0.0,
    plateaus: Annotated[bool, typer.Option(help="Find stretches of stalled loss and judge each.")] = True,
    rate: Annotated[
        float | None, typer.Option("--rate", help="… stalled: it falls by less than this share a step (1/steps).")
    ] = None,
    least: Annotated[float | None, typer.Option("--least", help="… of the loss above this value, F*.")] = None,
    window: Annotated[int, typer.Option("--window", help="… averaged over so many more points on either side.")] = 0,
    steps: Annotated[int, typer.Option("--steps", help="Grid of the plane of the runs; 0 for none.")] = 31,
    beside: Annotated[
        list[str] | None, typer.Option("--beside", help="A `train` study of another width: beside it in the funnel.")
    ] = None,
    long: Annotated[
        int, typer.Option("--long", help="Split the error: go on for so many steps to the limit; 0 for no.")
    ] = 0,
    best: Annotated[
        float | None, typer.Option("--best", help="… with the model's least test error, where it is not stated.")
    ] = None,
) -> None:  # fmt: skip
    """Follow a run: loss, sharpness against 2/η, ranks, balance, kernel; plateaus, funnel, plane, terms of its error.

    Example: thalweg trajectory digits --run trained --points 10 --json
    """
    if not run:
        raise InputError("no run was given: name a `train` study by --run DIR (thalweg train … --out DIR makes one)")
    if checkpoint:
        raise InputError("--run is what is followed: leave --checkpoint out")
    options = {
        "run": run, "points": points, "which": which, "sharpness": sharpness, "kernel_rows": kernel_rows, "lr": lr,
        "momentum": momentum, "plateaus": plateaus, "rate": rate, "least": least, "window": window, "steps": steps,
        "beside": beside or [], "long": long, "best": best,
    }  # fmt: skip
    study("trajectory", locals(), options)
