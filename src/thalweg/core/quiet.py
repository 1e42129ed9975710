"""What torch is kept from while many points are evaluated at once: a warning, and a form without a derivative."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def unbatched_nodes() -> Iterator[None]:
    """Inside, torch does not warn that an operation without a batching rule runs in a loop."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*performance drop.*")
        yield


@contextmanager
def differentiable_attention() -> Iterator[None]:
    """Inside, torch's encoder layers run their plain form: under vmap they would take one without a derivative."""
    kept = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(kept)
