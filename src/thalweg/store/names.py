"""Names of plans, records, files and arrays, and where they lie on a disk."""

from __future__ import annotations

import re
from urllib.parse import quote

from thalweg.errors import InputError

_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_NAME = re.compile(rf"{_PART}(/{_PART})*")
_OWN = ("records", "work", "study.json", "ledger.sqlite")


def named(name: str) -> str:
    """A plan's or record's name as it is: parts of letters, digits, '.', '_' and '-', joined by '/'.

    Raises
    ------
    InputError
        For any other name, so that none leads out of the study's directory or into another's group.
    """
    if len(name) > 200 or not _NAME.fullmatch(name) or any(part.endswith(".zarr") for part in name.split("/")):
        raise InputError(
            f"{name[:80]!r} is no name within a study: use at most 200 letters, digits, '.', '_' and '-', "
            "in parts joined by '/', none of which begins with '.' or '-' or ends with '.zarr'"
        )
    return name


def filed(name: str) -> str:
    """A file's name as it is; the same rule, and none of the names that the store itself uses.

    Raises
    ------
    InputError
        For a name of another form, or one that is taken.
    """
    first = named(name).partition("/")[0]
    if any(first == own or first.startswith(f"{own}-") for own in _OWN):  # SQLite adds -wal, -shm and -journal
        raise InputError(f"{name!r} is a name that the store itself uses: give the file another one")
    return name


def node(name: str) -> str:
    """The folder of an array within its zarr group: its name, with what zarr would take for a path escaped.

    Metrics are named by their author ('acc/train', 'top 5'), so any name must do. ``quote`` leaves letters,
    digits and '_.-~'; a leading '.' or '_' or the group's own file name would still mean something to zarr.
    """
    safe = quote(name, safe=" @+=()")
    if not safe or safe[0] in "._ " or safe == "zarr.json":
        return f"%{ord(safe[0]):02X}{safe[1:]}" if safe else "%"
    return safe
