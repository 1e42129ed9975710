"""How the first process and those that hold other rows talk to each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from thalweg.errors import InputError

Message = dict[str, Any]
"""Plain values and tensors by name."""


class Channel(ABC):
    """How messages travel between the first process and the others. ``rank`` is this one's number of ``size``."""

    rank: int
    size: int

    @abstractmethod
    def tell(self, message: Message) -> None:
        """From the first process to all others."""

    @abstractmethod
    def hear(self) -> Message:
        """What the first process tells next."""

    @abstractmethod
    def send(self, message: Message) -> None:
        """To the first process."""

    @abstractmethod
    def receive(self, rank: int) -> Message:
        """What this process sends next."""


def heard(channel: Channel, rank: int) -> Message:
    """The next answer of a process.

    Raises
    ------
    InputError
        With its words, where it could not do what was asked.
    """
    found = channel.receive(rank)
    if "error" in found:
        raise InputError(f"process {rank} failed on its rows: {found['error']}")
    return found
