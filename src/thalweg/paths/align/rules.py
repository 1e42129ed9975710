"""How each operation of torch ties the axes of its tensors together.

A rule is equivariance, stated as unification: whatever permutation is put on an axis that goes in comes out on the
axis that it is unified with, and nothing else changes. An axis that an operation treats entry by entry (the pixels of
a convolution, what is looked up by number) is fixed.
"""

from __future__ import annotations

from typing import Any

import torch

from thalweg.paths.align.axes import ONE, fix, fixed
from thalweg.paths.align.call import Axes, Call, Rule, broadcast, tensors
from thalweg.paths.align.products import batched, channels, convolution, grouped, layered, linear, matmul, vector
from thalweg.paths.align.shapes import (
    divided,
    expanded,
    joined,
    padded,
    permuted,
    repeated,
    selected,
    sliced,
    squeezed,
    stacked,
    unbound,
    unsqueezed,
    viewed,
)


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
