"""Rules of operations that fold, split, reorder, cut and join axes."""

from __future__ import annotations

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
from thalweg.paths.align.call import Axes, Call, broadcast


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
