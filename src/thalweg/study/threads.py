"""How many CPU threads a command may use."""

from __future__ import annotations

import torch

from thalweg.errors import InputError

MOST = 4096
"""More than any machine has; PyTorch would begin so many."""


def set_threads(count: int | None) -> None:
    """Let PyTorch use so many threads; None leaves it its own choice.

    Raises
    ------
    InputError
        If that is no number of threads.
    """
    if count is None:
        return
    if not 1 <= count <= MOST:
        raise InputError(f"--threads {count}: give a number between 1 and {MOST}")
    torch.set_num_threads(count)
