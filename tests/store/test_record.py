"""Records: what was kept comes back bit for bit, and what was damaged is named and refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.records.test_records import profile
from tests.store.conftest import HARMS
from thalweg.errors import DamagedError, StoreError
from thalweg.store import Directory, read_record
from thalweg.store.record import write_record

DTYPES = ["?", "i1", "i8", "u2", "f2", "f4", "f8", ">f8", ">i4", "c8", "c16"]


@st.composite
def bits(draw: st.DrawFn) -> np.ndarray:
    """Any bits as values: every NaN with every payload, infinities, subnormals."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    size = int(np.prod(shape)) * dtype.itemsize
    raw = draw(st.binary(min_size=size, max_size=size))
    if dtype.kind == "b":
        raw = bytes(byte & 1 for byte in raw)
    return np.frombuffer(bytearray(raw), dtype).reshape(shape)


NAMES = st.sampled_from(["acc/train", "../up", ".", "..", "zarr.json", "__x", "top 5", "%2F", "", "θ", "c", "A.b-c"])


@given(values=bits(), name=NAMES)
@settings(max_examples=60, deadline=None)
def test_records_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, name: str) -> None:
    data = {"loss": np.zeros(1), "coordinates": np.zeros(1), "values": values, name: values}
    record = profile(np.array([np.nan, 1.0, -np.inf]), data=data)
    path = tmp_path_factory.mktemp("r") / "r.zarr"
    found = read_record(path, write_record(path, record))
    assert set(found.data) == set(record.data) and [p.name for p in path.parent.iterdir()] == ["r.zarr"]
    for key, array in record.arrays().items():
        kept = found.data[key]
        assert (
            kept.dtype.byteorder in "=|" and kept.dtype == array.dtype.newbyteorder("=") and kept.shape == array.shape
        )
        same = kept if array.dtype.isnative else kept.byteswap()
        assert same.tobytes() == array.tobytes()
    assert repr(found.provenance) == repr(record.provenance) and found.status is record.status


def test_an_array_of_objects_is_refused_and_leaves_nothing(directory: Directory) -> None:
    record = profile(np.zeros(3), data={"loss": np.zeros(1), "coordinates": np.zeros(1), "x": np.array([{}])})
    with pytest.raises(StoreError, match="'x' has dtype object"):
        directory.save_record("r", record)
    assert not (directory.path / "records").exists() and not directory.has_record("r")


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_array_is_named_and_refused(directory: Directory, harm: str) -> None:
    directory.save_record("r", profile(np.arange(5.0) + 1))
    HARMS[harm](directory.record_path("r") / "loss" / "c.0")
    with pytest.raises(DamagedError, match=r"r\.zarr: array 'loss'"):
        directory.load_record("r")
    with pytest.raises(DamagedError, match="damaged after it was written"):
        read_record(directory.record_path("r"))


def test_no_flipped_byte_of_metadata_is_half_read(directory: Directory) -> None:
    values = np.arange(3.0)
    directory.save_record("r", profile(values))
    whole = read_record(directory.record_path("r"))
    refused = tried = 0
    for path in directory.record_path("r").rglob("zarr.json"):
        body = path.read_bytes()
        for at in range(3, len(body), 23):
            path.write_bytes(body[:at] + bytes([body[at] ^ 4]) + body[at + 1 :])
            tried += 1
            try:
                found = read_record(path.parents[0] if path.parent.suffix == ".zarr" else path.parents[1])
            except StoreError as error:
                refused += 1
                assert "r.zarr" in str(error) and "\n" not in str(error)
            else:  # a byte that says nothing about the answer, as white space or a fill value
                assert repr(found.provenance) == repr(whole.provenance)
                assert {n: a.tobytes() for n, a in found.data.items()} == {
                    n: a.tobytes() for n, a in whole.data.items()
                }
        path.write_bytes(body)
    assert read_record(directory.record_path("r")).data["loss"].tobytes() == values.tobytes()
    assert tried > 100 and refused > tried / 3


def changed(path: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    content = json.loads((path / "zarr.json").read_text())
    change(content["attributes"])
    (path / "zarr.json").write_text(json.dumps(content))


def test_changed_metadata_are_refused_with_and_without_the_ledger(directory: Directory) -> None:
    directory.save_record("r", profile(np.zeros(3)))
    path = directory.record_path("r")
    changed(path, lambda attributes: attributes["thalweg"]["fields"].update(center_loss=123.0))
    with pytest.raises(DamagedError, match="the ledger's checksum"):
        directory.load_record("r")
    with pytest.raises(DamagedError, match="metadata differ"):
        read_record(path)
    changed(path, lambda attributes: attributes.pop("checksums"))
    with pytest.raises(DamagedError, match="not whole"):
        read_record(path)


def test_another_record_in_its_place_is_refused(directory: Directory) -> None:
    directory.save_record("a", profile(np.zeros(3)))
    directory.save_record("b", profile(np.ones(3)))
    shutil.rmtree(directory.record_path("a"))
    directory.record_path("b").rename(directory.record_path("a"))
    with pytest.raises(DamagedError, match="the ledger's checksum"):
        directory.load_record("a")
    with pytest.raises(StoreError, match=r"b\.zarr is no record"):
        directory.load_record("b")


def test_what_is_no_record_is_refused_and_added_arrays_too(directory: Directory, tmp_path: Path) -> None:
    import zarr

    group = zarr.open_group(str(tmp_path / "g.zarr"), mode="w")
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "g.zarr"):
        with pytest.raises(StoreError, match="no record"):
            read_record(path)
    directory.save_record("r", profile(np.zeros(3)))
    (directory.record_path("r") / ".DS_Store").write_text("a file manager was here")
    assert directory.load_record("r") is not None
    shutil.copytree(Path(group.store.root) / ".", directory.record_path("r") / "extra")  # type: ignore[attr-defined]
    with pytest.raises(DamagedError, match="'extra' was added"):
        directory.load_record("r")


def test_a_record_of_another_schema_is_refused(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    record = profile(np.zeros(3))
    monkeypatch.setattr(type(record), "schema", 99)
    directory.save_record("r", record)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="schema 99"):
        directory.load_record("r")
