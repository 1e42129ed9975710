"""What ranks tell each other: a JSON header and named arrays, through torch.distributed's key-value store."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

PART = 4 << 20
"""Bytes of one value in the store, whose server closes the connection at 8 MiB."""

POLL_SECONDS = 0.01
"""The longest time between two looks at a key. A blocking wait would hold the client's lock, and warn when it ends."""


class Store(Protocol):
    """What is used of ``torch.distributed.Store``."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""

    def get(self, key: str) -> bytes:
        """The value of a key that is there."""

    def check(self, keys: list[str]) -> bool:
        """Whether all keys are there."""

    def add(self, key: str, value: int) -> int:
        """Add to a counter and return it; no two callers see the same."""

    def delete_key(self, key: str) -> bool:
        """Forget a key."""


def packed(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """One message as bytes; every bit of a value stays."""
    whole = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
    listed = [[name, array.dtype.str, list(array.shape)] for name, array in whole.items()]
    head = json.dumps([header, listed]).encode()
    return b"".join([len(head).to_bytes(8, "little"), head, *(array.tobytes() for array in whole.values())])


def unpacked(message: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays of a message, which may be written to."""
    at = 8 + int.from_bytes(message[:8], "little")
    header, listed = json.loads(message[8:at])
    arrays = {}
    for name, dtype, shape in listed:
        count = math.prod(shape)
        arrays[name] = np.frombuffer(message, dtype, count, at).reshape(shape).copy()
        at += arrays[name].nbytes
    return header, arrays


def send(
    store: Store, key: str, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
) -> None:  # fmt: skip
    """Put a message under a key; it is there when all of it is."""
    message = packed(header, arrays or {})
    parts = range(0, len(message), PART)
    for i, start in enumerate(parts):
        store.set(f"{key}/{i}", message[start : start + PART])
    store.set(key, str(len(parts)))


def receive(store: Store, key: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The message under a key, which is there."""
    return unpacked(b"".join(store.get(f"{key}/{i}") for i in range(int(store.get(key)))))


def forget(store: Store, key: str) -> None:
    """Remove a message."""
    count = int(store.get(key))
    for name in (key, *(f"{key}/{i}" for i in range(count))):
        store.delete_key(name)


def await_key(store: Store, key: str, stop: Callable[[], bool] = lambda: False) -> bool:
    """Wait until a key is there, looking more and more rarely; False where ``stop`` said so first."""
    pause = POLL_SECONDS / 16
    while not store.check([key]):
        if stop():
            return False
        time.sleep(pause)
        pause = min(2 * pause, POLL_SECONDS)
    return True
