"""docs/reproductions.md, written from runs with default settings and from what was written about longer ones."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from thalweg.errors import InputError
from thalweg.records import Finding, Reproduction, encode
from thalweg.records.codec import decode
from thalweg.reproductions import REPRODUCTIONS
from thalweg.store import read_record

HEAD = """# Reproductions

What published papers state, beside what the shipped commands find. `thalweg reproduce --list` lists them and
`thalweg reproduce NAME --json` runs one. The tables under a name are of its default settings and seed 0, which take the
seconds of one processor that are named, and say where a statement was not found again. Longer runs, with the commands
that made them, follow below. `make reproductions` runs everything and writes this page.
"""

PIXELS = 1400
"""Width of a figure on the page."""

BYTES = 120_000
"""Of one figure at most."""


def keep(page: Path, run: Path) -> str:
    """Put what the page says of the run in a study directory into files beside the page; the name of what was run.

    Raises
    ------
    InputError
        If the run is of other than the default settings or another seed.
    StoreError
        If there is no record.
    """
    request = json.loads((run / "study.json").read_text(encoding="utf-8"))["request"]
    name, extra = request["name"], sorted(set(request) - {"command", "name", "seed"})
    if extra or request["seed"] != 0:
        raise InputError(f"{run} was run with {extra or ['seed']} set: the page is of default settings and seed 0")
    record = read_record(run / "records" / "reproduce.zarr")
    assert isinstance(record, Reproduction)
    made = record.provenance
    found = {
        "status": record.status.name,
        "rows": [encode(row) for row in record.rows],
        "rule": record.rule,
        "notes": list(record.notes),
        "cost": str(record.cost),
        "settings": {k: v for k, v in made.method.items() if k != "name"},
        "seed": made.seed,
        "dtype": made.dtype,
        "backend": made.backend,
        "device": made.device,
        "versions": made.versions,
        "created": made.created,
    }
    _text(page, name, ".json").parent.mkdir(parents=True, exist_ok=True)
    _text(page, name, ".json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if (run / "reproduce.png").exists():
        figure = _figure(page, name)
        figure.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(run / "reproduce.png") as image:
            _save(image, figure)
    return name


def _save(image: Image.Image, figure: Path) -> None:
    """As wide as a page shows, and of fewer pixels where many pictures would take too many bytes."""
    for pixels in (PIXELS, 1200, 1000, 800, 640, 500):
        image.thumbnail((pixels, 4 * pixels))
        image.convert("RGB").quantize(96).save(figure, optimize=True)
        if figure.stat().st_size <= BYTES:
            return


def render(page: Path) -> str:
    """The page as text, from the files beside it."""
    known = {name: _text(page, name, ".json") for name in sorted(REPRODUCTIONS)}
    kept = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in known.items() if path.exists()}
    lines = [HEAD, "| name | paper | what is measured | agrees | seconds |", "|---|---|---|---|---|"]
    for name, cls in sorted(REPRODUCTIONS.items()):
        agrees = _agreement(kept[name]) if name in kept else "not run"
        what = re.sub(r"^[^:]* (19|20)\d\d[a-z]?: ", "", cls.what())  # the paper stands beside it
        what = what[0].upper() + what[1:]
        lines.append(f"| [{name}](#{name}) | {_cell(cls.paper)} | {_cell(what)} | {agrees} | {cls.seconds} |")
    for name in sorted(REPRODUCTIONS):
        lines += ["", *_section(page, name, kept.get(name))]
    return "\n".join(lines).rstrip() + "\n"


def _section(page: Path, name: str, found: dict[str, Any] | None) -> Iterator[str]:
    cls = REPRODUCTIONS[name]
    yield f"## {name}\n"
    yield f"{cls.what()}\n\n    thalweg reproduce {name} --threads 1 --out DIR --resume\n"
    if found is not None:
        yield "| claim | published claim | published | ours | interval | agrees? |\n|---|---|---|---|---|---|"
        yield from (_row(decode(row, Finding)) for row in found["rows"])
        if found["rule"]:
            yield f"\nAgreement: {found['rule']}."
        yield from (f"\n{note}" for note in found["notes"])
        if _figure(page, name).exists():
            yield f"\n![{name}]({_figure(page, name).relative_to(page.parent).as_posix()})"
        yield f"\n{_provenance(found)}"
    if (more := _text(page, name, ".md")).exists():
        yield f"\n### {name}, in more words\n"
        yield more.read_text(encoding="utf-8").strip("\n")


def _row(row: Finding) -> str:
    interval = "" if row.interval is None else f"[{row.interval[0]:.4g}, {row.interval[1]:.4g}]"
    published = "" if row.published is None else f"{row.published:.4g}"
    agrees = {None: "", True: "yes", False: "no"}[row.agrees]
    return f"| {row.claim} | {_cell(row.source)} | {published} | {row.ours:.4g} | {interval} | {agrees} |"


def _agreement(found: dict[str, Any]) -> str:
    compared = [row["agrees"] for row in found["rows"] if row["agrees"] is not None]
    return f"{sum(compared)} of {len(compared)}" if compared else "nothing to compare"


def _provenance(found: dict[str, Any]) -> str:
    settings = ", ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in found["settings"].items())
    versions = ", ".join(f"{k} {v}" for k, v in found["versions"].items())
    return (
        f"Run of {found['created'][:10]}, seed {found['seed']}, {found['dtype']}, {found['backend']} on "
        f"{found['device']}, {versions}; {found['cost']}. Settings: `{settings}`."
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _text(page: Path, name: str, suffix: str) -> Path:
    return page.with_suffix("") / f"{name}{suffix}"


def _figure(page: Path, name: str) -> Path:
    return page.parent / "images" / page.stem / f"{name}.png"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for directory in sys.argv[2:]:
        keep(target, Path(directory))
    target.write_text(render(target), encoding="utf-8")
