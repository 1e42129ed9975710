"""Silence for one warning of torch that says nothing about correctness."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unbatched_nodes() -> Iterator[None]:
    """Inside, torch does not warn that an operation without a batching rule runs in a loop."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*performance drop.*")
        yield
