"""Carrying out a request: the one door from a face to the work."""

from __future__ import annotations

import time
from typing import Any

from thalweg.errors import InputError
from thalweg.exec.roles import together
from thalweg.exec.rows import shared_rows
from thalweg.study.atlas import draw
from thalweg.study.commands import single
from thalweg.study.request import Request
from thalweg.study.threads import set_threads
from thalweg.study.topology import basins


def perform(request: Request, *, values: bool = False) -> tuple[dict[str, Any], str]:
    """The JSON object of a request and the text for a terminal.

    Raises
    ------
    ThalwegError
        For anything that cannot be done, before anything is written.
    """
    clock = time.perf_counter()
    set_threads(request.threads)
    by_rows = request.split == "rows"
    if by_rows and request.command in ("topology", "atlas"):
        raise InputError(f"--split rows: {request.command} needs all rows in one process; use --split points")
    with shared_rows() if by_rows else together():
        if request.command == "topology":
            return basins(request, clock, values)
        return draw(request, clock) if request.command == "atlas" else single(request, clock, values)
    return {}, ""  # of a rank that evaluated its rows for rank 0, which answers
