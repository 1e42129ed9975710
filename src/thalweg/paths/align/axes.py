"""Axes of tensors as unknowns: which entries of which tensors a network ties together.

An axis is an expression in unknowns: a product where a reshape folded several into one (heads × units), a sum where
several were joined end to end (a concatenation). Two axes that an operation lines up are unified, as types are in
type inference; what an operation treats entry by entry is fixed. An unknown that is never fixed may be permuted.

An unknown may be a *family* over others: the units of every head. Their entries then may be permuted in each head by
itself, as long as every tensor that has the units has the heads too; where one has not, the family is shared.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Union, final

import numpy as np

Expr = Union["Var", "Prod", "Sum"]


@final
class Var:
    """An unknown axis of ``size`` entries; ``over`` are the unknowns that it is a family over."""

    def __init__(self, size: int, over: Iterable[Expr] = (), *, fixed: bool = False) -> None:
        self.size = size
        self.over: tuple[Expr, ...] = () if fixed else tuple(over)
        self.fixed = fixed
        self.shared = False  # it is known to be no family
        self.form: Expr | None = None  # what it was found to be
        self.parts: dict[tuple[Var, int], Var] = {}  # its members, where an unknown that it is over was indexed


@final
class Prod:
    """Axes folded into one, the last running fastest."""

    def __init__(self, factors: Sequence[Expr]) -> None:
        self.factors = tuple(factors)
        self.size: int = math.prod(f.size for f in self.factors)


@final
class Sum:
    """Axes joined end to end."""

    def __init__(self, terms: Sequence[Expr]) -> None:
        self.terms = tuple(terms)
        self.size: int = sum(t.size for t in self.terms)


ONE = Prod(())
"""An axis of one entry."""


def found(expr: Expr) -> Expr:
    """The expression with everything put in that is known by now; products and sums are flat."""
    if isinstance(expr, Var):
        return expr if expr.form is None else found(expr.form)
    if isinstance(expr, Prod):
        factors: list[Expr] = []
        for f in (found(f) for f in expr.factors):
            factors += f.factors if isinstance(f, Prod) else [f] if f.size != 1 else []
        return factors[0] if len(factors) == 1 else Prod(factors)
    terms: list[Expr] = []
    for t in (found(t) for t in expr.terms):
        terms += t.terms if isinstance(t, Sum) else [t] if t.size != 0 else []
    return terms[0] if len(terms) == 1 else Sum(terms)


def leaves(expr: Expr) -> list[Var]:
    """The unknowns of an expression, in order."""
    expr = found(expr)
    if isinstance(expr, Var):
        return [expr]
    return [v for part in (expr.factors if isinstance(expr, Prod) else expr.terms) for v in leaves(part)]


def is_fixed(expr: Expr) -> bool:
    """Whether no unknown of it may be permuted any more."""
    return all(v.fixed for v in leaves(expr))


def fixed(size: int) -> Expr:
    """An axis whose entries keep their places."""
    return ONE if size == 1 else Var(size, fixed=True)


def over(v: Var) -> tuple[Var, ...]:
    """The unknowns that v is a family over; one that fell apart into a sum is none any more."""
    deps: list[Var] = []
    for dep in v.over:
        now = found(dep)
        parts = now.factors if isinstance(now, Prod) else (now,)
        if all(isinstance(p, Var) for p in parts):
            deps += [p for p in parts if isinstance(p, Var) and p is not v and p not in deps]
    v.shared = v.shared or (bool(v.over) and not deps)
    v.over = tuple(deps)
    return tuple(deps)


def fix(*exprs: Expr) -> None:
    """Every entry of these axes keeps its place (those of a family: its place in the member)."""
    for expr in exprs:
        for v in leaves(expr):
            if not v.fixed:
                v.fixed, v.over = True, ()
                fix(*v.parts.values())


def drop(v: Var, deps: Iterable[Var]) -> None:
    """V is no family over these: its members are one."""
    gone = set(deps)
    kept = tuple(d for d in over(v) if d not in gone)
    v.over, v.shared = kept, v.shared or not kept
    for (dep, _), part in list(v.parts.items()):
        if dep in gone:
            unify(v, part)


def member(expr: Expr, dep: Var, i: int) -> Expr:
    """The expression where the unknown ``dep`` is at its entry i."""
    expr = found(expr)
    if isinstance(expr, Prod):
        return Prod([member(f, dep, i) for f in expr.factors])
    if isinstance(expr, Sum):
        return Sum([member(t, dep, i) for t in expr.terms])
    if dep not in over(expr):
        return expr
    if (dep, i) not in expr.parts:
        rest = [member(d, dep, i) for d in over(expr) if d is not dep]
        expr.parts[dep, i] = Var(expr.size, rest, fixed=expr.fixed)
    return found(expr.parts[dep, i])


def unify(a: Expr, b: Expr) -> None:
    """Make two axes one: a permutation of the one is a permutation of the other."""
    a, b = found(a), found(b)
    if a is b:
        return
    if a.size != b.size:
        fix(a, b)
    elif isinstance(a, Var) and isinstance(b, Var):
        _merge(a, b)
    elif isinstance(a, Var):
        _bind(a, b)
    elif isinstance(b, Var):
        _bind(b, a)
    elif isinstance(a, Prod) and isinstance(b, Prod):
        _products(a, b)
    else:
        _sums(a, b)


def split(expr: Expr, first: int) -> tuple[Expr, Expr] | None:
    """A factor as ``first`` × the rest; None where it does not fall apart like that."""
    expr = found(expr)
    if isinstance(expr, Prod):
        parts = regrouped(expr.factors, [first, expr.size // first])
        return None if parts is None else (parts[0], parts[1])
    if isinstance(expr, Sum):
        return None
    if expr.fixed:
        return fixed(first), fixed(expr.size // first)
    outer = Var(first, over(expr))
    inner = Var(expr.size // first, (*over(expr), outer))
    outer.shared = expr.shared
    _bind(expr, Prod([outer, inner]))
    return outer, inner


def cut(expr: Expr, at: int) -> tuple[Expr, Expr]:
    """An axis as its first ``at`` entries and the rest."""
    expr = found(expr)
    if at in (0, expr.size):
        return (Sum(()), expr) if at == 0 else (expr, Sum(()))
    if isinstance(expr, Sum):
        head: list[Expr] = []
        for k, term in enumerate(expr.terms):
            if term.size > at:
                one, other = cut(term, at)
                return Sum([*head, one]), Sum([other, *expr.terms[k + 1 :]])
            head.append(term)
            at -= term.size
            if at == 0:
                return Sum(head), Sum(expr.terms[k + 1 :])
    if isinstance(expr, Prod):
        outer, inner = expr.factors[0], expr.size // expr.factors[0].size
        if at % inner == 0:
            one, other = cut(outer, at // inner)
            return Prod([one, *expr.factors[1:]]), Prod([other, *expr.factors[1:]])
    if isinstance(expr, Var) and not expr.fixed:
        one, other = Var(at, over(expr)), Var(expr.size - at, over(expr))
        one.shared = other.shared = expr.shared
        _bind(expr, Sum([one, other]))
        return one, other
    fix(expr)
    return fixed(at), fixed(expr.size - at)


def regrouped(factors: Sequence[Expr], sizes: Sequence[int]) -> list[Expr] | None:
    """The factors, in order, as axes of these sizes; None where they cannot be divided up like that."""
    left = [f for f in reversed(factors) if f.size != 1]
    made: list[Expr] = []
    for size in sizes:
        group: list[Expr] = []
        while size > 1:
            if not left:
                return None
            f = found(left.pop())
            if isinstance(f, Prod):
                left += reversed(f.factors)
            elif size % f.size == 0:
                group.append(f)
                size //= f.size
            else:
                parts = split(f, size) if f.size % size == 0 else None
                if parts is None:
                    return None
                group.append(parts[0])
                left.append(parts[1])
                size = 1
        made.append(found(Prod(group)))
    return None if left else made


def _merge(a: Var, b: Var) -> None:
    if a.size == 1:
        return
    if a.fixed or b.fixed:
        fix(a, b)
    ours, theirs = over(a), over(b)
    # Which tensors have the one and not the other is looked at in the end: a plain unknown becomes the family.
    both = [d for d in ours if d in theirs]
    kept = [] if a.shared or b.shared else both if ours and theirs else [*ours, *theirs]
    drop(a, [d for d in ours if d not in kept])
    drop(b, [d for d in theirs if d not in kept])
    a, b = (x if isinstance(x := found(v), Var) else v for v in (a, b))
    if a is b or a.form is not None or b.form is not None:  # members that became one brought them together
        unify(a, b)
        return
    shared = a.shared or b.shared
    b.form, a.over, a.shared = a, tuple(kept) if not a.fixed else (), shared
    for key, part in b.parts.items():
        if key in a.parts:
            unify(a.parts[key], part)
        else:
            a.parts[key] = part


def _bind(v: Var, form: Expr) -> None:
    if v.fixed:
        fix(form)
        return
    inside = leaves(form)
    if v in inside:
        fix(v, form)
        return
    for leaf in inside:
        if v.shared:
            drop(leaf, [d for d in over(leaf) if d not in inside])
        elif not leaf.shared and not leaf.fixed:
            leaf.over = tuple(dict.fromkeys([*over(v), *over(leaf)]))
    v.form = form
    for (dep, i), part in v.parts.items():
        unify(part, member(form, dep, i))


def _products(a: Prod, b: Prod) -> None:
    ours, theirs = list(reversed(a.factors)), list(reversed(b.factors))
    while ours and theirs:
        x, y = found(ours.pop()), found(theirs.pop())
        if isinstance(x, Prod) or isinstance(y, Prod):  # found out meanwhile
            ours += reversed(x.factors) if isinstance(x, Prod) else [x]
            theirs += reversed(y.factors) if isinstance(y, Prod) else [y]
        elif x.size == y.size:
            unify(x, y)
        else:
            small, large = sorted((x, y), key=lambda e: e.size)
            parts = split(large, small.size) if large.size % small.size == 0 else None
            if parts is None:
                fix(x, y, *ours, *theirs)
                return
            unify(small, parts[0])
            (ours if large is x else theirs).append(parts[1])


def _sums(a: Expr, b: Expr) -> None:
    while a.size and b.size:
        at = min(_head(a), _head(b))
        (x, a), (y, b) = cut(a, at), cut(b, at)
        unify(x, y)
        a, b = found(a), found(b)


def _head(expr: Expr) -> int:
    expr = found(expr)
    return expr.terms[0].size if isinstance(expr, Sum) else expr.size


Term = tuple[np.ndarray, tuple[Var, ...]]
"""Some entries of an axis: their numbers, shaped by the unknowns that run over them."""


def blocks(axes: Sequence[Expr]) -> Iterator[tuple[Term, ...]]:
    """A tensor cut into blocks in which every axis is a product of unknowns; one term per axis.

    A fixed unknown that a family is over is run through entry by entry, so that every member stands for itself.
    """
    now = [found(axis) for axis in axes]
    inside = [v for axis in now for v in leaves(axis)]
    through = list(dict.fromkeys(d for v in inside for d in over(v) if d.fixed and d in inside))
    for entries in itertools.product(*(range(v.size) for v in through)):
        at = dict(zip(through, entries, strict=True))
        parts = now
        for v, i in at.items():
            parts = [member(axis, v, i) for axis in parts]
        for terms in itertools.product(*(_terms(found(axis), at) for axis in parts)):
            passed = {v for _, _, seen in terms for v in seen}
            # What does not depend on the entry is listed once.
            if all(i == 0 or v in passed for v, i in at.items()):
                yield tuple((index, named) for index, named, _ in terms)


def _terms(expr: Expr, at: Mapping[Var, int]) -> list[tuple[np.ndarray, tuple[Var, ...], frozenset[Var]]]:
    if isinstance(expr, Var):
        if expr in at:
            return [(np.array(at[expr]), (), frozenset([expr]))]
        return [(np.arange(expr.size), (expr,), frozenset())]
    if isinstance(expr, Sum):
        made, start = [], 0
        for term in expr.terms:
            made += [(index + start, named, seen) for index, named, seen in _terms(found(term), at)]
            start += term.size
        return made
    made = [(np.array(0), (), frozenset())]
    for factor in expr.factors:
        made = [
            (np.add.outer(index * factor.size, inner), (*named, *more), seen | further)
            for index, named, seen in made
            for inner, more, further in _terms(found(factor), at)
        ]
    return made


def settle(tensors: Iterable[Sequence[Expr]]) -> None:
    """Leave families only where every tensor that has one has, once, what it is over."""
    kept = [tuple(axes) for axes in tensors]
    changed = True
    while changed:
        changed = False
        for axes in kept:
            if not any(over(v) for axis in axes for v in leaves(axis)):
                continue
            for block in list(blocks(axes)):
                here = [v for _, named in block for v in named]
                for v in here:
                    lost = [d for d in over(v) if here.count(d) != 1]
                    if lost and found(v) is v:
                        drop(v, lost)
                        changed = True
