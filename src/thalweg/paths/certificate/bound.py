"""An upper bound of F on a part of a curve: the traced network and its loss, run on Taylor models."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.polynomial import chebyshev
from numpy.polynomial import polynomial as powers
from torch import Tensor, fx

from thalweg.core.data import Table
from thalweg.core.exact import structure
from thalweg.core.exact.form import NotExactError
from thalweg.core.exact.polynomial import Polynomial, nodes
from thalweg.core.parts import Parts
from thalweg.core.stacked.layers import Unsupported
from thalweg.core.stacked.program import Program, program_of
from thalweg.core.tree import tree_map
from thalweg.paths.certificate import functions, layers
from thalweg.paths.certificate.heads import Head, head
from thalweg.paths.certificate.model import UNIT, Model, Uncertified, gamma
from thalweg.paths.curve import Bezier

PASSES = 6
"""Forward passes that bounding one box costs: the products of a layer's constant, linear and radius parts."""

BYTES = 2**28
"""Rows are worked on in parts whose models take about this much."""

COPIES = 12
"""Tensors of a layer's size that are alive at once."""

MOST_DEGREE = 25
"""Of a Bézier curve: beyond it, changing its weights to Chebyshev polynomials loses more than :meth:`Bound.models`
allows for (0.7 of that at 25, 500 times at 40)."""


@dataclass(frozen=True, eq=False)
class Bound:
    """Upper bounds of F on parts of the Bézier curve of ``knots`` [K, P] float64; a segment is the one of two knots.

    Raises
    ------
    Uncertified
        If the network, the loss, the regulariser or the statistics policy has no rule; the message names it.
    """

    parts: Parts
    knots: Tensor

    def __post_init__(self) -> None:
        parts = self.parts
        if parts.per_point:
            raise Uncertified(f"under the policy {parts.policy} statistics depend on t: freeze them")
        if parts.network.normalised and parts.buffers(None) is None:
            raise Uncertified(f"under the policy {parts.policy} rows depend on one another: freeze the statistics")
        if parts.split:
            raise Uncertified("other processes hold rows as well")
        if len(self.knots) - 1 > MOST_DEGREE:
            raise Uncertified(f"a Bézier curve of degree {len(self.knots) - 1} is above {MOST_DEGREE}: resample it")
        self._regulariser  # noqa: B018  # refuse before any box is bounded

    def upper(self, low: float, high: float) -> float:
        """A number that F does not exceed for t in [low, high]."""
        named = self.models(low, high)
        total = torch.zeros(2, dtype=torch.float64)
        for rows, last in self._rows:
            total = total + last(self._outputs(rows, named)).cpu()
        found = float(total.max()) / self.parts.z
        found += 4 * UNIT * (len(self._rows) + 4) * abs(found)
        if self._regulariser is not None:
            found += _above(self._regulariser, low, high)
        return found if not math.isnan(found) else math.inf

    def models(self, low: float, high: float) -> dict[str, Model]:
        """Every parameter and buffer on [low, high] as a Taylor model; u runs from −1 at low to 1 at high."""
        basis = _basis(len(self.knots) - 1, low, high)
        middle, tilt, *rest = torch.from_numpy(basis).to(self.knots)
        scale = self.knots.abs().amax(0)
        found = {}
        for entry in self.parts.space.entries:
            own = self.knots[:, entry.span]
            if bool((own == own[0]).all()):
                found[entry.name] = Model(own[0].reshape(entry.shape))
                continue
            largest = scale[entry.span].max()
            slip = torch.tensor(64.0 * len(self.knots) * UNIT, dtype=own.dtype) * largest
            c0, c1 = ((w @ own).reshape(entry.shape) for w in (middle, tilt))
            bent = sum(((w @ own).abs() for w in rest), torch.zeros_like(own[0])).reshape(entry.shape)
            found[entry.name] = Model(c0, c1, slip if not rest else bent + slip)
        buffers = self.parts.buffers(None) or {}
        return {**{name: Model(b) for name, b in buffers.items() if b.is_floating_point()}, **found, **self._held}

    # --- the network --------------------------------------------------------------------------------

    @cached_property
    def _program(self) -> Program:
        try:
            return program_of(self.parts.network, self.parts.blocks.table.inputs, fold=False)
        except Unsupported as error:
            raise Uncertified(str(error)) from error

    @cached_property
    def _held(self) -> dict[str, Model]:
        """Parameters that do not vary, and the other names of those that several layers share."""
        module, names = self.parts.network.module, {e.name for e in self.parts.space.entries}
        return {n: Model(p.detach()) for n, p in module.named_parameters() if n not in names}

    @cached_property
    def _alias(self) -> dict[str, str]:
        """Full names of parameters as the space knows them: a tensor that several layers share has one."""
        found = list(self.parts.network.module.named_parameters(remove_duplicate=False))
        first = {id(p): name for name, p in reversed(found)}
        return {name: first[id(p)] for name, p in found}

    @cached_property
    def _rows(self) -> list[tuple[Table, Head]]:
        """The rows in parts that fit, each with the bound of its loss; one row is tried first."""
        table = self.parts.blocks.table
        one, sizes = table.at(slice(0, 1)), [1]
        named = self.models(0.0, 1.0)
        first = self._outputs(one, named, lambda m: sizes.append(m.c0.numel()))
        count = max(1, BYTES // (8 * COPIES * max(sizes)))
        found = []
        for low in range(0, table.count, count):
            rows = table.at(slice(low, min(low + count, table.count)))
            like = first.c0.new_zeros(rows.count, *first.c0.shape[1:])
            found.append((rows, head(self.parts, rows, like)))
        return found

    def _outputs(self, rows: Table, named: dict[str, Model], see: Callable[[Model], Any] | None = None) -> Model:
        """The outputs of some rows."""
        program, network = self._program, self.parts.network
        args, kwargs = network.arguments(rows.inputs)
        lift = lambda tree: tree_map(lambda x: Model(x) if x.is_floating_point() else x, tree)  # noqa: E731
        given = {**program.absent, **dict(zip((n for _, n in program.inputs), map(lift, args), strict=False))}
        given |= {name: lift(x) for name, x in kwargs.items()}
        values: dict[fx.Node, Any] = {node: given[name] for node, name in program.inputs}
        last = {node: step for i, step in enumerate(program.steps) for node in step.reads}
        with torch.no_grad():
            for step in program.steps:
                node = step.node
                values[node] = self._step(node, values, named)
                if see is not None and isinstance(values[node], Model):
                    see(values[node])
                for read in step.reads:
                    if last[read] is step and read is not program.output:
                        values.pop(read, None)
        found = values.get(program.output) if isinstance(program.output, fx.Node) else None
        if not isinstance(found, Model):
            raise Uncertified("the outputs are no single tensor")
        return found

    def _step(self, node: fx.Node, values: dict[fx.Node, Any], named: dict[str, Model]) -> Any:
        if node.op == "get_attr":
            name = self._alias.get(str(node.target), str(node.target))
            if name in named:
                return named[name]
            return _attribute(self.parts.network.module, str(node.target))
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), lambda n: values[n])
        if node.op != "call_module":
            return functions.function(node.target, args, kwargs)
        name = str(node.target)
        layer = self.parts.network.module.get_submodule(name)
        if layer._forward_hooks or layer._forward_pre_hooks:
            raise Uncertified(f"layer {name!r} has hooks")
        held = [*dict(layer.named_parameters(remove_duplicate=False)), *dict(layer.named_buffers())]
        own = {k: named.get(self._alias.get(f"{name}.{k}", f"{name}.{k}")) for k in held}
        try:
            return layers.module(layer, {k: m for k, m in own.items() if m is not None}, *args, **kwargs)
        except Uncertified as error:
            raise Uncertified(f"layer {name!r}: {error}") from error

    # --- the regulariser ----------------------------------------------------------------------------

    @cached_property
    def _regulariser(self) -> Polynomial | None:
        """R along the curve, which has to be a polynomial in t."""
        if self.parts.regulariser is None:
            return None
        moving = frozenset(
            e.name for e in self.parts.space.entries if bool((self.knots[:, e.span] != self.knots[0, e.span]).any())
        )
        try:
            degree = structure._of_regulariser(self.parts, self.knots[-1], moving) * (len(self.knots) - 1)
        except NotExactError as error:
            raise Uncertified(f"of the regulariser: {error}") from error
        if degree > structure.MOST_DEGREE:
            raise Uncertified(f"the regulariser has degree {degree} in t, above {structure.MOST_DEGREE}")
        points = Bezier(self.knots).theta(nodes(degree + 1))
        with torch.no_grad():
            values = np.array([float(self.parts.regularised(x)) for x in points])
        return Polynomial.through(values, 4 * gamma(self.parts.space.size))


def _basis(degree: int, low: float, high: float) -> np.ndarray:
    """Bernstein polynomials on [low, high] in Chebyshev polynomials of u, [degree + 1 of them, degree + 1 knots]."""
    t, rest = np.array([(low + high) / 2, (high - low) / 2]), np.array([1 - (low + high) / 2, -(high - low) / 2])
    found = np.zeros((degree + 1, degree + 1))
    for i in range(degree + 1):
        product: np.ndarray = powers.polymul(powers.polypow(t, i), powers.polypow(rest, degree - i))
        column = np.asarray(chebyshev.poly2cheb(math.comb(degree, i) * np.asarray(product)))
        found[: len(column), i] = column
    return found


def _above(form: Polynomial, low: float, high: float) -> float:
    """A number that a polynomial does not exceed on [low, high]."""
    n = len(form.coefficients)
    fitted = Polynomial.through(form.at(low + (high - low) * nodes(n)), 4 * gamma(n))
    return float(fitted.coefficients[0] + np.abs(fitted.coefficients[1:]).sum() + fitted.slack + form.slack)


def _attribute(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part)
    return Model(module.detach()) if isinstance(module, Tensor) and module.is_floating_point() else module
