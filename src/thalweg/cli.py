"""The command line: each command is one study; ``--json`` prints one object and nothing else on stdout."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thalweg import __version__
from thalweg.errors import InputError, ThalwegError

if TYPE_CHECKING:
    from thalweg.study import Request

app = typer.Typer(
    name="thalweg",
    help="A workbench for the loss landscapes of neural networks. Every answer says how sure it is.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

SubjectName = Annotated[str, typer.Argument(help="A zoo name (see `thalweg zoo`), path.py:factory or module:factory.")]
Checkpoints = Annotated[list[str] | None, typer.Option("--checkpoint", help="A point, in order; may be repeated.")]
Data = Annotated[str | None, typer.Option("--data", help="Folder of data files, for subjects that read them.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="key=value, a parameter of a zoo subject.")]
Out = Annotated[str | None, typer.Option("--out", help="Study directory: records, figures, and what resuming needs.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of every random choice.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the study in --out; a finished one is returned.")]
Split = Annotated[str, typer.Option("--split", help="What ranks share under torchrun: points.")]
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
    list[str] | None, typer.Option("--run", help="A `train` study: draw the plane of its path; may be repeated.")
]
HalfWidth = Annotated[
    str,
    typer.Option("--half-width", help="From minus to plus this; auto, auto:5 (where F has risen 5-fold), curvature."),
]
Repeats = Annotated[int, typer.Option("--repeats", help="Random directions (or pairs) to draw, with bands.")]


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
) -> None:  # fmt: skip
    """Draw F over a plane around one point, or through two or three.

    Example: thalweg plane digits --steps 21 --json
    """
    options = {
        "steps": _pair(steps), "half_width": _number(half_width), "margin": margin, "norm": _norm(norm),
        "biases": biases, "repeats": repeats, "directions": directions, "orthogonal": orthogonal, "run": run,
        "curvature": curvature,
        "refine": refine, "rows": rows,
    }  # fmt: skip
    _study("plane", locals(), options)


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
    _study("simplex", locals(), {"steps": steps, "count": count})


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
    _study("line", locals(), options)


@app.command()
def train(
    subject: SubjectName, checkpoint: Checkpoints = None, data: Data = None, set_: Sets = None, out: Out = None,
    seed: Seed = 0, resume: Resume = False, split: Split = "points", backend: BackendName = "", dtype: Dtype = "",
    threads: Threads = None, statistics: Statistics = "", values: Values = False, as_json: Json = False,
    rule: Annotated[str, typer.Option("--rule", help="adam, rmsprop, momentum or gradient_descent.")] = "adam",
    lr: Annotated[float | None, typer.Option("--lr", help="Learning rate; default: the rule's own.")] = None,
    steps: Annotated[int, typer.Option("--steps", help="Steps at most.")] = 1000,
    batch: Annotated[int, typer.Option("--batch", help="Rows a step; 0 for all.")] = 128,
    count: Annotated[int, typer.Option("--count", help="Networks, from seeds seed, seed+1, …")] = 1,
    stop_loss: Annotated[float | None, typer.Option("--stop-loss", help="End a network at this loss.")] = None,
    stop_gradient: Annotated[float | None, typer.Option("--stop-gradient", help="… or gradient norm.")] = None,
) -> None:  # fmt: skip
    """Train the subject from its initial parameters (or a checkpoint) and keep the path.

    Example: thalweg train digits --steps 200 --json
    """
    options = {
        "rule": rule, "lr": lr, "steps": steps, "batch": batch, "count": count, "stop_loss": stop_loss,
        "stop_gradient": stop_gradient,
    }  # fmt: skip
    _study("train", locals(), options)


@app.command()
def spectrum(
    subject: SubjectName, checkpoint: Checkpoints = None, data: Data = None, set_: Sets = None, out: Out = None,
    seed: Seed = 0, resume: Resume = False, split: Split = "points", backend: BackendName = "", dtype: Dtype = "",
    threads: Threads = None, statistics: Statistics = "", values: Values = False, as_json: Json = False,
    k: Annotated[int, typer.Option("--k", help="How many eigenvalues.")] = 10,
    which: Annotated[str, typer.Option("--which", help="LA largest, SA smallest, LM in magnitude, BE both.")] = "LA",
    operator: Annotated[str, typer.Option("--operator", help="hessian or ggn.")] = "hessian",
    tol: Annotated[float, typer.Option("--tol", help="Residual over the largest |eigenvalue|.")] = 1e-6,
    probes: Annotated[int, typer.Option("--probes", help="Vectors for density and trace; 0 for neither.")] = 4,
    steps: Annotated[int, typer.Option("--steps", help="Products with each of them.")] = 40,
) -> None:  # fmt: skip
    """Find extremal eigenvalues with residuals, and the trace and the density of all with their intervals.

    Example: thalweg spectrum digits --k 3 --json
    """
    options = {"k": k, "which": which, "operator": operator, "tol": tol, "probes": probes, "steps": steps}
    _study("spectrum", locals(), options)


@app.command()
def critical(
    subject: SubjectName, checkpoint: Checkpoints = None, data: Data = None, set_: Sets = None, out: Out = None,
    seed: Seed = 0, resume: Resume = False, split: Split = "points", backend: BackendName = "", dtype: Dtype = "",
    threads: Threads = None, statistics: Statistics = "", values: Values = False, as_json: Json = False,
    tolerance: Annotated[float, typer.Option("--tolerance", help="Gradient norm that counts as zero.")] = 1e-5,
    dense_below: Annotated[int, typer.Option("--dense-below", help="Parameters up to which it is exact.")] = 2000,
    products: Annotated[int, typer.Option("--products", help="Hessian products for a bracket beyond that.")] = 200,
    sharpness: Annotated[bool, typer.Option("--sharpness", help="Add the table of sharpness measures.")] = False,
) -> None:  # fmt: skip
    """Say what kind of critical point a point is, with its index, or that it is none.

    Example: thalweg critical scalar_chain --json
    """
    options = {"tolerance": tolerance, "dense_below": dense_below, "products": products, "sharpness": sharpness}
    _study("critical", locals(), options)


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
    _study("topology", locals(), options)


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

    _print(run, as_json)


@app.command()
def connect(
    subject: SubjectName, checkpoint: Checkpoints = None, data: Data = None, set_: Sets = None, out: Out = None,
    seed: Seed = 0, resume: Resume = False, split: Split = "points", backend: BackendName = "", dtype: Dtype = "",
    threads: Threads = None, statistics: Statistics = "", values: Values = False, as_json: Json = False,
    method: Annotated[str, typer.Option("--method", help="A method, several with commas, or all.")] = "string",
    level: Annotated[float | None, typer.Option("--level", help="Stay below this F; default: worse end + 5 %.")] = None,
    budget: Annotated[float | None, typer.Option("--budget", help="Full-data gradients of each method.")] = None,
    certify: Annotated[bool, typer.Option("--certify", help="Bound F on every point of each path.")] = False,
) -> None:  # fmt: skip
    """Join two checkpoints by a low path, and say how sure it is; without any, two initial networks.

    Example: thalweg connect digits --method straight,string --budget 200 --json
    """
    _study("connect", locals(), {"method": method, "level": level, "budget": budget, "certify": certify})


@app.command()
def align(
    subject: SubjectName, checkpoint: Checkpoints = None, data: Data = None, set_: Sets = None, out: Out = None,
    seed: Seed = 0, resume: Resume = False, split: Split = "points", backend: BackendName = "", dtype: Dtype = "",
    threads: Threads = None, statistics: Statistics = "", values: Values = False, as_json: Json = False,
    method: Annotated[str, typer.Option("--method", help="weights, activations, sinkhorn, frank_wolfe, …")] = "weights",
    restarts: Annotated[int, typer.Option("--restarts", help="Further searches, from random orders.")] = 0,
    signs: Annotated[bool, typer.Option("--signs", help="Turn units round too, where they are odd (tanh).")] = False,
    scales: Annotated[bool, typer.Option("--scales", help="Choose units' scales as well, where free (ReLU).")] = False,
    skip: Annotated[list[str] | None, typer.Option("--skip", help="A group of units to leave out, by name.")] = None,
    tolerance: Annotated[float | None, typer.Option("--tolerance", help="Largest relative change of outputs.")] = None,
    budget: Annotated[float | None, typer.Option("--budget", help="Full-data gradients of the search.")] = None,
) -> None:  # fmt: skip
    """Bring the second checkpoint's units into the order of the first's; its function stays what it is.

    Example: thalweg align digits --method activations --json
    """
    options = {
        "method": method, "restarts": restarts, "signs": signs, "scales": scales, "skip": skip or [],
        "tolerance": tolerance, "budget": budget,
    }  # fmt: skip
    _study("align", locals(), options)


@app.command()
def atlas(
    subject: SubjectName, checkpoint: Checkpoints = None, data: Data = None, set_: Sets = None, out: Out = "atlas",
    seed: Seed = 0, resume: Resume = False, split: Split = "points", backend: BackendName = "", dtype: Dtype = "",
    threads: Threads = None, statistics: Statistics = "", values: Values = False, as_json: Json = False,
    steps: Annotated[int, typer.Option("--steps", help="Grid points along each direction.")] = 25,
    train_steps: Annotated[int, typer.Option("--train-steps", help="Training steps, without checkpoints.")] = 600,
    lr: Annotated[float, typer.Option("--lr", help="Learning rate of Adam, without checkpoints.")] = 3e-3,
    batch: Annotated[int, typer.Option("--batch", help="Rows a training step; 0 for all.")] = 128,
) -> None:  # fmt: skip
    """Draw everything about a subject into one self-contained page.

    Example: thalweg atlas digits --steps 9 --train-steps 50 --out atlas-small
    """
    _study("atlas", locals(), {"steps": steps, "train_steps": train_steps, "lr": lr, "batch": batch})


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A study (or record) of a line or plane drawn with --repeats.")],
    second: Annotated[str, typer.Argument(help="Another, of the other model.")],
    record: Annotated[str | None, typer.Option("--record", help="Which record of the studies.")] = None,
    level: Annotated[float, typer.Option("--level", help="How often chance alone may be called a difference.")] = 0.05,
    other_rows: Annotated[bool, typer.Option("--other-rows", help="Each model is on rows of its own.")] = False,
    seed: Seed = 0,
    figure: Annotated[str | None, typer.Option("--figure", help="Draw it into this .png, .pdf or .svg.")] = None,
    values: Values = False,
    as_json: Json = False,
) -> None:
    """Say whether two models differ by more than their random directions do.

    Example: thalweg compare around around
    """

    def run() -> tuple[dict[str, Any], str]:
        from thalweg.study import compare_records

        return compare_records(
            first, second, record=record, level=level, other_rows=other_rows, seed=seed, figure=figure, values=values
        )

    _print(run, as_json)


@app.command()
def show(
    path: Annotated[str, typer.Argument(help="A record (…/records/NAME.zarr) or a study directory.")],
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

    _print(run, as_json)


@app.command()
def zoo(as_json: Json = False) -> None:
    """List the zoo: landscapes that can be named as a subject.

    Example: thalweg zoo
    """

    def run() -> tuple[dict[str, Any], str]:
        from thalweg.study import list_zoo

        return list_zoo()

    _print(run, as_json)


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(help="A paper: freeman_bruna, …")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, a parameter of the reproduction.")] = None,
    out: Out = None, seed: Seed = 0, resume: Resume = False, threads: Threads = None, values: Values = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Compute a figure or table of a paper: ours beside what was published.

    Example: thalweg reproduce freeman_bruna --set task=cubic --set level=0.3 --set pairs=4
    """
    if resume and out is None:
        raise InputError("--resume goes on with the study in a directory: name it by --out DIR")

    def run() -> tuple[dict[str, Any], str]:
        from thalweg.reproductions.command import reproduce as perform

        given = _parameters(set_ or [])
        return perform(name, given, out=out, seed=seed, resume=resume, threads=threads, values=values)

    _print(run, as_json)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


class _Interrupted(Exception):
    """Ctrl-C inside a command; the parser would end the process before anything is said."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit code 2 and one line on stderr for anything that cannot be done."""
    command = typer.main.get_command(app)
    if not (sys.argv[1:] if arguments is None else arguments):
        arguments = ["--help"]
    try:
        code = command.main(args=arguments, prog_name="thalweg", standalone_mode=False)
    except ThalwegError as error:
        _fail(str(error))
    except _Interrupted:
        _fail("interrupted; with --out, the same command and --resume goes on from what was kept", code=130)
    except Exception as error:
        # The parser's usage errors share no public base class across versions of typer; they all have this.
        if not hasattr(error, "format_message"):
            raise
        given = sys.argv[1:] if arguments is None else arguments
        _fail(f"{error.format_message().rstrip('.')} (given: thalweg {shlex.join(given)})")
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int = 2) -> None:
    line = " ".join(message.split())
    print(f"thalweg: {line}", file=sys.stderr)
    sys.exit(code)


def _study(command: str, given: dict[str, Any], options: dict[str, Any]) -> None:
    """Run a study command from its local variables."""
    if given["resume"] and given["out"] is None:
        raise InputError("--resume goes on with the study in a directory: name it by --out DIR")
    if given["split"] != "points":
        raise InputError(f"--split {given['split']} is not offered: use --split points")

    def run() -> tuple[dict[str, Any], str]:
        from thalweg.study import Request, Subject, perform

        subject = Subject(
            name=given["subject"],
            checkpoints=tuple(given["checkpoint"] or ()),
            data=given["data"],
            parameters=_parameters(given["set_"] or []),
            seed=given["seed"],
            dtype=given["dtype"],
            backend=given["backend"],
            statistics=given["statistics"],
        )
        request: Request = Request(command, subject, options, given["out"], given["resume"], given["threads"])
        return perform(request, values=given["values"])

    _print(run, given["as_json"])


def _print(run: Callable[[], tuple[dict[str, Any], str]], as_json: bool) -> None:
    """Print the object or the text; while the command runs, whatever writes to stdout goes to stderr."""
    clock = time.perf_counter()
    try:
        with _quiet_stdout(), _one_line_warnings():
            found, text = run()
    except KeyboardInterrupt:
        raise _Interrupted from None
    if not as_json:
        typer.echo(text)
        return
    found.setdefault("seconds", time.perf_counter() - clock)
    typer.echo(json.dumps(found, allow_nan=False))


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Send file descriptor 1 to 2: a user's print, or a C library's, must not spoil the JSON object."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:
        yield
        return
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def _one_line_warnings() -> Iterator[None]:
    def one_line(message: Warning | str, category: type[Warning], *_: Any) -> str:
        return f"thalweg: {category.__name__}: {' '.join(str(message).split())}\n"

    kept = warnings.formatwarning
    warnings.formatwarning = one_line  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.formatwarning = kept


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


def _parameters(pairs: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(f"--set {pair}: write key=value")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found
