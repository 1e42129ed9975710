"""The numbers of two records beside each other, and whether anything tells them apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from thalweg.plot.footer import guarantee_of
from thalweg.records import (
    Classification,
    Comparison,
    Connection,
    Profile,
    Record,
    Run,
    SharpnessTable,
    SpectralDensity,
    Spectrum,
    Surface,
    Topology,
)
from thalweg.records.trajectories import AlongRun

UNTESTED = "one number each: nothing here says what chance alone would do"

ELSEWHERE = "not comparable: the networks have other parameters"

PARAMETRIC = (
    "least gradient norm at the end", "gradient norm", "largest eigenvalue found", "smallest eigenvalue found", "index",
    "sharpness at the end", "distance from the start",
)  # fmt: skip
"""Numbers whose size depends on what the parameters are: of two networks with other parameters they say nothing."""


@dataclass(frozen=True)
class Number:
    """A number with the interval that holds it where there is one, both ends None elsewhere."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        """As written in a table."""
        if self.low is not None and self.high is not None and self.value is None:
            return f"{self.low:.5g} to {self.high:.5g}"
        if self.value is None or not math.isfinite(self.value):
            return "–"
        error = 0.0 if self.low is None or self.high is None else (self.high - self.low) / 2
        return f"{self.value:.5g}" + (f" ± {error:.1g}" if error else "")


@dataclass(frozen=True)
class Difference:
    """One number of two records: its name, both, how sure each is, and what tells them apart."""

    record: str
    name: str
    first: Number
    second: Number
    guarantees: tuple[str, str]
    verdict: str

    @property
    def change(self) -> float | None:
        """Second less first; None where one of them is not known."""
        if self.first.value is None or self.second.value is None:
            return None
        found = self.second.value - self.first.value
        return found if math.isfinite(found) else None


def differences(name: str, first: Record, second: Record, test: Comparison | str | None = None) -> list[Difference]:
    """What both records say, number by number; with the rank test's contrasts where there is one."""
    kinds = (guarantee_of(first), guarantee_of(second))
    mine, theirs = numbers(first), numbers(second)
    alike = first.provenance.fingerprint.shapes == second.provenance.fingerprint.shapes
    found = [
        Difference(
            name, key, mine[key], theirs[key], kinds,
            verdict(mine[key], theirs[key]) if alike or key not in PARAMETRIC else ELSEWHERE,
        )
        for key in mine
        if key in theirs
    ]  # fmt: skip
    if isinstance(test, Comparison):
        said = "exact rank test" if test.exhaustive else f"rank test, {test.permutations:,} permutations"
        for c in test.contrasts:
            apart = "told apart" if c.p <= test.level else "not told apart"
            found.append(
                Difference(
                    name, f"{c.name}, median over directions", Number(c.first), Number(c.second), kinds,
                    f"{apart}: p = {c.p:.2g}, adjusted ({said}); the first is larger in {c.superiority:.0%} of pairs",
                )
            )  # fmt: skip
    return found


def verdict(first: Number, second: Number) -> str:
    """Whether two intervals meet; without intervals nothing is decided."""
    if None in (first.low, first.high, second.low, second.high):
        return UNTESTED
    assert first.low is not None and first.high is not None and second.low is not None and second.high is not None
    apart = first.high < second.low or second.high < first.low
    return "told apart: the intervals do not meet" if apart else "not told apart: the intervals meet"


def numbers(record: Record) -> dict[str, Number]:
    """The main numbers of a record by name; none of a kind that has tables instead."""
    return _NUMBERS[record.record_type](record) if record.record_type in _NUMBERS else {}


def _values(**given: float | None) -> dict[str, Number]:
    found = {key.replace("_", " "): value for key, value in given.items()}
    return {key: Number(None if value is None else float(value)) for key, value in found.items()}


def _spectrum(record: Spectrum) -> dict[str, Number]:
    values, reach = record.eigenvalues, record.residuals + record.slack
    ends = {"largest eigenvalue found": 0, "smallest eigenvalue found": -1} if values.size else {}
    return {
        key: Number(float(values[i]), float(values[i] - reach[i]), float(values[i] + reach[i]))
        for key, i in ends.items()
    }


def _classification(record: Classification) -> dict[str, Number]:
    i = record.index
    index = Number(i.lower if i.lower == i.upper else None, i.lower, i.upper)
    return _values(loss=record.value, gradient_norm=record.gradient_norm) | {"index": index}


def _profile(record: Profile) -> dict[str, Number]:
    found = _values(loss_at_the_centre=record.center_loss)
    return found | ({} if record.barrier is None else _values(largest_rise_sampled=record.barrier))


def _density(record: SpectralDensity) -> dict[str, Number]:
    few, many = record.share_below(0.0)
    return {f"share of eigenvalues at or below 0 ({record.level:.0%})": Number(None, few, many)}


def _along(record: AlongRun) -> dict[str, Number]:
    if not record.data["steps"].size:
        return {}
    ends = {key: float(record.data[key][-1]) for key in ("sharpness", "from_start")}
    return _values(sharpness_at_the_end=ends["sharpness"], distance_from_the_start=ends["from_start"])


_NUMBERS: dict[str, Callable[..., dict[str, Number]]] = {
    Run.record_type: lambda r: _values(
        least_loss_at_the_end=r.final_loss.min(), least_gradient_norm_at_the_end=r.final_gradient_norm.min()
    ),
    Surface.record_type: lambda r: _values(
        loss_at_the_centre=r.center_loss, least_loss_on_the_grid=r.loss_min, greatest_loss_on_the_grid=r.loss_max
    ),
    Profile.record_type: _profile,
    Spectrum.record_type: _spectrum,
    SpectralDensity.record_type: _density,
    Classification.record_type: _classification,
    Topology.record_type: lambda r: _values(basins_that_are_more_than_the_error=r.surviving),
    AlongRun.record_type: _along,
}


def measures(first: SharpnessTable, second: SharpnessTable) -> list[dict[str, Any]]:
    """Each measure of sharpness at both points; those that rescaling does not move first."""
    found = []
    for one in first.measures:
        other = next((m for m in second.measures if m.name == one.name), None)
        if other is None:
            continue
        found.append(
            {
                "measure": one.name,
                "definition": one.definition,
                "first": one.value,
                "second": other.value,
                "errors": [one.error, other.error],
                "invariant": None if None in (one.invariant, other.invariant) else one.invariant and other.invariant,
                "guarantees": [one.guarantee.value, other.guarantee.value],
            }
        )
    return sorted(found, key=lambda row: not row["invariant"])


def methods(first: Connection, second: Connection) -> list[dict[str, Any]]:
    """The largest F on each method's path, in both; None where a method was not run or gave no path."""
    rows = [{row.method: row for row in record.rows} for record in (first, second)]
    names = dict.fromkeys([*rows[0], *rows[1]])
    return [
        {
            "method": name,
            **{
                key: None if name not in held else _joined(held[name])
                for key, held in zip(("first", "second"), rows, strict=True)
            },
        }
        for name in names
    ]


def _joined(row: Any) -> Mapping[str, Any]:
    return {
        "status": row.status.name,
        "maximum": row.maximum.lower,
        "upper": row.maximum.upper,
        "level": row.level,
        "length": row.length,
        "gradients": row.evaluations,
        "guarantee": row.guarantee.value,
    }
