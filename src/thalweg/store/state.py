"""The state of a sequential method: one NumPy archive with its checksum, replaced whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.errors import DamagedError, LimitError
from thalweg.store.archive import array, members
from thalweg.store.arrays import checksum, portable
from thalweg.store.disk import commit, on_disk


def save_state(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """Replace the state at ``path``; a process that is killed leaves the old one or the new one.

    Raises
    ------
    StoreError
        If an array holds something other than numbers, or the disk refuses.
    """
    state = portable(state)
    # Names hold slashes, which an archive would take for folders: they are kept in an array of their own.
    archive: dict[str, Any] = {f"a{i}": array for i, array in enumerate(state.values())}
    archive["names"] = np.array(list(state), dtype=np.str_)
    archive["checksum"] = np.array(checksum(state))
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with on_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                np.savez(file, **archive)
                file.flush()
                os.fsync(file.fileno())
            commit(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def load_state(path: Path) -> dict[str, np.ndarray] | None:
    """The state last saved, or None where there is none.

    Raises
    ------
    DamagedError
        If it cannot be read or differs from its checksum.
    LimitError
        If it grows beyond the limit when it is unpacked, see :mod:`thalweg.limits`.
    """
    if not path.exists():
        return None
    try:
        held = {name.removesuffix(".npy"): array(content) for name, content in members(path).items()}
        kept = str(held["checksum"])
        state = {str(name): held[f"a{i}"] for i, name in enumerate(held["names"])}
    except (MemoryError, LimitError):
        raise
    except Exception as error:  # damaged bytes make the archive's readers fail in any way
        reason = " ".join(str(error).split())
        raise DamagedError(f"{path} cannot be read ({reason}): remove it to begin this part again") from error
    if checksum(state) != kept:
        raise DamagedError(f"{path} differs from its checksum: remove it to begin this part again")
    return state
