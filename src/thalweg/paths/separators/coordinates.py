"""Formulas of a few variables: the sign of a coordinate, and interval arithmetic where it is zero.

With one coordinate at 0 and the others anywhere in (−∞, ∞) the formula is run on intervals: zero times anything finite
is zero, which is how a factor that vanishes takes the others with it. Bounds are rounded outwards.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from thalweg.core.function import Function
from thalweg.paths.separators.witness import Separation

MOST = 64
"""Coordinates that are tried."""


class Interval:
    """Entries between ``low`` and ``high``, float64 tensors of one shape."""

    def __init__(self, low: Tensor, high: Tensor) -> None:
        self.low, self.high = low, high

    @classmethod
    def of(cls, x: Any) -> Interval:
        """A tensor or number as itself."""
        if isinstance(x, Interval):
            return x
        value = torch.as_tensor(x, dtype=torch.float64)
        return cls(value, value)

    def outwards(self, *operands: Interval) -> Interval:
        """One rounding further apart, unless the operands are whole numbers small enough for exact arithmetic."""
        up, down = torch.tensor(math.inf, dtype=torch.float64), torch.tensor(-math.inf, dtype=torch.float64)
        exact = torch.tensor(bool(operands))
        for x in (end for operand in operands for end in (operand.low, operand.high)):
            exact = exact & (x.isinf() | ((x == x.round()) & (x.abs() < 2**26)))
        low = torch.where(exact, self.low, torch.nextafter(self.low, down))
        return Interval(low, torch.where(exact, self.high, torch.nextafter(self.high, up)))

    def plus(self, other: Interval) -> Interval:
        """The sum."""
        return Interval(self.low + other.low, self.high + other.high).outwards(self, other)

    def minus(self, other: Interval) -> Interval:
        """The difference."""
        return Interval(self.low - other.high, self.high - other.low).outwards(self, other)

    def times(self, other: Interval) -> Interval:
        """The product; 0·∞ is 0, because values are finite however large."""
        ends = torch.broadcast_tensors(self.low, self.high, other.low, other.high)
        found = torch.stack([(ends[i] * ends[j]).nan_to_num(0.0, math.inf, -math.inf) for i in (0, 1) for j in (2, 3)])
        wide = Interval(found.amin(0), found.amax(0)).outwards(self, other)
        none = ((ends[0] == 0) & (ends[1] == 0)) | ((ends[2] == 0) & (ends[3] == 0))  # a factor that is 0, exactly
        return Interval(torch.where(none, 0.0, wide.low), torch.where(none, 0.0, wide.high))

    def square(self) -> Interval:
        """The square, at least 0."""
        ends = torch.stack([self.low.square(), self.high.square()])
        inside = (self.low <= 0) & (self.high >= 0)
        found = Interval(torch.where(inside, 0.0, ends.amin(0)), ends.amax(0)).outwards(self)
        return Interval(found.low.clamp(min=0), found.high)

    def power(self, n: int) -> Interval:
        """The n-th power, n at least 1."""
        if n == 1:
            return self
        return self.power(n // 2).square() if n % 2 == 0 else self.times(self.power(n - 1))

    def folded(self, fn: Callable[[Interval, Interval], Interval]) -> Interval:
        """All entries joined by a sum or a product."""
        low, high = self.low.flatten(), self.high.flatten()
        found = Interval(low[0], high[0])
        for i in range(1, len(low)):
            found = fn(found, Interval(low[i], high[i]))
        return found


def coordinates(function: Function, a: Tensor, b: Tensor) -> list[Separation]:
    """A separation for every coordinate that changes sign and at whose zero F has a finite lower bound."""
    changed = ((a * b) < 0).nonzero().flatten()[:MOST].tolist()
    try:
        graph = fx.Tracer().trace(root := _Wrapped(function.fn)) if changed else None
    except Exception:  # whatever tracing raises, nothing is claimed
        return []
    found = []
    for i in changed:
        low, high = torch.full_like(a.double(), -math.inf), torch.full_like(a.double(), math.inf)
        low[i] = high[i] = 0.0
        bound = None if graph is None else _run(graph, root, Interval(low, high))
        if bound is not None and bool(bound.low.isfinite().all()) and bound.low.numel() == 1:
            lower = float(bound.low)
            said = "interval arithmetic over all other coordinates bounds F"
            found.append(Separation(f"coordinate {i}", (float(a[i]), float(b[i])), lower, 0.0, said))
    return found


class _Wrapped(nn.Module):
    def __init__(self, fn: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.__dict__["fn"] = fn

    def forward(self, x: Tensor) -> Tensor:
        return self.__dict__["fn"](x)


def _run(graph: fx.Graph, root: nn.Module, x: Interval) -> Interval | None:
    """The formula on intervals; None where it holds something that has no rule."""
    values: dict[fx.Node, Any] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            values[node] = x
        elif node.op == "get_attr":
            values[node] = Interval.of(getattr(root, str(node.target)))
        elif node.op == "output":
            found = values.get(node.args[0]) if isinstance(node.args[0], fx.Node) else None
            return found if isinstance(found, Interval) else None
        else:
            args = fx.map_arg(node.args, lambda n: values[n])
            result = _rule(node.target, args, dict(node.kwargs))
            if result is None:
                return None
            values[node] = result
    return None


def _rule(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Interval | None:
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    if kwargs or not args:
        return None
    if target is operator.getitem and isinstance(args[0], Interval):
        return Interval(args[0].low[args[1]], args[0].high[args[1]])
    if name in ("add", "sub", "mul") and len(args) == 2:
        one, other = Interval.of(args[0]), Interval.of(args[1])
        return {"add": one.plus, "sub": one.minus, "mul": one.times}[name](other)
    x = args[0]
    if not isinstance(x, Interval):
        return None
    if name == "pow" and isinstance(args[1], int) and args[1] >= 1:
        return x.power(args[1])
    if name == "truediv" and isinstance(args[1], (int, float)) and args[1]:
        inverse = 1 / args[1]
        return x.times(
            Interval(torch.tensor(inverse, dtype=torch.float64), torch.tensor(inverse, dtype=torch.float64)).outwards()
        )
    if len(args) > 1:
        return None
    if name == "neg":
        return Interval(-x.high, -x.low)
    if name == "square":
        return x.square()
    if name == "prod":
        return x.folded(Interval.times)
    return x.folded(Interval.plus) if name == "sum" else None
