"""The vmapped forward pass through torch.compile; opt-in, for compiling takes seconds and a C compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from thalweg.core.backends.vmap import Vmap


class Compiled(Vmap):
    """As :class:`Vmap`, one compiled function per loss and metric list."""

    name: ClassVar[str] = "compiled"

    def _map(self, fn: Callable[[Tensor], Tensor], chunk: Tensor) -> Tensor:
        compiled: Any = torch.compile(torch.func.vmap(fn), dynamic=False)
        found: Tensor = compiled(chunk)
        return found
