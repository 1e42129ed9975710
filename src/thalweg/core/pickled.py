"""The pickle of a checkpoint, followed without being carried out: what would take for ever, or all memory, is refused.

PyTorch's reader of weights runs no code, but a pickle can still name one tuple twice in the next, again and again: 60
such instructions make a key of a dictionary whose hash takes 2⁶⁰ steps. Here every instruction is followed with sizes
in place of values.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from thalweg import limits
from thalweg.errors import LimitError

DEPTH = 100
"""Tuples may lie in one another so deep; hashing them recurs."""

SPARE = 10**6
"""How much larger than the instructions that made them the keys of all dictionaries together may be, when unfolded."""

ENCODINGS = (None, "latin1", "utf-8", "ascii")
"""How a text may be turned into bytes; pickle itself writes ``latin1``, and others of Python's can take for ever."""


@dataclass(slots=True)
class _Item:
    """What stands for a value: the steps of hashing it, how deep tuples lie in it, and the value of a plain one.

    The steps of a list or dictionary are those of what it holds, which are taken when a set is made of it.
    """

    steps: int = 1
    depth: int = 0
    value: Any = None


def follow(path: Path, file: IO[bytes]) -> Iterator[int]:
    """Every whole number that one pickle writes, while it is followed to its end or to what is no pickle.

    Raises
    ------
    LimitError
        If it has tuples that unfold to more than its instructions can have made, are nested too deeply, or asks for
        more bytes than the file holds.
    """
    machine, numbers = _Machine(path), pickletools.genops(file)
    while True:
        try:
            opcode, argument, _ = next(numbers)
            machine.step(opcode.name, argument)
        except LimitError:
            raise
        except Exception:  # its end, or bytes that fail in any way: PyTorch says what they are
            return
        if isinstance(argument, int):
            yield argument


class _Machine:
    """The stack of a pickle, of the instructions that PyTorch's reader of weights knows."""

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.hashed = path, 0, 0
        self.stack: list[_Item] = []
        self.below: list[list[_Item]] = []
        self.memo: dict[int, _Item] = {}

    def step(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        self.count += 1
        if name == "MARK":
            self.below.append(self.stack)
            self.stack = []
        elif name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            self._push(self._tuple(self._marked() if name == "TUPLE" else self._pop(int(name[5:]))))
        elif name in ("APPEND", "APPENDS"):
            items = self._marked() if name == "APPENDS" else self._pop(1)
            self.stack[-1].steps += sum(item.steps for item in items)
        elif name in ("SETITEM", "SETITEMS"):
            steps = sum(key.steps for key in (self._marked() if name == "SETITEMS" else self._pop(2))[::2])
            self.stack[-1].steps += steps
            self._hash(steps)
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, called = self._pop(1)[0], self._pop(1)[0]
            self._hash(arguments.steps)
            self._called(called.value, arguments.value)
            self._push(_Item())
        elif name in ("BUILD", "BINPERSID"):
            self._pop(1)
            if name == "BINPERSID":
                self._push(_Item())
        elif name in ("BINGET", "LONG_BINGET"):
            self._push(self.memo[argument])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name == "STOP":
            self._pop(1)
        elif name != "PROTO":
            self._push(_Item(value=argument))

    def _push(self, item: _Item) -> None:
        self.stack.append(item)

    def _pop(self, count: int) -> list[_Item]:
        if len(self.stack) < count:
            raise ValueError("the stack of the pickle is empty")
        found = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return found

    def _marked(self) -> list[_Item]:
        found, self.stack = self.stack, self.below.pop()
        return found

    def _tuple(self, items: list[_Item]) -> _Item:
        steps, depth = 1 + sum(item.steps for item in items), 1 + max((item.depth for item in items), default=0)
        if steps > self.count + SPARE or depth > DEPTH:
            raise LimitError(
                f"{self.path} holds tuples that unfold to {steps:.2g} values, {depth} deep, from {self.count:,} "
                "instructions: it is damaged or a trap; save model.state_dict() or safetensors"
            )
        return _Item(steps, depth, tuple(item.value for item in items))

    def _hash(self, steps: int) -> None:
        self.hashed += steps
        if self.hashed > 100 * self.count + SPARE:
            raise LimitError(
                f"{self.path} has keys that unfold to {self.hashed:.2g} values from {self.count:,} instructions: it is "
                "damaged or a trap; save model.state_dict() or safetensors"
            )

    def _called(self, called: Any, arguments: Any) -> None:
        if not isinstance(called, str) or not isinstance(arguments, tuple):
            return
        name, first = called.rpartition(" ")[2], arguments[0] if arguments else None
        if name == "bytearray" and isinstance(first, int):
            limits.afford(self.path, first, limits.stored_bytes(self.path))
        if called == "_codecs encode" and (arguments[1:] or (None,))[0] not in ENCODINGS:
            raise LimitError(f"{self.path} asks for the encoding {arguments[1]!r}: save model.state_dict() again")
