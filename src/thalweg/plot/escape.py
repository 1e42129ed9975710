"""What a figure of a race shows: curves of survival, a table in the order of arrival, exponents with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.records.escapes import Race, RaceRow

PANELS = 3
"""Landscapes of which the figure shows the curves; the table and the exponents have all of them."""

DASHES = ("-", "--", ":", "-.")
"""Styles in matplotlib's words; a rule has the colour of its number and the style of the round it is in."""

NAMES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
"""The same in plotly's."""

HEAD = ("rule", "steps", "quartiles", "gradients", "products", "escaped", "interval", "stationary", "s")


@dataclass(frozen=True)
class Curve:
    """A rule's staircase: the share of starts not yet below the level against ``x`` ≥ 1, and how it is drawn."""

    rule: str
    x: np.ndarray
    share: np.ndarray
    colour: int
    dash: str
    label: str


def places(record: Race) -> Sequence[int]:
    """Landscapes whose curves are drawn: all of few, else the first, the middle one and the last."""
    many = len(record.landscapes)
    return range(many) if many <= PANELS else (0, many // 2, many - 1)


def rules(record: Race) -> list[str]:
    """Every rule once, in the order in which it was asked for: the same colour on every landscape."""
    return list(dict.fromkeys(lane.rule for lane in record.lanes))


def powered(record: Race) -> list[str]:
    """The rules of which an exponent is known."""
    return [name for name in rules(record) if any(e.what == name and e.value is not None for e in record.exponents)]


def curves(record: Race, place: int, what: str = "steps") -> list[Curve]:
    """The curves of a landscape, the first to pass the level first."""
    order, rows, found = rules(record), record.rows, []
    palette = 6
    for i, lane in enumerate(record.lanes):
        if lane.landscape != place:
            continue
        x, share = record.survival(i, what).steps(1.0)
        number = order.index(lane.rule)
        median = rows[i].median_steps if what == "steps" else record.survival(i, what).median
        said = "not reached" if median is None else f"{median:,.0f}"
        dash = DASHES[number // palette % len(DASHES)]
        found.append(Curve(lane.rule, np.maximum(x, 1.0), share, number % palette, dash, f"{lane.rule}  {said}"))
    return sorted(found, key=_arrival)


def _arrival(curve: Curve) -> tuple[float, float]:
    below = curve.x[curve.share <= 0.5]
    return (float(below[0]) if below.size else np.inf), float(curve.share[-1])


def ordered(record: Race, place: int) -> list[RaceRow]:
    """A landscape's rows in the order of their median steps; those not reached come last."""
    rows = [row for row, lane in zip(record.rows, record.lanes, strict=True) if lane.landscape == place]
    return sorted(rows, key=lambda r: (np.inf if r.median_steps is None else r.median_steps, -r.passed))


def cells(row: RaceRow) -> tuple[str, ...]:
    """A row as text, in the order of :data:`HEAD`."""
    low, high = row.interval
    judged = f"{row.stationary}/{row.judged}" if row.judged else "–"
    return (
        row.rule,
        number(row.median_steps),
        _span(row.quartiles),
        number(row.gradients),
        number(row.products),
        f"{row.escaped:.0%}",
        f"{low:.0%} – {high:.0%}",
        judged,
        f"{row.seconds:.1f}",
    )


def number(value: float | None) -> str:
    """A median as text; a quantile that too few starts reached is said to be so."""
    return "not reached" if value is None else f"{value:,.0f}"


def _span(ends: tuple[float | None, float | None]) -> str:
    low, high = ends
    if low is None:
        return "–"
    return f"{low:,.0f} – {'not reached' if high is None else format(high, ',.0f')}"


def begin(shown: Sequence[Curve]) -> float:
    """Where the axis begins: half of the first passage, so that nothing but full shares lies before it."""
    events = [c.x[c.share < 1].min() for c in shown if (c.share < 1).any()]
    return max(1.0, 0.5 * float(min(events))) if events else 1.0


def titles(record: Race) -> list[str]:
    """What tells the landscapes apart: their names, which hold their parameters."""
    return [place.name for place in record.landscapes]
