"""Records whose checksums are right and whose arrays are not: shown, or refused in one line when they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.plot import made
from thalweg.errors import StoreError, ThalwegError
from thalweg.records import KINDS, Record, shapes
from thalweg.store import read_record
from thalweg.store.record import write_record
from thalweg.study import show_record

RECORDS: dict[str, Callable[[], Record]] = {
    "surface": made.surface,
    "profile": made.profile,
    "spectrum": made.spectrum,
    "run": made.run,
    "topology": made.topology,
}

CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "cut": lambda x: x[:-1],
    "repeated": lambda x: np.concatenate([x, x]),
    "flattened": lambda x: x.reshape(-1) if x.ndim > 1 else x[:, None],
    "summed": lambda x: np.asarray(x.sum()),
    "emptied": lambda x: x[:0],
    "complex": lambda x: x + 1j,
    "turned": lambda x: x.T if x.ndim > 1 and x.shape[0] != x.shape[-1] else x[None],
}
"""What may be done to an array; each changes its shape or its kind."""


def forged(record: Record, name: str, change: Callable[[np.ndarray], np.ndarray], path: Path) -> Path:
    """The record with one array changed, written with checksums that are right."""
    write_record(path, replace(record, data={**record.arrays(), name: change(record.data[name])}))
    return path


@pytest.mark.parametrize("kind", RECORDS)
def test_records_as_they_are_made_are_read(kind: str, tmp_path: Path) -> None:
    record = RECORDS[kind]()
    write_record(tmp_path / "r.zarr", record)
    assert read_record(tmp_path / "r.zarr").summary == record.summary


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [(kind, name, change) for kind in RECORDS for name in ("loss", "eigenvalues", "births") for change in CHANGES],
)
def test_an_array_that_does_not_fit_is_named(kind: str, name: str, change: str, tmp_path: Path) -> None:
    record = RECORDS[kind]()
    if name not in record.data:
        return
    path = forged(record, name, CHANGES[change], tmp_path / "r.zarr")
    with pytest.raises(StoreError, match=rf"this is no {kind} record, though it says so .* (has shape|holds)") as error:
        read_record(path)
    assert "\n" not in str(error.value)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_in_a_record_it_is_shown_or_refused_in_one_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Shapes that fit and values that do not, too: numbers of cells that are nowhere, NaN, nothing at all."""
    record = RECORDS[data.draw(st.sampled_from(sorted(RECORDS)))]()
    changed = record.arrays()
    for name in data.draw(st.lists(st.sampled_from(sorted(changed)), min_size=1, max_size=3)):
        value = data.draw(st.sampled_from([-1, 0, 10**9, np.nan, np.inf]))
        with np.errstate(invalid="ignore"):
            changed[name] = np.full_like(changed[name], np.float64(value).astype(changed[name].dtype))
        if data.draw(st.booleans()):
            changed[name] = changed[name][:0]
    folder = tmp_path_factory.mktemp("forged")
    write_record(folder / "r.zarr", replace(record, data=changed))
    figure = str(folder / "r.png") if data.draw(st.integers(0, 4)) == 0 else None
    try:
        found, text = show_record(str(folder / "r.zarr"), figure=figure)
    except ThalwegError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert text and found["kind"] == record.record_type


def test_shapes_are_those_of_kinds_that_there_are() -> None:
    assert set(shapes.SHAPES) <= set(KINDS)
    for kind, text in shapes.SHAPES.items():
        listed = {name for name, _ in shapes._listed(text)}
        assert len(listed) > 0 and set(KINDS[kind].required) <= listed, kind
