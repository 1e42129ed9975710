"""Nested tuples, lists and dicts of tensors: the shapes that inputs, targets and outputs come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

Tree = Any
"""A tensor, or a tuple, list or mapping of trees; other leaves are passed through unchanged."""


def tree_map(fn: Callable[[Tensor], Any], tree: Tree) -> Tree:
    """``fn`` on every tensor; containers and every other leaf as they are."""
    if isinstance(tree, Tensor):
        return fn(tree)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(tree_map(fn, item) for item in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(tree_map(fn, item) for item in tree)
    if isinstance(tree, Mapping):
        return {key: tree_map(fn, item) for key, item in tree.items()}
    return tree


def leaves(tree: Tree, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor with its place, such as ``inputs['ids']`` or ``inputs[0]``."""
    if isinstance(tree, Tensor):
        yield name, tree
    elif isinstance(tree, (tuple, list)):
        for i, item in enumerate(tree):
            yield from leaves(item, f"{name}[{i}]")
    elif isinstance(tree, Mapping):
        for key, item in tree.items():
            yield from leaves(item, f"{name}[{key!r}]")


def stack_rows(rows: list[Tree], join: Callable[[list[Tensor]], Tensor]) -> Tree:
    """Equal trees joined leaf by leaf, for example with torch.stack or torch.cat."""
    first = rows[0]
    if isinstance(first, Tensor):
        return join(rows)
    if isinstance(first, (int, float, bool)):
        return torch.tensor(rows)
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(stack_rows([row[i] for row in rows], join) for i in range(len(first))))
    if isinstance(first, (tuple, list)):
        return type(first)(stack_rows([row[i] for row in rows], join) for i in range(len(first)))
    if isinstance(first, Mapping):
        return {key: stack_rows([row[key] for row in rows], join) for key in first}
    return torch.as_tensor(rows)
