"""Messages of plain values and tensors between ranks, over torch.distributed's process group."""

from __future__ import annotations

import io
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
    """Messages over a process group of gloo, tensors on the CPU."""

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
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
        self._done(lambda: dist.recv(length, rank, group=self.group), rank)
        data = torch.empty(int(length), dtype=torch.uint8)
        self._done(lambda: dist.recv(data, rank, group=self.group), rank)
        return unpacked(data)

    def _done(self, work: Callable[[], Any], rank: int | None = None) -> None:
        """A transfer; where the process at its other end is gone, one line instead of a gloo traceback."""
        try:
            work()
        except RuntimeError as error:
            gone = f"rank {rank}" if rank is not None else "another rank" if self.rank == 0 else "rank 0"
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
