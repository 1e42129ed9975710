"""Watching a computation run, to know the degree in t of every tensor it makes.

A segment moves some tensors affinely in t. The computation is run once, and every operation tells its result's
degree from its arguments' (an abstract interpretation over the degrees): what comes out is an upper bound that
holds at every t, because an operation whose result is no polynomial, that reads values, or that brings in a
tensor from elsewhere, ends the watch with a reason. One layer of ReLUs on an affine argument may be let through.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from thalweg.core.exact import rules
from thalweg.core.exact.form import NotExactError
from thalweg.core.tree import Tree, leaves


@dataclass(frozen=True)
class Kinks:
    """What leads from a layer of kinks to the outputs: outputs = weight·φ(h) + bias, row by row.

    ``h`` [n, …] is what enters the layer and φ has the slope ``below`` left of zero and 1 right of it.
    ``weight`` [K, W] and ``bias`` [K] belong to the linear layer after it and are None before it.
    """

    h: Tensor
    below: float
    layer: str
    scale: float = 1.0
    weight: Tensor | None = None
    bias: Tensor | None = None


@dataclass(frozen=True)
class _Seen:
    tensor: Tensor  # held, so that its id is not given to another
    version: int
    degree: int
    kinks: Kinks | None


class Watch(TorchFunctionMode):
    """Inside, every operation is watched; ``where`` names the part of F that runs."""

    def __init__(self, where: str, *, kinks: bool = False) -> None:
        super().__init__()
        self.where = where
        self.layers: list[str] = []
        self.refused: NotExactError | None = None
        self._kinks = kinks
        self._kinked: str | None = None
        self._seen: dict[int, _Seen] = {}

    def know(self, tree: Tree, degree: int = 0, kinks: Kinks | None = None) -> None:
        """The tensors of a tree have this degree in t."""
        for _, x in leaves(tree):
            self._seen[id(x)] = _Seen(x, _version(x), degree, kinks)

    def degree(self, tree: Tree) -> int:
        """The largest degree in a tree of tensors that are known."""
        return max((self._find(x).degree for _, x in leaves(tree)), default=0)

    def kinks(self, tree: Tree) -> Kinks | None:
        """The kinks that the only tensor of a tree depends on, or None."""
        found = [self._find(x).kinks for _, x in leaves(tree)]
        if any(k is not None for k in found) and not isinstance(tree, Tensor):
            raise self._refuse("the outputs after a layer of kinks are more than one tensor")
        return found[0] if found else None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Find the degree, run the operation, remember the result."""
        kwargs = kwargs or {}
        given = [x for _, x in leaves((args, kwargs))]
        seen = [self._find(x) for x in given]
        if func in rules.METADATA:
            return func(*args, **kwargs)
        if func in rules.ALIASES:
            raise self._refuse(f"{_name(func)} in {self.place} shares memory unseen")
        degree, kinks = 0, None
        if any(s.kinks is not None for s in seen):
            degree, kinks = 1, self._after(func, args, kwargs)
        elif any(s.degree for s in seen):
            degree, kinks = self._moved(func, args, kwargs)
        result = func(*args, **kwargs)
        made = [x for _, x in leaves(result)]
        if given and not made and func is not Tensor.__setitem__:
            raise self._refuse(f"{_name(func)} in {self.place} reads the values of a tensor")
        if degree and any(x.dtype != torch.float64 for x in made):
            raise self._refuse(f"{_name(func)} in {self.place} leaves float64")
        self.know(made, degree, kinks)
        if func is Tensor.__setitem__:
            self.know(args[0], degree, kinks)
        return result

    @property
    def place(self) -> str:
        """The layer that runs, or else the part of F."""
        return f"layer {self.layers[-1]!r}" if self.layers else self.where

    def _moved(self, func: Any, args: Any, kwargs: Any) -> tuple[int, Kinks | None]:
        """The degree of an operation on something that moves, and the kinks it makes."""
        for name in ("alpha", "beta", "value", "out"):
            if isinstance(kwargs.get(name), Tensor):
                raise self._refuse(f"{_name(func)} in {self.place} has a tensor for {name}")
        below = rules.slope(func, args, kwargs)
        if below is not None and self._kinks:
            x = args[0] if args else kwargs["input"]
            if self._kinked is not None:
                raise self._two_layers()
            if self.degree(x) > 1:
                raise self._refuse(f"what enters the kinks of {self.place} has degree {self.degree(x)} in t, above 1")
            self._kinked = self.place
            return 1, Kinks(x.detach().clone(), below, self.place)
        rule = rules.RULES.get(func)
        degree = None if rule is None else rule(self.degree, args, kwargs)
        if degree is None:
            raise self._refuse(f"{_name(func)} in {self.place} is no polynomial of what moves")
        return degree, None

    def _after(self, func: Any, args: Any, kwargs: Any) -> Kinks | None:
        """The kinks after an operation on what depends on them: reshaping, scaling and one linear layer."""
        if rules.slope(func, args, kwargs) is not None:
            raise self._two_layers()
        first = args[0] if args else None
        kinks = self._find(first).kinks if isinstance(first, Tensor) else None
        others = [x for _, x in leaves((args[1:], kwargs))]
        if kinks is not None and not any(self._find(x).kinks for x in others):
            if func in rules.RESHAPES or (func in rules.DROPOUTS and rules.RULES[func](lambda _: 1, args, kwargs)):
                return kinks
            if (func in rules.SCALINGS or func in rules.QUOTIENTS) and not kwargs:
                factor = _constant(args[1] if len(args) == 2 else None)
                if factor and not any(self._find(x).degree for x in others):
                    return _scaled(kinks, 1 / factor if func in rules.QUOTIENTS else factor)
            if kinks.weight is None and self.degree(others) <= 1:
                found = _headed(kinks, first, func, args, kwargs)
                if found is not None:
                    return found
        raise self._refuse(
            f"{_name(func)} in {self.place} is not the one linear layer that may follow the kinks of {self._kinked}"
        )

    def _find(self, x: Tensor) -> _Seen:
        if self.refused is not None:  # a forward that catches our refusal must not go on as if nothing were
            raise self.refused
        seen = self._seen.get(id(x))
        if seen is None:
            raise self._refuse(f"{self.place} uses a tensor that is neither input, parameter nor buffer")
        if seen.version != _version(x):
            raise self._refuse(f"{self.place} uses a tensor after it was changed in place")
        return seen

    def _two_layers(self) -> NotExactError:
        return self._refuse(f"{self._kinked} and {self.place} both have kinks that move")

    def _refuse(self, reason: str) -> NotExactError:
        self.refused = NotExactError(reason)
        return self.refused


def _version(x: Tensor) -> int:
    return -1 if x.is_inference() else x._version


def _constant(x: Any) -> float | None:
    if isinstance(x, Tensor):
        return float(x) if x.numel() == 1 and x.ndim == 0 and x.dtype.is_floating_point else None
    return float(x) if isinstance(x, (int, float)) and not isinstance(x, bool) else None


def _scaled(kinks: Kinks, factor: float) -> Kinks:
    if kinks.weight is None:
        return replace(kinks, scale=factor * kinks.scale)
    return replace(kinks, weight=factor * kinks.weight, bias=None if kinks.bias is None else factor * kinks.bias)


def _headed(kinks: Kinks, x: Any, func: Any, args: Any, kwargs: Any) -> Kinks | None:
    """Through the linear layer, where it acts on one row of units per row of data."""
    if x.ndim != 2 or len(x) != len(kinks.h) or x.numel() != kinks.h.numel():
        return None
    if func is torch.nn.functional.linear:
        _, weight, bias = rules.bound(("input", "weight", "bias"), args, kwargs)
    elif func in rules.PRODUCTS and len(args) == 2 and args[1].ndim <= 2:
        weight, bias = args[1].reshape(len(args[1]), -1).T, None
    else:
        return None
    return replace(kinks, weight=kinks.scale * weight.reshape(-1, x.shape[1]), bias=bias, scale=1.0)


def _name(func: Any) -> str:
    name = getattr(func, "__name__", str(func))
    return str(func.__self__.__name__ if name == "__get__" else name).strip("_")


@contextmanager
def named_layers(module: nn.Module, watch: Watch) -> Iterator[None]:
    """Inside, ``watch`` knows which layer of a module runs."""
    handles = []
    for name, layer in module.named_modules():
        if name:
            handles.append(layer.register_forward_pre_hook(lambda *_, n=name: watch.layers.append(n)))
            handles.append(layer.register_forward_hook(lambda *_: _left(watch.layers), always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _left(layers: list[str]) -> None:
    layers.pop()  # and return nothing: what a hook returns would replace the layer's output
