"""Messages of plain values and tensors between ranks, over torch.distributed's process group."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from thalweg.core.channel import Channel, Message
from thalweg.core.tree import tree_map
from thalweg.errors import StoreError

IDLE = timedelta(days=30)
"""How long a rank waits for rank 0, which may be at work on something else; the end of a process ends the wait."""


class Ranks(Channel):
    """Messages over a process group of gloo, tensors on the CPU.

    ``patience`` is how many seconds rank 0 waits for what it asked another rank for; None for ever.
    """

    def __init__(self, group: dist.ProcessGroup | None = None, patience: float | None = None) -> None:
        self.patience = IDLE if patience is None else timedelta(seconds=patience)
        self.group = group or dist.new_group(backend="gloo", timeout=IDLE)
        self.rank, self.size = dist.get_rank(self.group), dist.get_world_size(self.group)

    def tell(self, message: Message) -> None:
        """One broadcast of its length, one of its bytes."""
        data = packed(message)
        self._done(lambda: dist.broadcast(torch.tensor([len(data)]), 0, group=self.group))
        self._done(lambda: dist.broadcast(data, 0, group=self.group))

    def hear(self) -> Message:
        """The other side of :meth:`tell`."""
        length = torch.zeros(1, dtype=torch.int64)
        self._done(lambda: dist.broadcast(length, 0, group=self.group))
        data = torch.empty(int(length), dtype=torch.uint8)
        self._done(lambda: dist.broadcast(data, 0, group=self.group))
        return unpacked(data)

    def send(self, message: Message) -> None:
        """To rank 0."""
        data = packed(message)
        self._done(lambda: dist.send(torch.tensor([len(data)]), 0, group=self.group))
        self._done(lambda: dist.send(data, 0, group=self.group))

    def receive(self, rank: int) -> Message:
        """The other side of :meth:`send`."""
        length = torch.zeros(1, dtype=torch.int64)
        self._await(length, rank)
        data = torch.empty(int(length), dtype=torch.uint8)
        self._await(data, rank)
        return unpacked(data)

    def _await(self, into: Tensor, rank: int) -> None:
        """What a rank sends; a rank that hangs sends nothing and keeps its connection."""
        began = time.monotonic()
        try:
            work = dist.irecv(into, rank, group=self.group)
            assert work is not None
            work.wait(self.patience)
        except RuntimeError as error:
            waited = time.monotonic() - began
            if waited < self.patience.total_seconds():
                raise StoreError(f"rank {rank} is gone, and its rows with it: start the command again") from error
            raise StoreError(
                f"rank {rank} has sent nothing for {waited:.0f} s: it hangs; look there, or raise THALWEG_PATIENCE"
            ) from error

    def _done(self, work: Callable[[], Any]) -> None:
        """A transfer; where the process at its other end is gone, one line instead of a gloo traceback."""
        try:
            work()
        except RuntimeError as error:
            gone = "another rank" if self.rank == 0 else "rank 0"
            raise StoreError(f"{gone} is gone, and its rows with it: start the command again") from error


def packed(message: Message) -> Tensor:
    """A message as bytes."""
    file = io.BytesIO()
    torch.save(_on_cpu(message), file)
    return torch.frombuffer(file.getbuffer(), dtype=torch.uint8)


def unpacked(data: Tensor) -> Message:
    """The message that was packed; only plain values and tensors are read."""
    found: Message = torch.load(io.BytesIO(data.numpy()), weights_only=True)  # type: ignore[arg-type]
    return found


def _on_cpu(tree: Any) -> Any:
    """Tensors without what they are a part of, which would be written with them."""
    return tree_map(
        lambda x: x.detach().cpu().clone() if x.untyped_storage().nbytes() > x.nbytes else x.detach().cpu(), tree
    )
