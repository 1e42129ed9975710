"""On what terms two studies may be compared: what is the same, what is not, and what that forbids."""

from __future__ import annotations

import math
from dataclasses import dataclass

from thalweg.records import Record


@dataclass(frozen=True)
class Term:
    """One condition: its name, what either study has, whether they agree, and what follows where they do not."""

    name: str
    first: str
    second: str
    same: bool
    follows: str = ""


def terms(first: Record, second: Record) -> list[Term]:
    """The conditions under which two records of two studies were computed, from their provenance."""
    mine, theirs = first.provenance, second.provenance
    a, b = mine.fingerprint, theirs.fingerprint
    rows = [
        (
            "parameters", a.shapes[:12], b.shapes[:12],
            "The networks have other parameters: distances, eigenvalues, gradients and directions belong to different "
            "spaces, and their sizes say nothing of each other. F and its rises may be compared.",
        ),
        (
            "rows", f"{mine.rows:,}, {a.data[:12] or 'no data'}", f"{theirs.rows:,}, {b.data[:12] or 'no data'}",
            "F is a mean over other rows: the rows alone may be why its values differ, and no rank test is made.",
        ),
        (
            "statistics", mine.statistics or "nothing to normalise", theirs.statistics or "nothing to normalise",
            "Normalisation follows another policy, which changes F itself away from the points: their surfaces are of "
            "two different functions.",
        ),
        ("numerics", f"{mine.dtype} on {mine.device}", f"{theirs.dtype} on {theirs.device}",
         "Differences of the size of the coarser rounding mean nothing."),
        ("seed", mine.seed.partition("/")[0], theirs.seed.partition("/")[0],
         "Directions were drawn from other seeds: two pictures along random directions differ by those as well."),
    ]  # fmt: skip
    found = [Term(name, x, y, x == y, "" if x == y else said) for name, x, y, said in rows]
    return [*found[:2], _loss(first, second), *found[2:]]


def _loss(first: Record, second: Record) -> Term:
    """F at the two points that every objective is fingerprinted at; of other networks these are no one function."""
    a, b = first.provenance.fingerprint, second.provenance.fingerprint
    shown = [", ".join(f"{value:.5g}" for value in one.probes) for one in (a, b)]
    same = len(a.probes) == len(b.probes) and all(
        math.isclose(x, y, rel_tol=1e-4, abs_tol=1e-12) or (math.isnan(x) and math.isnan(y))
        for x, y in zip(a.probes, b.probes, strict=True)
    )
    if same:
        said = ""
    elif (a.shapes, a.data, a.statistics) == (b.shapes, b.data, b.statistics):
        said = (
            "F differs at the same parameters on the same rows: another loss or another network. Its values are not "
            "measured in one unit."
        )
    else:
        said = "Parameters, rows or statistics differ, so that this cannot tell whether the loss is the same one."
    return Term("F at two fixed points", shown[0], shown[1], same, said)
