"""Command lines of any kind: an answer, or one line and nothing left behind.

Each is carried out in a forked child with limits of time and memory, so that one that hangs, or asks for all of the
memory, is seen and costs little.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.faults import forked

HANG_SECONDS = 120
"""A command line that takes longer is said to hang; each asks for well under a second of work."""

MEMORY = 16 * 2**30
"""Addresses that a child may have beyond its parent's; PyTorch's own lie in there."""

SMALL: dict[str, tuple[str, ...]] = {
    "atlas": ("scalar_chain", "--steps", "3", "--train-steps", "2"),
    "plane": ("scalar_chain", "--steps", "3"),
    "line": ("polynomial", "--steps", "3"),
    "simplex": ("polynomial", "--steps", "3"),
    "topology": ("polynomial", "--steps", "5"),
    "compare": ("nothing", "nowhere"),
    "critical": ("scalar_chain", "--steps", "3"),
    "spectrum": ("polynomial", "--k", "1", "--probes", "1", "--steps", "3"),
    "kernel": ("polynomial", "--rows", "5", "--steps", "2"),
    "audit": ("deep_linear",),
    "down": ("polynomial",),
    "rays": ("scalar_chain",),
    "escape": ("strict_saddle", "--rule", "gradient_descent", "--starts", "2", "--steps", "5"),
    "connect": ("scalar_chain", "--method", "straight", "--budget", "50"),
    "align": ("polynomial",),
    "graph": ("scalar_chain", "--method", "straight"),
    "complex": ("scalar_chain", "--steps", "2"),
    "train": ("polynomial", "--steps", "3"),
    "trajectory": ("polynomial", "--run", "nowhere"),
    "instability": ("polynomial", "--steps", "3", "--batch", "4"),
    "ensemble": ("polynomial", "--runs", "2", "--steps", "4", "--cycles", "2", "--cycle", "2"),
    "reproduce": ("nothing",),
    "show": ("nothing",),
    "export": ("nothing", "file.npz"),
    "zoo": (),
}
"""A small piece of work for every command; what is drawn is put in front of it or behind it."""

NUMBERS = ("0", "1", "2", "-1", "-0.0", "0.5", "1e-3", "nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "1.5", "1e3")
HUGE = ("1" + "0" * 12, "9223372036854775808", "1" + "0" * 30)
WORDS = ("", " ", "x", "auto", "all", "none", "random", "eigen", "eigen:LM", "loss", "straight,string", "string,string",
         "straight,", "SA", "BE", "float64", "bfloat16", "loop", "vmap", "stacked", "freeze", "rows", "points", "3x3",
         "0x0", "-3x3", "3×", "auto:5", "auto:nan", "auto:", "curvature", "a=b", "=", "a=", "seed=1", "width=-1",
         "hidden=[0]", "hidden=[]", "rows=0", "gap=[0.2,0.1]", "gap=NaN", "lr=-1", "../x", "/", ".", "/dev/null",
         "/dev/zero", "\n", "a\nb", "<script>", "\udcff", "é", "%s", "{}", "[", "--", "-", "-1e", "٣", "1_0", "0x10",
         "nothing.py:make", "os:getcwd", "json:loads", ":", "a:", ":b", "..", "os.:x", "math:pi", "true", "null",
         "adam", "newton_mr", "minimum_mode", "weights", "activations", "trace", "hessian", "ggn", "fisher", "float32",
         "saddle", "near", "head", "layer", "filter", "scale", "perturbed,adam", "8GiB", "1e9", "x" * 300)  # fmt: skip
SUBJECTS = ("scalar_chain", "polynomial", "deep_linear", "strict_saddle", "single_neuron", "gated_linear", "wide_tanh",
            "orthogonal_tensor", "ising_spin", "triple_product", "mnist", "resnet")  # fmt: skip

PLANTED = {"taken/kept": b"kept", "file": b"kept"}
"""What lies in the folder where a command line is carried out, and must lie there afterwards, byte for byte."""

KNOWN = {"here", "dangling", *(name.partition("/")[0] for name in PLANTED)}

PLACES = ("taken", "file", "file/below", "dangling", "new/deeper", "study/", "study")
"""Directories for studies, beside words of any kind: taken, no directories, links that lead nowhere, new ones."""


@functools.cache
def options() -> dict[str, list[tuple[str, bool]]]:
    """The options of every command, each with whether it takes a value."""
    import typer

    from thalweg.cli import app

    command: Any = typer.main.get_command(app)
    return {
        name: [(flag, not p.is_flag) for p in made.params for flag in p.opts + p.secondary_opts if flag[:2] == "--"]
        for name, made in command.commands.items()
    }


@st.composite
def lines(draw: st.DrawFn, name: str | None = None) -> list[str]:
    """A command line: a small piece of work, with up to three options, their values, or words of any kind."""
    name = name or draw(st.sampled_from(sorted(SMALL)))
    words = st.sampled_from(NUMBERS + HUGE + WORDS)
    given = list(SMALL[name])
    if draw(st.integers(0, 3)) == 0:
        given[:1] = [draw(st.sampled_from(SUBJECTS + WORDS))]
    for _ in range(draw(st.integers(0, 3))):
        option, takes = draw(st.sampled_from(options()[name]))
        value = words | st.sampled_from(PLACES) if option == "--out" else words
        given += [option, draw(value)] if takes else [option]
    if draw(st.integers(0, 7)) == 0:
        given.insert(draw(st.integers(0, len(given))), draw(words | st.text(max_size=6)))
    return [name, *given]


@dataclass(frozen=True)
class Outcome:
    """How a command line ended: its exit code, what it printed, and what is wrong with that (empty: nothing)."""

    code: int
    text: str
    wrong: str
    command: str


def carry_out(words: Sequence[str], folder: Path) -> Outcome:
    """Run a command line in a folder that is emptied first, and look at what it said and left there and around it."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in PLANTED.items():
        path = folder / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "here" / "dangling").symlink_to("nowhere at all")
    takes = ("--out", True) in options().get(words[0] if words else "", ()) and "--out" not in words
    whole = [*words, "--out", "study"] if takes else list(words)
    end = forked.run(lambda: _work(whole, folder / "here"))
    return Outcome(end.code, end.text, _judged(end, whole, folder), words[0] if words else "")


def several(count: int, start: int, folder: Path) -> list[Outcome]:
    """So many command lines, drawn from a seed."""
    forked.load()
    found: list[Outcome] = []

    @seed(start)
    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate])
    @given(lines())
    def one(line: list[str]) -> None:
        outcome = carry_out(line, folder / "case")
        found.append(replace(outcome, wrong=outcome.wrong and f"{line}: {outcome.wrong}"))

    one()
    return found


def _work(given: list[str], folder: Path) -> int:
    from thalweg.cli import main
    from thalweg.report import figures

    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115  (as a process has it)
    os.chdir(folder)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    figures._picture = lambda *_: "data:,"  # an atlas has thirty, which take longer than all the rest
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        main(given)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _judged(end: forked.End, given: list[str], folder: Path) -> str:
    said = [line for line in end.text.split("\n") if line.startswith("thalweg: ") and "Warning: " not in line]
    left = sorted(p.name for p in (*folder.iterdir(), *(folder / "here").iterdir()) if p.name not in KNOWN)
    if any(not (folder / "here" / n).is_file() or (folder / "here" / n).read_bytes() != b for n, b in PLANTED.items()):
        return f"what was there before is another: {end.text}"
    if end.code == -signal.SIGALRM:
        return f"no end after {HANG_SECONDS} s"
    if "Traceback" in end.text or end.code not in (0, 2):
        return f"exit code {end.code}: {end.text[-1500:]}"
    if end.code == 2 and len(said) != 1:
        return f"{len(said)} lines in place of one: {end.text}"
    begun = given[:1] == ["atlas"] and (folder / "here" / "study" / "records" / "train.zarr").exists()
    if end.code == 2 and left and not begun:  # the training of an atlas is kept, whatever comes of it
        return f"refused, and {left} left: {end.text}"
    if end.code == 0 and "--json" in given and "--help" not in given:
        rows = [line for line in end.text.split("\n") if line.startswith("{")]
        try:
            json.loads(rows[0], parse_constant=lambda x: 1 / 0)
        except Exception as error:
            return f"no JSON object ({error!r}): {end.text[:500]}"
    return ""
