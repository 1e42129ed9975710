"""The vmapped forward pass through torch.compile; opt-in, for compiling takes seconds and a C compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from thalweg.core.backends.base import Work, over_points
from thalweg.core.backends.vmap import Vmap
from thalweg.core.data import Table


class Compiled(Vmap):
    """As :class:`Vmap`, one compiled function per loss and metric list."""

    name: ClassVar[str] = "compiled"

    def _map(self, work: Work, fn: Callable[[Tensor, Table], Tensor], thetas: Tensor, block: Table) -> Tensor:
        def at(given: Tensor) -> Tensor:
            return over_points(work, fn, given, block)

        compiled: Any = torch.compile(at, dynamic=False)
        found: Tensor = compiled(thetas)
        return found
