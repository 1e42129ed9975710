"""The tensors that a module or callable holds, which are constants along a segment."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from thalweg.core.tree import leaves

DEPTH = 6
"""How far is looked: a partial of a method of an object that holds a list of them is within reach."""


def constants(held: Any) -> list[Tensor]:
    """Parameters, buffers, attributes, bound arguments and what closures captured."""
    return list(_search(held, DEPTH, set()))


def _search(held: Any, depth: int, met: set[int]) -> Iterator[Tensor]:
    if isinstance(held, Tensor):
        yield held
    elif depth and id(held) not in met and not isinstance(held, type) and not inspect.ismodule(held):
        met.add(id(held))
        for item in _inside(held):
            yield from _search(item, depth - 1, met)


def _inside(held: Any) -> Iterable[Any]:
    if isinstance(held, Mapping):
        return list(held.values())
    if isinstance(held, (tuple, list)):
        return held
    if isinstance(held, nn.Module):
        return [x for layer in held.modules() for value in vars(layer).values() for _, x in leaves(value)]
    if isinstance(held, functools.partial):
        return (held.func, held.args, held.keywords)
    if inspect.ismethod(held):
        return (held.__self__, held.__func__)
    if inspect.isfunction(held):
        return [] if (held.__module__ or "").startswith("torch.") else _captured(held)
    return list(vars(held).values()) if hasattr(held, "__dict__") else []


def _captured(fn: Callable[..., Any]) -> list[Any]:
    try:
        found = inspect.getclosurevars(fn)
    except (TypeError, ValueError):
        return []
    return [*found.nonlocals.values(), *found.globals.values(), fn.__defaults__, fn.__kwdefaults__]
