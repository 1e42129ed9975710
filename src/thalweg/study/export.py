"""A kept record as a file of another program."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from thalweg import export as files
from thalweg.errors import InputError
from thalweg.study import kept
from thalweg.study.faces import answer


def export_record(
    source: str, out: str, *, record: str | None = None, format: str | None = None
) -> tuple[dict[str, Any], str]:
    """Write a kept record as a file of another program; the JSON object and the text of ``thalweg export``.

    Raises
    ------
    InputError, StoreError
        If there is no such record or format, or the file cannot be written.
    """
    clock = time.perf_counter()
    if not kept.is_kept(source):
        raise InputError(f"{source} holds no record: give a study directory, a record, or a file ({kept.FILES_SAID})")
    name, found = kept.one(source, record)
    with kept.believed(source):
        path = files.save(found, Path(out), format)
        said = {**answer(found, path=source, seconds=0.0), "kind": found.record_type, "file": str(path)}
    said |= {"bytes": path.stat().st_size, "seconds": time.perf_counter() - clock}
    return said, f"{name}: {found.summary}\nwritten to {path} ({path.stat().st_size:,} bytes)"
