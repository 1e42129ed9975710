"""One operation of torch as a rule sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from thalweg.paths.align.axes import ONE, Expr, found
from thalweg.paths.align.axes import unify as tie

Axes = list[Expr]


@dataclass(frozen=True)
class Call:
    """One operation: the axes of any tensor, the arguments by name, and what it returned."""

    axes: Callable[[Tensor], Axes]
    args: dict[str, Any]
    outputs: list[Tensor]

    def __getitem__(self, name: str) -> Any:
        return self.args.get(name)

    def of(self, *names: str) -> list[Axes]:
        """The axes of the tensors among these arguments that were given."""
        return [self.axes(self.args[n]) for n in names if isinstance(self.args.get(n), Tensor)]

    @property
    def first(self) -> Axes:
        """The axes of the first tensor."""
        return self.axes(next(tensors(self.args)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first output."""
        return tuple(self.outputs[0].shape)


Rule = Callable[[Call], "list[Axes] | None"]
"""The axes of the outputs, in order; those left out are fixed. None where the operation is not understood."""


def tensors(tree: Any) -> Iterator[Tensor]:
    """Every tensor in nested arguments, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from tensors(value)
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from tensors(value)


def bound(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by their names in the operation's schema, defaults included."""
    names = [a.name for a in func._schema.arguments]
    defaults = {a.name: a.default_value for a in func._schema.arguments if a.has_default_value()}
    return {**defaults, **dict(zip(names, args, strict=False)), **kwargs}


def broadcast(given: Sequence[Axes], ndim: int) -> Axes:
    """The axes that operands share, aligned from the last; an operand of one entry ties nothing."""
    axes: Axes = []
    for back in range(ndim, 0, -1):
        here = [a[-back] for a in given if len(a) >= back and found(a[-back]).size != 1]
        for other in here[1:]:
            tie(here[0], other)
        axes.append(found(here[0]) if here else ONE)
    return axes
