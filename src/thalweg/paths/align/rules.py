"""How each operation of torch ties the axes of its tensors together.

A rule is equivariance, stated as unification: whatever permutation is put on an axis that goes in comes out on the
axis that it is unified with, and nothing else changes. An axis that an operation treats entry by entry (the pixels of
a convolution, what is looked up by number) is fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.paths.align.axes import (
    ONE,
    Expr,
    Prod,
    Sum,
    Var,
    cut,
    fix,
    fixed,
    found,
    is_fixed,
    leaves,
    member,
    regrouped,
)
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


# --- entry by entry --------------------------------------------------------------------------------


def broadcast(given: Sequence[Axes], ndim: int) -> Axes:
    """The axes that operands share, aligned from the last; an operand of one entry ties nothing."""
    axes: Axes = []
    for back in range(ndim, 0, -1):
        here = [a[-back] for a in given if len(a) >= back and found(a[-back]).size != 1]
        for other in here[1:]:
            tie(here[0], other)
        axes.append(found(here[0]) if here else ONE)
    return axes


def pointwise(call: Call) -> list[Axes]:
    """Every tensor that goes in, broadcast."""
    return [broadcast([call.axes(t) for t in tensors(call.args)], len(call.shape))]


def same(call: Call) -> list[Axes]:
    """What goes in comes out."""
    return [list(call.first) for _ in call.outputs]


def reduced(call: Call) -> list[Axes]:
    """Sums, means and maxima over some axes do not care about the order of their entries."""
    axes = list(call.first)
    dims = call["dim"] if "dim" in call.args else None
    dims = list(range(len(axes))) if dims is None or dims == [] else [dims] if isinstance(dims, int) else list(dims)
    gone = {d % len(axes) for d in dims} if axes else set()
    kept = [ONE if i in gone else a for i, a in enumerate(axes) if i not in gone or call["keepdim"]]
    return [list(kept) for t in call.outputs if t.is_floating_point() or t.is_complex()]


def ordered(call: Call) -> list[Axes]:
    """Along an axis whose order matters: sums up to an entry, sorting, the place of the largest."""
    axes = call.first
    dims = call["dims"] if call["dim"] is None else [call["dim"]]
    at = {d % len(axes) for d in (dims or range(len(axes)))}
    fix(*(axes[d] for d in at))
    kept = [a for d, a in enumerate(axes) if d not in at]
    return [
        [fixed(t.shape[d]) if d in at else a for d, a in enumerate(axes)] if t.ndim == len(axes) else list(kept)
        for t in call.outputs
    ]


# --- shapes ----------------------------------------------------------------------------------------


def viewed(call: Call) -> list[Axes]:
    """The same entries in another shape; axes are folded or split as the sizes say."""
    axes = call.first
    made = regrouped([found(a) for a in axes], call.shape)
    if made is None:
        fix(*axes)
        made = [fixed(n) for n in call.shape]
    return [made]


def permuted(call: Call) -> list[Axes]:
    """Axes in another order."""
    axes = call.first
    if call["dims"] is not None:
        order = [d % len(axes) for d in call["dims"]]
    elif call["dim0"] is not None:
        order = list(range(len(axes)))
        i, j = call["dim0"] % len(axes), call["dim1"] % len(axes)
        order[i], order[j] = order[j], order[i]
    else:
        order = list(reversed(range(len(axes))))
    return [[axes[i] for i in order]]


def expanded(call: Call) -> list[Axes]:
    """Along a new axis all entries are equal, so that any permutation of it changes nothing."""
    axes = call.first
    missing = len(call.shape) - len(axes)
    old = [ONE] * missing + list(axes)
    others = [v for a in axes for v in leaves(a) if not v.fixed]
    return [[a if found(a).size == n else Var(n, others) for a, n in zip(old, call.shape, strict=True)]]


def repeated(call: Call) -> list[Axes]:
    """Copies of a tensor laid end to end."""
    axes = call.first
    old = [ONE] * (len(call.shape) - len(axes)) + list(axes)
    return [[found(Prod([Var(n // found(a).size), a])) for a, n in zip(old, call.shape, strict=True)]]


def unsqueezed(call: Call) -> list[Axes]:
    """One axis more."""
    axes = list(call.first)
    axes.insert(call["dim"] % (len(axes) + 1), ONE)
    return [axes]


def squeezed(call: Call) -> list[Axes]:
    """Without axes of one entry."""
    axes, dims = call.first, call["dim"]
    dims = range(len(axes)) if dims is None else [dims] if isinstance(dims, int) else dims
    gone = {d % max(len(axes), 1) for d in dims}
    return [[a for i, a in enumerate(axes) if i not in gone or found(a).size != 1]]


def selected(call: Call) -> list[Axes]:
    """One entry of an axis; of a family over it, that entry's member."""
    axes = call.first
    dim = call["dim"] % len(axes)
    size = found(axes[dim]).size
    return [_entry(axes, dim, call["index"] % size)]


def unbound(call: Call) -> list[Axes]:
    """Every entry of an axis."""
    axes = call.first
    return [_entry(axes, call["dim"] % len(axes), i) for i in range(len(call.outputs))]


def _entry(axes: Axes, dim: int, i: int) -> Axes:
    chosen = found(axes[dim])
    rest = [a for d, a in enumerate(axes) if d != dim]
    fix(chosen)
    return [member(a, chosen, i) for a in rest] if isinstance(chosen, Var) else rest


def sliced(call: Call) -> list[Axes]:
    """Some entries of an axis in a row."""
    axes = list(call.first)
    dim = call["dim"] % len(axes)
    size = found(axes[dim]).size
    if call.shape[dim] == size:
        return [axes]
    if call["step"] not in (None, 1) or is_fixed(axes[dim]):
        fix(axes[dim])
        axes[dim] = fixed(call.shape[dim])
        return [axes]
    start = call["start"] or 0
    start = max(0, start + size) if start < 0 else min(start, size)
    axes[dim] = _between(axes[dim], start, call.shape[dim])
    return [axes]


def divided(call: Call) -> list[Axes]:
    """Pieces of an axis."""
    axes = call.first
    dim, start, made = call["dim"] % len(axes), 0, []
    for tensor in call.outputs:
        size = tensor.shape[dim]
        piece = fixed(size) if is_fixed(axes[dim]) else _between(axes[dim], start, size)
        made.append([piece if d == dim else a for d, a in enumerate(axes)])
        start += size
    return made


def _between(axis: Expr, start: int, size: int) -> Expr:
    rest = cut(axis, start)[1]
    return found(cut(rest, size)[0])


def joined(call: Call) -> list[Axes]:
    """End to end along one axis; the others are tied."""
    given = [call.axes(t) for t in call["tensors"] if t.ndim > 1 or t.numel() > 0]
    dim = call["dim"] % len(given[0])
    axes = [
        found(Sum([a[d] for a in given])) if d == dim else broadcast([[a[d]] for a in given], 1)[0]
        for d in range(len(given[0]))
    ]
    return [axes]


def stacked(call: Call) -> list[Axes]:
    """Side by side along a new axis, over which the others are families."""
    given = [call.axes(t) for t in call["tensors"]]
    new = Var(len(given), fixed=True)
    axes: Axes = []
    for parts in zip(*given, strict=True):
        if all(found(part) is found(parts[0]) for part in parts) or found(parts[0]).size == 1:
            axes.append(parts[0])
            continue
        family = Var(found(parts[0]).size, [new])
        for i, part in enumerate(parts):
            tie(member(family, new, i), part)
        axes.append(found(family))
    axes.insert(call["dim"] % (len(axes) + 1), new)
    return [axes]


def padded(call: Call) -> list[Axes]:
    """Constants on both sides: along a padded axis they may be permuted among themselves."""
    axes, pad = list(call.first), list(call["pad"])
    for k in range(len(pad) // 2):
        dim, low, high = len(axes) - 1 - k, pad[2 * k], pad[2 * k + 1]
        if low == high == 0:
            continue
        if low < 0 or high < 0 or is_fixed(axes[dim]):
            fix(axes[dim])
            axes[dim] = fixed(call.shape[dim])
        else:
            axes[dim] = found(Sum([*([Var(low)] if low else []), axes[dim], *([Var(high)] if high else [])]))
    return [axes]


# --- products --------------------------------------------------------------------------------------


def matmul(call: Call) -> list[Axes]:
    """Matrix products with a batch or without, and what is added to them."""
    a, b = call.of("self", "mat2") if "mat2" in call.args and "mat1" not in call.args else call.of("mat1", "mat2")
    return _product(call, a, b)


def batched(call: Call) -> list[Axes]:
    """baddbmm: what is added, and two batches."""
    return _product(call, *call.of("batch1", "batch2"))


def vector(call: Call) -> list[Axes]:
    """A matrix and a vector, or two vectors."""
    pair = ("mat", "vec") if "mat" in call.args else ("self", "vec") if "vec" in call.args else ("self", "tensor")
    a, b = call.of(*pair)
    tie(a[-1], b[-1])
    axes = a[:-1]
    if "mat" in call.args:
        axes = broadcast([axes, *call.of("self")], 1)
    return [axes]


def linear(call: Call) -> list[Axes]:
    """X Wᵀ + b."""
    x, w = call.of("input", "weight")
    tie(x[-1], w[1])
    for bias in call.of("bias"):
        tie(w[0], bias[0])
    return [[*x[:-1], w[0]]]


def _product(call: Call, a: Axes, b: Axes) -> list[Axes]:
    batch = broadcast([a[:-2], b[:-2]], len(a) - 2)
    tie(a[-1], b[-2])
    axes = [*batch, a[-2], b[-1]]
    if "mat1" in call.args or "batch1" in call.args:
        axes = broadcast([axes, *call.of("self")], len(axes))
    return [axes]


def convolution(call: Call) -> list[Axes]:
    """Channels in and out; with groups, channels of every group. Pixels keep their places."""
    x, w = call.of("input", "weight")
    groups, transposed = call["groups"], call["transposed"]
    fix(*x[2:], *w[2:])
    into, out = (w[0], w[1]) if transposed else (w[1], w[0])
    if groups > 1:
        group = Var(groups)
        tie(x[1], Prod([group, _inside(group, found(x[1]).size // groups)]))
        if transposed:
            tie(w[0], x[1])
            units = _inside(group, found(w[1]).size)
            tie(w[1], units)
            out = found(Prod([group, units]))
        else:
            tie(w[0], Prod([group, _inside(group, found(w[0]).size // groups)]))
            units = _inside(group, found(w[1]).size)
            tie(x[1], Prod([group, units]))
            tie(w[1], units)
    else:
        tie(x[1], into)
    for bias in call.of("bias"):
        tie(out, bias[0])
    return [[x[0], out, *(fixed(n) for n in call.shape[2:])]]


def _inside(group: Var, size: int) -> Expr:
    """The channels of every group."""
    return ONE if size == 1 else Var(size, [group])


# --- normalisation, pooling, looking up ----------------------------------------------------------------


def channels(call: Call) -> list[Axes]:
    """Batch and instance normalisation: one gain, mean and variance per channel."""
    x = call.of("input")[0]
    for vector in call.of("weight", "bias", "running_mean", "running_var"):
        tie(x[1], vector[0])
    return [list(x)]


def grouped(call: Call) -> list[Axes]:
    """Group normalisation: groups may be exchanged, and the channels within one."""
    x = call.of("input")[0]
    size, groups = found(x[1]).size, call["group"]
    if 1 < groups < size:
        group = Var(groups)
        tie(x[1], Prod([group, Var(size // groups, [group])]))
    for vector in call.of("weight", "bias"):
        tie(x[1], vector[0])
    return [list(x)]


def layered(call: Call) -> list[Axes]:
    """Layer and root-mean-square normalisation over the last axes."""
    x = call.of("input")[0]
    for gain in call.of("weight", "bias"):
        broadcast([x, gain], len(x))
    return [list(x)]


def pooled(call: Call) -> list[Axes]:
    """Windows over pixels; rows and channels pass."""
    x = call.first
    spatial = int(next((k for k in "321" if f"{k}d" in call.args["op"]), "2"))
    fix(*x[-spatial:])
    axes = [*x[:-spatial], *(fixed(n) for n in call.shape[-spatial:])]
    return [list(axes) for _ in call.outputs]


def looked_up(call: Call) -> list[Axes]:
    """Rows of a table by number."""
    table, index = call.of("weight", "indices")
    fix(table[0])
    return [[*index, *table[1:]]]


def bagged(call: Call) -> list[Axes]:
    """Sums of rows of a table by number."""
    table = call.of("weight")[0]
    fix(table[0])
    return [[fixed(call.shape[0]), *table[1:]]]


def indexed(call: Call) -> list[Axes] | None:
    """Entries by number along one axis."""
    axes = list(call.first)
    dim = call["dim"] % len(axes)
    fix(axes[dim])
    axes[dim] = fixed(call.shape[dim])
    return [axes]


def picked(call: Call) -> list[Axes]:
    """x[i, j]: entries by number along several axes; the others pass."""
    axes, given = call.first, call["indices"]
    at = [d for d, index in enumerate(given) if index is not None]
    fix(*(axes[d] for d in at))
    kept = [a for d, a in enumerate(axes) if d not in at]
    new = [fixed(n) for n in call.shape]
    together = at == list(range(at[0], at[-1] + 1))
    start = at[0] if together else 0
    wide = len(call.shape) - len(kept)
    return [[*kept[:start], *new[start : start + wide], *kept[start:]]]


RULES: dict[str, Rule] = {
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias"), viewed),
    **dict.fromkeys(("permute", "transpose", "t", "numpy_T"), permuted),
    **dict.fromkeys(("sum", "mean", "amax", "amin", "var", "std", "var_mean", "std_mean", "prod"), reduced),
    **dict.fromkeys(("logsumexp", "norm", "linalg_vector_norm", "any", "all"), reduced),
    **dict.fromkeys(("cumsum", "cumprod", "logcumsumexp", "flip", "roll", "sort", "topk", "max", "min"), ordered),
    **dict.fromkeys(("_softmax", "_log_softmax", "_safe_softmax", "clone", "alias", "detach", "_to_copy"), same),
    **dict.fromkeys(("lift_fresh", "native_dropout", "hardswish", "hardtanh", "elu", "celu", "leaky_relu"), pointwise),
    **dict.fromkeys(
        ("masked_fill", "where", "_prelu_kernel", "copy", "fill", "zero", "add", "mul", "rrelu"), pointwise
    ),
    **dict.fromkeys(("zeros_like", "ones_like", "full_like", "empty_like", "threshold", "log_sigmoid_forward"), same),
    **dict.fromkeys(("mm", "bmm", "addmm", "_addmm_activation"), matmul),
    **dict.fromkeys(("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"), channels),
    **dict.fromkeys(("_native_batch_norm_legit_no_training", "_native_batch_norm_legit"), channels),
    **dict.fromkeys(("native_layer_norm", "_fused_rms_norm"), layered),
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_split_with_sizes"), divided),
    **dict.fromkeys(("mv", "addmv", "dot"), vector),
    "baddbmm": batched,
    "linear": linear,
    "convolution": convolution,
    "_convolution": convolution,
    "native_group_norm": grouped,
    "expand": expanded,
    "repeat": repeated,
    "unsqueeze": unsqueezed,
    "squeeze": squeezed,
    "select": selected,
    "unbind": unbound,
    "slice": sliced,
    "narrow": sliced,
    "cat": joined,
    "stack": stacked,
    "constant_pad_nd": padded,
    "embedding": looked_up,
    "_embedding_bag": bagged,
    "_embedding_bag_forward_only": bagged,
    "index_select": indexed,
    "index": picked,
}
"""By the name of the operation in torch's own library, without ``aten::``."""

POOLS = ("pool", "upsample", "reflection_pad", "replication_pad")

WEIGHTED = {
    *("mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "linear", "convolution", "embedding"),
    *("native_batch_norm", "_native_batch_norm_legit_no_training", "native_group_norm", "native_layer_norm"),
    "_fused_rms_norm",
}
"""Operations whose outputs show what units do."""


def rule_of(func: Any, name: str) -> Rule | None:
    """The rule of an operation: by its name, by what it is like, or because torch calls it pointwise."""
    plain = name.removesuffix("_") if name not in RULES else name
    if plain in ("max", "min") and len(func._schema.arguments) == 1:
        return reduced
    if plain in RULES:
        return RULES[plain]
    if any(word in plain for word in POOLS):
        return lambda call: pooled(Call(call.axes, {**call.args, "op": plain}, call.outputs))
    return pointwise if torch.Tag.pointwise in func.tags else None
