"""Two kept lines or planes compared: whether the models differ by more than their directions."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from thalweg.errors import InputError
from thalweg.plot import save
from thalweg.records import Comparison, Record, Slice, encode
from thalweg.report import card
from thalweg.slices import compare
from thalweg.study import kept
from thalweg.study.faces import answer, finite


def compare_records(
    first: str,
    second: str,
    *,
    record: str | None = None,
    level: float = 0.05,
    other_rows: bool = False,
    seed: int = 0,
    figure: str | None = None,
    values: bool = False,
) -> tuple[dict[str, Any], str]:
    """The JSON object and the text of ``thalweg compare``.

    Raises
    ------
    InputError, StoreError
        If there are no such records, or they cannot be compared.
    """
    clock = time.perf_counter()
    found = [_slice(source, record) for source in (first, second)]
    result = compare(found[0], found[1], level=level, other_rows=other_rows, rng=seed)
    if found[0].provenance.points[0] == found[1].provenance.points[0]:  # the studies tell what the points do not
        names = [Path(source).name or source for source in (first, second)]
        result = replace(result, names=(names[0], names[1])) if names[0] != names[1] else result
    if figure is not None:
        save(result, Path(figure))
    said = answer(result, path=None, seconds=time.perf_counter() - clock)
    return finite({**said, **_answered(result, values)}), card(result)


def _slice(source: str, record: str | None) -> Slice:
    if not kept.is_kept(source):
        raise InputError(f"{source} holds no record: give the study of a line or plane drawn with --repeats")

    def repeated(found: Record) -> bool:
        return isinstance(found, Slice) and bool(found.repeats)

    found = kept.one(source, record, repeated)[1]
    if not isinstance(found, Slice):
        raise InputError(f"{source} holds a {found.record_type} record: compare lines or planes drawn with --repeats")
    return found


def _answered(record: Comparison, values: bool) -> dict[str, Any]:
    found = {
        "names": list(record.names),
        "p": record.p_value,
        "exhaustive": record.exhaustive,
        "permutations": record.permutations,
        "contrasts": [encode(contrast) for contrast in record.contrasts],
    }
    return found | ({"values": {n: a.tolist() for n, a in record.arrays().items()}} if values else {})
