"""Rules of matrix products, convolutions and normalising layers."""

from __future__ import annotations

from thalweg.paths.align.axes import ONE, Expr, Prod, Var, fix, fixed, found
from thalweg.paths.align.axes import unify as tie
from thalweg.paths.align.call import Axes, Call, broadcast


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
