"""What a step of a stacked network computes: a value shared by all points, or one value per point.

A shared value is whatever the module itself would see. A :class:`Stack` holds S of them. Before the coefficients
of a subspace are known a stack can still be affine in them: its S members are then a constant and one part per
direction, and every linear step keeps it so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor


class Late(Exception):
    """A step needs one value per point and the coefficients are not known yet."""


class Layout(Enum):
    """Where the stack's axis lies; n is the row."""

    FEATURES = "[S, F, n] for a natural [n, F]: products and class-major losses run without a copy"
    IMAGES = "[n, S, C, H, W] for a natural [n, C, H, W]: one convolution in S groups"
    ROWS = "[S, n, …], as the module sees it"


@dataclass(frozen=True, slots=True)
class Stack:
    """S values. ``which`` is None for one value per point, else the directions that members 1 to S − 1 belong to."""

    data: Tensor
    layout: Layout = Layout.ROWS
    which: tuple[int, ...] | None = None

    @classmethod
    def of(cls, natural: Tensor, which: tuple[int, ...] | None = None) -> Stack:
        """From [S, n, …], as a view in the layout that suits its rank."""
        if natural.ndim == 3:
            return cls(natural.transpose(1, 2), Layout.FEATURES, which)
        if natural.ndim == 5:
            return cls(natural.transpose(0, 1), Layout.IMAGES, which)
        return cls(natural, Layout.ROWS, which)

    @property
    def natural(self) -> Tensor:
        """[S, n, …], a view."""
        if self.layout is Layout.FEATURES:
            return self.data.transpose(1, 2)
        if self.layout is Layout.IMAGES:
            return self.data.transpose(0, 1)
        return self.data

    @property
    def axis(self) -> int:
        """The axis of the stack in ``data``."""
        return 1 if self.layout is Layout.IMAGES else 0

    @property
    def size(self) -> int:
        """S."""
        return self.data.shape[self.axis]

    def like(self, data: Tensor) -> Stack:
        """Other data in the same layout, affine in the same directions."""
        return Stack(data, self.layout, self.which)

    def at(self, weights: Tensor) -> Stack:
        """One value per point: the constant plus the parts weighted by ``weights`` [B, m].

        Part by part and elementwise: a matrix product would round a point differently depending on how many
        others it shares a chunk with.
        """
        shape = [1] * self.data.ndim
        shape[self.axis] = len(weights)
        constant, *parts = self.data.split(1, self.axis)
        if not parts:
            sizes = list(self.data.shape)
            sizes[self.axis] = len(weights)
            return Stack(constant.expand(sizes), self.layout)
        found = torch.addcmul(constant, weights[:, 0].reshape(shape), parts[0])
        for j, part in enumerate(parts[1:], 1):
            found.addcmul_(weights[:, j].reshape(shape), part)
        return Stack(found, self.layout)


Value = Any
"""A :class:`Stack`, or anything that all points share: a tensor, a number, a tree of them."""


def fixed(value: Value) -> Value:
    """The value itself, unless it is affine in coefficients that are not known yet.

    Raises
    ------
    Late
        If it is.
    """
    if isinstance(value, Stack) and value.which is not None:
        raise Late
    return value


def mapped(fn: Callable[[Any], Any], tree: Any) -> Any:
    """``fn`` on every leaf of nested tuples, lists, dicts and slices."""
    if isinstance(tree, tuple):
        items = [mapped(fn, item) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else tuple(items)
    if isinstance(tree, list):
        return [mapped(fn, item) for item in tree]
    if isinstance(tree, dict):
        return {key: mapped(fn, item) for key, item in tree.items()}
    if isinstance(tree, slice):
        return slice(mapped(fn, tree.start), mapped(fn, tree.stop), mapped(fn, tree.step))
    return fn(tree)


def stacks_in(tree: Value) -> list[Stack]:
    """Every stack of a tree, in order."""
    found: list[Stack] = []
    mapped(lambda v: found.append(v) if isinstance(v, Stack) else None, tree)
    return found


def laid(value: Tensor, layout: Layout) -> Tensor:
    """A shared value [n, …] with a stack axis of length 1 in a layout."""
    if layout is Layout.FEATURES:
        return value.T.unsqueeze(0)
    return value.unsqueeze(1 if layout is Layout.IMAGES else 0)


def lifted(value: Tensor, *partners: Value) -> Stack:
    """A shared value as a stack of one, of the same kind (affine or one per point) as the stack it will meet."""
    affine = any(isinstance(p, Stack) and p.which is not None for p in partners)
    return Stack.of(value.unsqueeze(0), () if affine else None)


def summed(a: Stack, b: Stack) -> Stack:
    """The sum of two in one layout; members that one of them lacks are zero."""
    if a.which == b.which:
        return Stack(a.data + b.data, a.layout, a.which)
    if a.which is None or b.which is None:
        raise Late
    which = tuple(sorted({*a.which, *b.which}))
    return Stack(_widened(a, which) + _widened(b, which), a.layout, which)


def _widened(value: Stack, which: tuple[int, ...]) -> Tensor:
    own = value.which or ()
    if own == which:
        return value.data
    shape = list(value.data.shape)
    shape[value.axis] = 1 + len(which)
    place = torch.tensor([0, *(1 + which.index(j) for j in own)], device=value.data.device)
    return value.data.new_zeros(shape).index_copy_(value.axis, place, value.data)


def product_of(a: Stack, b: Stack) -> tuple[int, ...] | None:
    """The directions of a product.

    Raises
    ------
    Late
        If both factors depend on the coefficients, so that the product is not affine in them.
    """
    if a.which == () or b.which == ():
        return b.which if a.which == () else a.which
    if a.which is None and b.which is None:
        return None
    raise Late
