"""What a study was asked: ``study.json``, written once, compared on every resume."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from thalweg import __version__, limits
from thalweg.errors import LimitError, StoreError
from thalweg.records import encode
from thalweg.store.disk import on_disk, sync

SCHEMA = 2
"""The layout of a study directory that this version writes and reads."""

NAME = "study.json"
PARTIAL = f".{NAME}.partial"


def write_header(folder: Path, request: Mapping[str, Any]) -> bool:
    """Begin a study; False where another process has begun one here in the meantime."""
    versions = {"python": platform.python_version(), "numpy": np.__version__, "zarr": zarr.__version__}
    content = {"schema": SCHEMA, "thalweg": __version__, "versions": versions, "request": plain(request)}
    partial = folder / f"{PARTIAL}-{os.getpid()}"
    with on_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            sync(partial)
            try:
                os.link(partial, folder / NAME)  # unlike a rename, this refuses a name that is taken
            except FileExistsError:
                return False
            except FileNotFoundError:  # removed by a process that has ended the same study meanwhile
                if (folder / NAME).exists():
                    return False
                raise
            except OSError:  # a file system without hard links
                partial.replace(folder / NAME)
            sync(folder)
        finally:
            partial.unlink(missing_ok=True)
    return True


def read_header(folder: Path) -> dict[str, Any]:
    """The request of a study.

    Raises
    ------
    StoreError
        If the file cannot be read, or is of another schema.
    LimitError
        If it is longer than a text may be, see :mod:`thalweg.limits`.
    """
    path = folder / NAME
    try:
        kept = limits.read_json(path)
        schema, request = kept["schema"], dict(kept["request"])
    except LimitError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} cannot be read ({error}): give another directory") from error
    if schema != SCHEMA:
        raise StoreError(
            f"{folder} has schema {schema}, this version reads {SCHEMA}: read it with thalweg {kept.get('thalweg')}, "
            "or give another directory"
        )
    return request


def compare(folder: Path, kept: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    """Refuse a request that is not the one a study was begun with.

    Raises
    ------
    StoreError
        Naming the key and both values.
    """
    asked = plain(request)
    for key in sorted(set(kept) | set(asked)):
        if kept.get(key) != asked.get(key):
            raise StoreError(
                f"--out {folder} holds a study with {key}={kept.get(key)}, now {key}={asked.get(key)} is asked: "
                "repeat the first, or give another directory"
            )


def plain(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request as JSON gives it back: tuples are lists, keys are strings."""
    found: dict[str, Any] = json.loads(json.dumps(encode(request)))
    return found
