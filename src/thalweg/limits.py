"""How much a file that is read may ask for, said before anything is allocated.

What lies plain in a file (checkpoints, arrays of a study) may take as much memory as the file takes of the disk.
What grows when it is read (compressed members, sparse files, HDF5 data sets that were never written) may take at most
``most_bytes()``, and a text such as JSON the 32nd part of it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thalweg.errors import InputError, LimitError

MOST_BYTES = 2**31
"""The limit where none is given."""

VARIABLE = "THALWEG_MAX_BYTES"
"""The environment variable that gives another."""

TEXT_SHARE = 32
"""A text may have one part in so many of the limit: parsed, it takes many times its length."""

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"([0-9]{1,18})\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_given: list[int] = []


def most_bytes() -> int:
    """The limit in bytes: that of :func:`at_most`, else of ``THALWEG_MAX_BYTES``, else 2 GiB.

    Raises
    ------
    InputError
        If the environment variable holds no size.
    """
    if _given:
        return _given[-1]
    text = os.environ.get(VARIABLE)
    return MOST_BYTES if text is None else size(text, VARIABLE)


@contextmanager
def at_most(limit: int | str) -> Iterator[None]:
    """Read with another limit: bytes, or a text such as ``"8GiB"``; what ``thalweg --max-bytes`` does.

    Raises
    ------
    InputError
        If it is no size.
    """
    _given.append(size(str(limit), "limit"))
    try:
        yield
    finally:
        _given.pop()


def size(text: str, name: str) -> int:
    """Bytes from a text such as ``"512MiB"``, ``"8G"`` or ``"1000000"``; units are powers of 1024.

    Raises
    ------
    InputError
        If it is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{name}={text[:40]}: write a number of bytes, such as 2147483648, 512MiB or 8GiB")
    return int(found[1]) * _UNITS[found[2].upper()]


def stored_bytes(path: Path) -> int:
    """How much of a regular file is there: holes of a sparse file are not counted.

    Raises
    ------
    LimitError
        If it is no regular file: a pipe or a device has no end.
    OSError
        If it cannot be looked at.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise LimitError(f"{path} is no regular file: give a file that ends, no pipe, device or folder")
    blocks = getattr(found, "st_blocks", None)  # in units of 512 bytes; systems other than POSIX do not say
    return found.st_size if blocks is None else min(found.st_size, 512 * blocks)


def afford(path: Path, promised: int, stored: int) -> None:
    """Refuse what would take more memory than is stored and than the limit allows.

    Raises
    ------
    LimitError
        With both sizes.
    """
    most = most_bytes()
    if promised > max(stored, most):
        raise LimitError(
            f"{path} asks for {promised:,} bytes and holds {stored:,}: it is damaged or a trap; to read more than "
            f"{most:,} bytes from it all the same, give --max-bytes ({VARIABLE}, limits.at_most)"
        )


def whole(path: Path) -> None:
    """Refuse a file that is no regular one, or is mostly holes and longer than the limit, before it is read.

    Raises
    ------
    LimitError
        If it is.
    OSError
        If it cannot be looked at.
    """
    afford(path, path.stat().st_size, stored_bytes(path))


def read_text(path: Path) -> str:
    """A text in UTF-8 that is no longer than its share of the limit.

    Raises
    ------
    LimitError
        If it is longer, or no regular file.
    OSError, ValueError
        If it cannot be read, or is no UTF-8.
    """
    stored_bytes(path)
    most, length = most_bytes() // TEXT_SHARE, path.stat().st_size
    if length > most:
        raise LimitError(
            f"{path} is a text of {length:,} bytes, and {most:,} are read: give --max-bytes {TEXT_SHARE * length}"
        )
    with path.open("rb") as file:
        return file.read(length).decode("utf-8")


def read_json(path: Path) -> Any:
    """The JSON of a file, within the limit of texts.

    Raises
    ------
    LimitError
        If it is longer, or no regular file.
    OSError, ValueError
        If it cannot be read, or is no JSON.
    """
    return parsed(read_text(path))


def parsed(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises
    ------
    ValueError
        If it is none, or is nested more deeply than can be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
