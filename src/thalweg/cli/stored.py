"""Commands about what is there: records shown, compared and exported, and the zoo."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from thalweg.cli.options import Json, Seed, Values
from thalweg.cli.run import answer, app
from thalweg.errors import InputError


@app.command()
def show(
    path: Annotated[str, typer.Argument(help="A record (…/records/NAME.zarr), a study or a recorded trajectory.")],
    figure: Annotated[str | None, typer.Option("--figure", help="Draw it into this .png, .pdf or .svg.")] = None,
    values: Values = False,
    as_json: Json = False,
) -> None:
    """Show a stored record: its answer, how sure it is, what it cost and where it comes from.

    Example: thalweg show atlas
    """

    def run() -> tuple[dict[str, Any], str]:
        from thalweg.study import show_record

        return show_record(path, figure=figure, values=values)

    answer(run, as_json)


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A study (or record) of a line or plane drawn with --repeats.")],
    second: Annotated[str, typer.Argument(help="Another, of the other model.")],
    record: Annotated[str | None, typer.Option("--record", help="Which record of the studies.")] = None,
    level: Annotated[float, typer.Option("--level", help="How often chance alone may be called a difference.")] = 0.05,
    other_rows: Annotated[bool, typer.Option("--other-rows", help="Each model is on rows of its own.")] = False,
    seed: Seed = 0,
    figure: Annotated[str | None, typer.Option("--figure", help="Draw it into this .png, .pdf or .svg.")] = None,
    out: Annotated[
        str | None, typer.Option("--out", help="Set all that two studies (atlases) hold side by side on a page there.")
    ] = None,
    values: Values = False,
    as_json: Json = False,
) -> None:
    """Say whether two models differ by more than their random directions do; with --out, a page of two studies.

    Example: thalweg compare around around
    """
    if out is not None and (record is not None or figure is not None or values):
        raise InputError("--out compares whole studies: leave --record, --figure and --values out")

    def run() -> tuple[dict[str, Any], str]:
        from thalweg.study import compare_records, compare_studies

        if out is not None:
            return compare_studies(first, second, out, level=level, other_rows=other_rows, seed=seed)
        return compare_records(
            first, second, record=record, level=level, other_rows=other_rows, seed=seed, figure=figure, values=values
        )

    answer(run, as_json)


@app.command()
def export(
    source: Annotated[str, typer.Argument(help="A study, …/records/NAME.zarr, or an .npz or .h5 file.")],
    out: Annotated[str, typer.Argument(help="The file to write; its ending names the format.")],
    format_: Annotated[str | None, typer.Option("--format", help="png svg pdf html vti vtp npz nc csv")] = None,
    record: Annotated[str | None, typer.Option("--record", help="Which record of a study.")] = None,
    as_json: Json = False,
) -> None:
    """Write a stored record as a file: a picture, a page, ParaView, NumPy, netCDF or a table.

    Example: thalweg export atlas surface.vti --record plane
    """

    def run() -> tuple[dict[str, Any], str]:
        from thalweg.study import export_record

        return export_record(source, out, record=record, format=format_)

    answer(run, as_json)


@app.command()
def zoo(as_json: Json = False) -> None:
    """List the zoo: landscapes that can be named as a subject.

    Example: thalweg zoo
    """

    def run() -> tuple[dict[str, Any], str]:
        from thalweg.study import list_zoo

        return list_zoo()

    answer(run, as_json)
