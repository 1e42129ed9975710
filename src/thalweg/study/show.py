"""Looking at what is kept: a record, a study, and the zoo."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

import numpy as np

from thalweg import zoo
from thalweg.errors import StoreError
from thalweg.export import load
from thalweg.plot import save
from thalweg.records import encode
from thalweg.report import card
from thalweg.store import read_record
from thalweg.store.progress import progress, told
from thalweg.study.faces import answer, finite
from thalweg.study.kept import FILES, FILES_SAID, believed
from thalweg.trajectories import Recording, is_recorded, read


def show_record(path: str, *, figure: str | None = None, values: bool = False) -> tuple[dict[str, Any], str]:
    """A stored record, or every record of a study directory, as JSON and as text; and what is unfinished in it.

    Raises
    ------
    StoreError
        If there is no record there, or it is damaged.
    """
    found = Path(path)
    if is_recorded(found) and figure is None:
        return _recording(read(found))
    one = found.suffix == ".zarr" or found.suffix.lower() in FILES
    paths = [found] if one else sorted((found / "records").glob("*.zarr"))
    unfinished = None if one else progress(found)
    if unfinished is not None and not paths and figure is None:
        return _begun(found, unfinished)
    if not found.exists() or not paths:
        raise StoreError(f"{path} holds no record: give a study directory, …/records/NAME.zarr, or a file {FILES_SAID}")
    records = {p.stem: load(p) if p.suffix.lower() in FILES else read_record(p) for p in paths}
    if figure is not None and len(records) > 1:
        raise StoreError(f"{path} holds {len(records)} records ({', '.join(records)}): name one to draw it")
    objects, cards = {}, []
    for (name, record), p in zip(records.items(), paths, strict=True):
        with believed(p):
            if figure is not None:
                save(record, Path(figure))
            objects[name] = {
                **answer(record, path=str(p), seconds=record.cost.seconds, values=values),
                "kind": record.record_type,
                "summary": record.summary,
                "provenance": finite(encode(record.provenance)),
            }
            cards.append(f"{name}\n{card(record)}")
    text = "\n\n".join(cards)
    if unfinished is not None:
        text += f"\n\n{told(found, unfinished)}"
    if len(objects) == 1:
        return next(iter(objects.values())), text
    common = {
        "record": None,
        "guarantee": None,
        "status": "COMPLETE",
        "message": f"{len(objects)} records.",
        "cost": None,
    }
    return {**common, "seconds": 0.0, "nonfinite": 0, "records": objects}, text


def _begun(path: Path, unfinished: dict[str, tuple[int, int]]) -> tuple[dict[str, Any], str]:
    """A study that has no record yet."""
    text = told(path, unfinished)
    common = {"record": None, "guarantee": None, "status": "UNFINISHED", "message": text, "cost": None}
    tasks = {name: {"done": done, "tasks": total} for name, (done, total) in unfinished.items()}
    return {**common, "seconds": 0.0, "unfinished": tasks}, text


def _recording(recording: Recording) -> tuple[dict[str, Any], str]:
    """What was kept of a training, without the network that was trained."""
    layout, steps, loss = recording.layout, recording.steps, recording.loss
    form = f"a projection on {layout.sketch} coordinates" if layout.sketch is not None else str(layout.dtype)
    given = loss[np.isfinite(loss)]
    told = f"; the loss that was reported goes from {given[0]:.4g} to {given[-1]:.4g}" if given.size else ""
    size = sum(math.prod(entry.shape) for entry in layout.parameters) if layout.sketch is None else layout.sketch
    message = f"{len(recording)} points of steps {steps[0]} to {steps[-1]}, each {size:,} numbers ({form}){told}."
    common = {"record": str(recording.path), "guarantee": None, "status": "RECORDED", "message": message, "cost": None}
    kept = {"kind": "trajectory", "points": len(recording), "steps": steps.tolist(), "loss": loss.tolist()}
    rest = {"learning_rate": recording.learning_rate.tolist(), "about": recording.about, "notes": list(recording.notes)}
    text = [message, *(f"     {name}  {value}" for name, value in recording.about.items() if value is not None)]
    text += [f"     note  {note}" for note in recording.notes]
    text.append(f"thalweg trajectory SUBJECT --run {recording.path} follows it on the subject that was trained")
    return finite({**common, "seconds": 0.0, **kept, **rest}), "\n".join(text)


def list_zoo() -> tuple[dict[str, Any], str]:
    """Every subject of the zoo with its parameters and its first line of documentation."""
    subjects = [
        {
            "name": name,
            "parameters": {
                p.name: None if p.default is p.empty else _plain(p.default)
                for p in inspect.signature(fn).parameters.values()
                if p.name not in ("seed", "dtype")
            },
            "about": (inspect.getdoc(fn) or "").splitlines()[0],
        }
        for name, fn in zoo.SUBJECTS.items()
    ]
    width = max(len(s["name"]) for s in subjects)
    text = "\n".join(f"{s['name']:{width}}  {s['about']}" for s in subjects)
    common = {
        "record": None,
        "guarantee": None,
        "status": "LISTED",
        "message": f"{len(subjects)} subjects.",
        "cost": None,
    }
    return finite({**common, "seconds": 0.0, "subjects": subjects}), text


def _plain(value: Any) -> Any:
    return encode(value) if isinstance(value, (str, int, float, bool, tuple, list, type(None))) else str(value)
