"""The binary version is read byte by byte as documented; everything else is refused with what to do."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg.errors import DataError, InputError
from thalweg.zoo.cifar import CIFAR10, CIFAR100, Layout, read_cifar, read_rows


def write_cifar(path: Path, layout: Layout, rows: int, seed: int = 0) -> np.ndarray:
    """Random rows of a layout; returns them."""
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 256, (rows, layout.row)).astype(np.uint8)
    for i, count in enumerate(layout.labels):
        table[:, i] = rng.integers(0, count, rows)
    path.write_bytes(table.tobytes())
    return table


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    """A folder of CIFAR-10 with 4 rows in each of the five files and 3 test rows."""
    for i, name in enumerate(CIFAR10.train):
        write_cifar(tmp_path / name, CIFAR10, 4, seed=i)
    write_cifar(tmp_path / "test_batch.bin", CIFAR10, 3, seed=9)
    return tmp_path


@pytest.fixture
def hundred(tmp_path: Path) -> Path:
    """A folder of CIFAR-100 with 12 training and 3 test rows."""
    folder = tmp_path / "hundred"
    folder.mkdir()
    write_cifar(folder / "train.bin", CIFAR100, 12)
    write_cifar(folder / "test.bin", CIFAR100, 3)
    return folder


def test_the_published_files_are_whole_rows() -> None:
    """Krizhevsky's page: 10,000 rows of 3,073 bytes, 30,730,000 in a file; CIFAR-100 has two label bytes."""
    assert CIFAR10.row * CIFAR10.file_rows[0] == 30_730_000 and CIFAR100.row == 3_074
    assert CIFAR10.archive == "cifar-10-binary.tar.gz" and CIFAR100.archive == "cifar-100-binary.tar.gz"


@given(st.integers(0, 2), st.integers(0, 31), st.integers(0, 31), st.integers(0, 255), st.booleans())
@settings(max_examples=20, deadline=None)
def test_every_byte_is_where_the_format_says(
    tmp_path_factory: pytest.TempPathFactory, channel: int, row: int, column: int, value: int, fine: bool
) -> None:
    layout = CIFAR100 if fine else CIFAR10
    folder = tmp_path_factory.mktemp("cifar")
    body = bytearray(layout.row)
    body[len(layout.labels) - 1] = 7
    body[len(layout.labels) + 1024 * channel + 32 * row + column] = value
    for name in layout.train:
        (folder / name).write_bytes(bytes(body))
    images, labels = read_cifar(folder, layout)
    assert labels.tolist() == [7] * len(layout.train) and labels.dtype == torch.int64
    mean, std = (torch.tensor(x, dtype=torch.float64).reshape(3, 1, 1) for x in (layout.mean, layout.std))
    expected = torch.zeros(3, 32, 32, dtype=torch.float64)
    expected[channel, row, column] = value / 255
    torch.testing.assert_close(images[0].double(), (expected - mean) / std, rtol=1e-5, atol=1e-6)


def test_files_are_read_in_order_and_only_as_far_as_needed(ten: Path) -> None:
    tables = [np.frombuffer((ten / n).read_bytes(), np.uint8).reshape(-1, 3073) for n in CIFAR10.train]
    images, labels = read_cifar(ten, CIFAR10)
    assert labels.tolist() == np.concatenate(tables)[:, 0].tolist() and images.shape == (20, 3, 32, 32)
    for name in CIFAR10.train[2:]:
        (ten / name).unlink()
    some = read_cifar(ten, CIFAR10, rows=6)
    assert torch.equal(some[0], images[:6]) and torch.equal(some[1], labels[:6])
    assert len(read_cifar(ten, CIFAR10, "test")[1]) == 3
    with pytest.raises(DataError, match=r"no data_batch_3.bin, only 8 rows .* rows=8"):
        read_cifar(ten, CIFAR10)


def test_the_folder_of_the_archive_is_found_inside(ten: Path, tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "cifar-10-batches-bin"
    inner.mkdir(parents=True)
    for path in ten.glob("*.bin"):
        path.rename(inner / path.name)
    assert len(read_cifar(tmp_path / "outer", CIFAR10)[1]) == 20


def test_fine_labels_are_the_classes(hundred: Path) -> None:
    table = np.frombuffer((hundred / "train.bin").read_bytes(), np.uint8).reshape(-1, 3074)
    assert read_cifar(hundred, CIFAR100)[1].tolist() == table[:, 1].tolist()


def test_subjects(ten: Path, hundred: Path) -> None:
    risk = tw.zoo.cifar10(str(ten), rows=18, hidden=(5,))
    assert risk.row_count == 18 and risk.metrics == ("accuracy",) and risk.space.size == 3073 * 5 + 6 * 10
    fine = tw.zoo.cifar100(str(hundred), split="test", hidden=(), dtype=torch.float64)
    assert fine.row_count == 3 and fine.space.size == 3073 * 100 and fine.space.dtype == torch.float64
    assert torch.equal(fine.table.inputs, read_cifar(hundred, CIFAR100, "test")[0].flatten(1).double())


def test_damaged_files_are_refused(ten: Path, hundred: Path) -> None:
    path = ten / "data_batch_1.bin"
    whole = path.read_bytes()
    for body, words in (
        (whole[:-1], r"12,291 bytes, no whole rows of 3,073: it is truncated .* 30,730,000"),
        (whole + b"\0", "12,293 bytes"),
        (b"", "0 bytes"),
        (gzip.compress(whole), "gzipped; unpack it"),
        (pickle.dumps({"data": whole}, protocol=2), r"a pickle, which is never loaded; .*cifar-10-binary.tar.gz"),
        ((hundred / "train.bin").read_bytes(), "rows of CIFAR-100; use cifar100"),
    ):
        assert len(body) % 3073 or not body
        path.write_bytes(body)
        with pytest.raises(DataError, match=words):
            read_rows(path, CIFAR10)
    bad = bytearray(whole)
    bad[2 * 3073] = 10
    path.write_bytes(bytes(bad))
    with pytest.raises(DataError, match=r"row 2 has label 10, and byte 0 of a CIFAR-10 row is 0 to 9"):
        read_rows(path, CIFAR10)
    assert len(read_rows(path, CIFAR10, 2)) == 2  # what is not read is not judged
    bad = bytearray((hundred / "test.bin").read_bytes())
    for byte, value in ((0, 20), (1, 100)):
        spoiled = bad.copy()
        spoiled[3074 + byte] = value
        (hundred / "test.bin").write_bytes(bytes(spoiled))
        with pytest.raises(DataError, match=f"row 1 has label {value}, and byte {byte}"):
            read_rows(hundred / "test.bin", CIFAR100)


@pytest.mark.parametrize("name", ["data_batch_1", "batches.meta", "cifar-10-python.tar.gz", "cifar-10-batches-py"])
def test_the_python_version_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x02")
    with pytest.raises(DataError, match=rf"holds {name}, of the Python version .*\(cifar-10-binary.tar.gz"):
        read_cifar(tmp_path, CIFAR10)


def test_what_is_missing_is_said_with_the_remedy(hundred: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"no such directory; give the folder that holds data_batch_1.bin"):
        read_cifar(tmp_path / "nowhere", CIFAR10)
    with pytest.raises(DataError, match=r"found: nothing.*cifar-10-binary.tar.gz"):
        read_cifar(empty, CIFAR10)
    with pytest.raises(DataError, match="it holds CIFAR-100: use cifar100"):
        tw.zoo.cifar10(str(hundred))
    packed = empty / "cifar-100-binary.tar.gz"
    packed.write_bytes(b"\x1f\x8b")
    with pytest.raises(DataError, match="still packed: unpack it there"):
        read_cifar(empty, CIFAR100)
    with pytest.raises(DataError, match="is a file: unpack"):
        read_cifar(packed, CIFAR100)
    with pytest.raises(DataError, match="pass --data FOLDER"):
        tw.zoo.cifar100()
    with pytest.raises(InputError, match="rows=13: cifar100 has 12 rows"):
        tw.zoo.cifar100(str(hundred), rows=13)
    with pytest.raises(InputError, match="rows=0"):
        tw.zoo.cifar100(str(hundred), rows=0)
    with pytest.raises(InputError, match="split='valid'"):
        tw.zoo.cifar100(str(hundred), split="valid")
