"""Whole or not at all: how files reach the disk, and what is said when they cannot."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from thalweg.errors import StoreError


def unbroken(write: Callable[[], None]) -> None:
    """Call ``write`` in a thread of its own and wait until it is through, also where this thread is interrupted.

    zarr writes in threads that outlive an interrupt of the one that waits for them: what is cleaned up behind them
    would be made again.
    """
    with ThreadPoolExecutor(1) as writer:
        writer.submit(write).result()


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Turn a failure of the file system into one line.

    Raises
    ------
    StoreError
        With the path and what the system said.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path}: {error.strerror or error}; free space or permissions, then the same command with --resume"
        ) from error


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's entries, out of the page cache.

    A process that is killed loses nothing that it wrote; a machine that loses power does. What the ledger
    calls done is therefore forced out before the ledger says so.
    """
    if os.name != "posix":  # elsewhere a folder cannot be opened, nor a file be forced out by a reader
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some file systems know no fsync of folders, and order renames by themselves
            raise
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Force out every file and folder below and including ``folder``."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def commit(partial: Path, path: Path) -> None:
    """Rename a file or a folder that is whole and forced out to its place; the rename is forced out too."""
    partial.replace(path)
    sync(path.parent)


def digest(path: Path) -> str:
    """The blake2b digest of a file's bytes; 32 hexadecimal digits."""
    found = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def prune(folder: Path, top: Path) -> None:
    """Remove ``folder`` and those above it, up to and including ``top``, as long as they are empty."""
    for path in (folder, *folder.parents):
        if not path.is_relative_to(top) or (path.is_dir() and any(path.iterdir())):
            return
        with suppress(FileNotFoundError):
            path.rmdir()
