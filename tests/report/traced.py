"""Where the numbers of a sentence come from: each must be one of the JSON object's, rounded as it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

NUMBER = re.compile(r"(?<![\w.])[-−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?: ?%)?")


def numbers(value: Any) -> Iterator[float]:
    """Every number in a JSON value, and how long its lists are."""
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list):
        yield len(value)
        for item in value:
            yield from numbers(item)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str) and value:
        yield value


def untraced(told: dict[str, Any], *sentences: str) -> list[str]:
    """The numbers of the sentences that the object does not hold; numbers within names are no numbers."""
    known = [*numbers({k: told[k] for k in ("values", "arrays", "cost", "provenance")})]
    named = {name for name in (*strings(told["values"]), *strings(told["provenance"])) if re.search("[a-z]", name)}
    names = sorted(named, key=len, reverse=True)
    found = []
    for sentence in sentences:
        for name in names:
            sentence = sentence.replace(name, " ")
        found += [t for t in NUMBER.findall(sentence) if not any(_written(x, t) for x in known)]
    return found


def _written(x: float, text: str) -> bool:
    """Whether ``text`` is ``x``, rounded to as many digits as it has."""
    share = text.endswith("%")
    bare = text.rstrip(" %").replace(",", "").replace("−", "-")
    mantissa, _, power = bare.partition("e")
    decimals = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(power or 0) - decimals)
    return abs(x * (100 if share else 1) - float(bare)) <= 0.5 * unit * (1 + 1e-6)
