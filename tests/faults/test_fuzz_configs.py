"""Any value of its type for every option of every method: a method, or one line."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import types
import typing
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thalweg.errors import InputError, ThalwegError
from thalweg.slices.grid import axis

ROOMS = ("slices", "curvature", "critical", "descent", "paths", "trajectories", "topology")

INTEGERS = st.one_of(st.integers(-3, 12), st.sampled_from([-(2**63), 2**31, 2**63, 10**30]))
FLOATS = st.one_of(st.floats(), st.sampled_from([0.0, -1.0, 1e-300, 1e300, math.nan, math.inf, -math.inf]))
TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(["", "auto", "SA", "\n", "<script>", "../x"]))


def configs() -> Iterator[type]:
    """Every frozen configuration that a room offers and that can be called or made without an argument."""
    for room in ROOMS:
        module = importlib.import_module(f"thalweg.{room}")
        names = [name for name in vars(module) if not name.startswith("_")]
        for name in sorted(names):
            found = getattr(module, name)
            if inspect.isclass(found) and dataclasses.is_dataclass(found) and not inspect.isabstract(found):
                yield found


CONFIGS = sorted({cls.__qualname__: cls for cls in configs()}.items())


def values(hint: object) -> st.SearchStrategy | None:
    """Any value of an annotation; None where it is no plain one, and the field keeps its default."""
    if hint is bool:
        return st.booleans()
    if hint is int:
        return INTEGERS
    if hint is float:
        return st.one_of(FLOATS, INTEGERS)
    if hint is str:
        return TEXTS
    if hint is type(None):
        return st.none()
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return st.one_of(st.sampled_from(inner), TEXTS)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        known = [found for found in map(values, inner) if found is not None]
        return st.one_of(known) if known else None
    if typing.get_origin(hint) is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        each = values(inner[0])
        return None if each is None else st.lists(each, max_size=3).map(tuple)
    return None


def options(cls: type) -> dict[str, st.SearchStrategy]:
    hints = typing.get_type_hints(cls)
    found = {f.name: values(hints[f.name]) for f in dataclasses.fields(cls) if f.init}
    return {name: strategy for name, strategy in found.items() if strategy is not None}


def test_the_methods_are_found() -> None:
    assert len(CONFIGS) > 40 and {"Plane", "Line", "Lanczos", "Descent"} <= {name for name, _ in CONFIGS}


def test_absurdly_many_steps_are_refused_in_one_line() -> None:
    """What the search below once found: the count overflowed where it was allocated."""
    with pytest.raises(InputError, match="take fewer"):
        axis(-1.0, 1.0, 10**30)


@pytest.mark.parametrize(("name", "cls"), CONFIGS, ids=[name for name, _ in CONFIGS])
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_option_makes_a_method_or_one_line(name: str, cls: type, data: st.DataObject) -> None:
    known = options(cls)
    needed = {
        f.name for f in dataclasses.fields(cls) if f.init and f.default is f.default_factory is dataclasses.MISSING
    }
    if not needed <= set(known):
        return
    given_ = {n: data.draw(s, label=n) for n, s in known.items() if n in needed or data.draw(st.booleans())}
    try:
        made = cls(**given_)
    except ThalwegError as error:
        assert "\n" not in str(error) and str(error)
    else:
        assert dataclasses.is_dataclass(made)
