"""How long rank 0 waits for a rank that says nothing."""

from __future__ import annotations

import os
from contextlib import suppress

from thalweg.errors import InputError

VARIABLE = "THALWEG_PATIENCE"
"""The environment variable that says how long rank 0 waits for another rank."""

LONGEST = 1e8
"""Seconds, three years: what torch can wait for has an end."""


def patience() -> float | None:
    """Seconds that rank 0 waits for another rank, from ``THALWEG_PATIENCE``; None for ever, as without it.

    Raises
    ------
    InputError
        If it is no positive number.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        return None
    with suppress(ValueError):
        if 0 < (seconds := float(text)) < LONGEST:
            return seconds
    raise InputError(f"{VARIABLE}={text[:40]}: give the seconds after which a rank counts as hung, such as 600")
