"""Files of unknown origin: none runs code, none takes more memory than it holds, each is refused in one line."""

from __future__ import annotations

import json
import os
import pickle
import pickletools
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults import traps
from tests.plot import made
from thalweg import limits
from thalweg.core import pickled
from thalweg.core.checkpoints import load_points
from thalweg.core.risk import EmpiricalRisk
from thalweg.errors import CheckpointError, DamagedError, DataError, InputError, LimitError, StoreError, ThalwegError
from thalweg.export import load, save
from thalweg.paths.curve import load as load_curve
from thalweg.slices import load_directions
from thalweg.store import Directory, read_record
from thalweg.store.record import _digest, write_record
from thalweg.store.state import load_state, save_state
from thalweg.zoo.cifar import CIFAR10, read_rows
from thalweg.zoo.idx import read_idx

LIMIT = "4MiB"
SPARE = 3 * 2**20
"""What Python may take beyond the limit while it refuses a file."""


@pytest.fixture(scope="module")
def objective() -> EmpiricalRisk:
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 2, bias=False, dtype=torch.float64)
    return EmpiricalRisk(model, torch.nn.MSELoss(), (torch.randn(3, 2).double(), torch.randn(3, 2).double()))


@pytest.fixture
def limited() -> Iterator[None]:
    with limits.at_most(LIMIT):
        yield


def refused(read: Callable[[], object], *kinds: type[ThalwegError]) -> str:
    """The one line with which a reader refuses, after it is known to have allocated nothing of note."""
    tracemalloc.start()
    try:
        with pytest.raises(kinds or ThalwegError) as error:
            read()
        assert tracemalloc.get_traced_memory()[1] < limits.size(LIMIT, "limit") + SPARE
    finally:
        tracemalloc.stop()
    line = str(error.value)
    assert "\n" not in line
    assert "alloc" not in line.replace("allow", "").lower()  # what only the allocator refused was asked of it
    return line


# --- nothing runs ---------------------------------------------------------------------------------------------


def test_a_pickle_that_would_run_code_is_refused_and_nothing_runs(objective: EmpiricalRisk, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for name, path in traps.running_pickles(tmp_path, mark).items():
        line = refused(lambda path=path: load_points(objective, path), CheckpointError)
        assert name.endswith(".safetensors") or "would have to run code" in line, name
        assert not mark.exists(), name
    torch.load(tmp_path / "zip.pt", weights_only=False)  # the control: the trap works
    assert mark.exists()


def test_a_pickle_in_any_other_place_is_refused_and_nothing_runs(objective: EmpiricalRisk, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    body = traps.running_pickles(tmp_path, mark)["plain.pt"].read_bytes()
    objects = traps.npy((1,), body, "|O")
    for name in ("r.npz", "d.json", "d.safetensors", "s.h5", "data_batch_1.bin", "train-images-idx3-ubyte", "c.npz"):
        (tmp_path / name).write_bytes(body)
    refused(lambda: load(tmp_path / "r.npz"), StoreError)
    refused(lambda: load(tmp_path / "s.h5"), StoreError)
    refused(lambda: load_directions(tmp_path / "d.json", objective), CheckpointError)
    refused(lambda: load_directions(tmp_path / "d.safetensors", objective), CheckpointError)
    refused(lambda: load_curve(tmp_path / "d.safetensors"), InputError)
    refused(lambda: read_idx(tmp_path / "train-images-idx3-ubyte"), DataError)
    refused(lambda: read_rows(tmp_path / "data_batch_1.bin", CIFAR10), DataError)
    path = save(made.spectrum(), tmp_path / "record.npz")
    with zipfile.ZipFile(path, "a") as held:
        held.writestr("evil.npy", objects)
    assert "allow_pickle is never set" in refused(lambda: load(path), StoreError)
    assert "allow_pickle is never set" in refused(
        lambda: load_state(traps.archive(tmp_path / "x.state.npz", {"checksum.npy": objects})), DamagedError
    )
    assert not mark.exists()


# --- checkpoints ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trap", "kind"),
    [
        (lambda p: traps.checkpoint(p, stored=traps.TWO_40), CheckpointError),
        (lambda p: traps.checkpoint(p, size=traps.TWO_40), CheckpointError),
        (lambda p: traps.checkpoint(p, size=traps.TWO_40, stride=b"K\x00"), LimitError),
        (lambda p: traps.checkpoint(p, stored=traps.TWO_40, size=traps.TWO_40), CheckpointError),
        (lambda p: traps.legacy(p, 0), LimitError),
        (lambda p: traps.legacy(p, 1), LimitError),
        (traps.packed_checkpoint, LimitError),
        (lambda p: traps.sparse(p, 2**40), LimitError),
        (lambda p: traps.archive(p, {"a/data.pkl": b"x" * 10, "a/data.pkl ": b""}), CheckpointError),
    ],
    ids=["stored", "size", "repeated", "both", "legacy-stored", "legacy-size", "packed", "sparse", "odd"],
)
def test_a_checkpoint_that_asks_for_too_much_is_refused(
    trap: Callable[[Path], Path], kind: type[ThalwegError], objective: EmpiricalRisk, tmp_path: Path, limited: None
) -> None:
    path = trap(tmp_path / "trap.pt")
    assert "trap.pt" in refused(lambda: load_points(objective, path), kind)


@pytest.mark.parametrize("make", [traps.pickled, traps.old_pickled], ids=["zip", "old"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (traps.doubled(60), "unfold to"),
        (traps.doubled(18), None),  # 2¹⁹ values, which take a moment: few enough
        (traps.nested(200_000), "101 deep"),  # Python would end the process
        (traps.keyed_often(3000), "keys that unfold"),
        (traps.zeros(2**40), "asks for 1,099,511,627,776 bytes"),
        (traps.encoded(10), "the encoding 'idna'"),
    ],
    ids=["doubled", "little", "nested", "often", "zeros", "encoded"],
)
def test_a_pickle_that_would_never_end_is_refused_before_it_is_read(
    make: Callable[[Path, bytes], Path], body: bytes, said: str | None, objective: EmpiricalRisk, tmp_path: Path
) -> None:
    path = make(tmp_path / "trap.pt", body)
    line = refused(lambda: load_points(objective, path), CheckpointError if said is None else LimitError)
    assert (said or "no dict of tensors") in line


@given(shape=st.recursive(st.integers(0, 3), lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=30))
@settings(max_examples=60, deadline=None)
def test_what_a_pickle_unfolds_to_is_counted(shape: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Against counting the values themselves; nothing that a tuple without repetitions holds is ever refused."""

    def size(value: object) -> int:
        return 1 + sum(size(x) for x in value) if isinstance(value, tuple) else 1

    machine = pickled._Machine(Path("x.pt"))
    for opcode, argument, _ in pickletools.genops(pickle.dumps(shape, protocol=2)):
        if opcode.name == "STOP":
            assert machine.stack[-1].steps == size(shape) and not machine.below
        machine.step(opcode.name, argument)


@pytest.mark.parametrize("dtype", ["F32", "F64", "BF16", "F4", "X"])
@pytest.mark.parametrize(
    ("shape", "ends"),
    [([2**60], [0, 2**62]), ([2**31, 2**31], [0, 16]), ([4], [0, 2**60]), ([2, 2], [16, 0]), ([-4], [0, 16])],
)
def test_a_safetensors_header_is_compared_with_the_file(
    shape: list[int], ends: list[int], dtype: str, objective: EmpiricalRisk, tmp_path: Path, limited: None
) -> None:
    header = {"weight": {"dtype": dtype, "shape": shape, "data_offsets": ends}}
    path = traps.safetensors(tmp_path / "trap.safetensors", header, body=bytes(16))
    refused(lambda: load_points(objective, path), CheckpointError)
    refused(lambda: load_directions(path, objective), CheckpointError)
    refused(lambda: load_curve(path), InputError)


@pytest.mark.parametrize("length", [2**60, 2**63, 2**64 - 1, 10**8 + 1])
def test_a_safetensors_header_of_absurd_length_is_refused(
    length: int, objective: EmpiricalRisk, tmp_path: Path
) -> None:
    path = traps.safetensors(tmp_path / "trap.safetensors", {}, length)
    assert "trap.safetensors" in refused(lambda: load_points(objective, path), CheckpointError)


def test_a_repeated_tensor_within_the_limit_is_read(objective: EmpiricalRisk, tmp_path: Path) -> None:
    """The control: an expanded tensor is no trap as such, and old files are read."""
    torch.save({"weight": torch.ones(1, dtype=torch.float64).expand(2, 2)}, tmp_path / "expanded.pt")
    torch.save({"weight": torch.ones(2, 2).double()}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for point in load_points(objective, tmp_path / "expanded.pt", tmp_path / "old.pt"):
        assert torch.equal(point.theta, torch.ones(4).double())


def test_names_that_are_no_texts_are_refused(objective: EmpiricalRisk, tmp_path: Path) -> None:
    torch.save({("weight",): torch.ones(2, 2)}, tmp_path / "tuple.pt")
    assert "by a tuple" in refused(lambda: load_points(objective, tmp_path / "tuple.pt"), CheckpointError)


# --- archives, HDF5, data sets --------------------------------------------------------------------------------


def test_an_archive_that_grows_is_refused_before_it_does(tmp_path: Path, limited: None) -> None:
    bomb = traps.archive(tmp_path / "bomb.npz", {"thalweg.json": bytes(traps.GROWN)})
    assert bomb.stat().st_size < 2**20
    assert "asks for 67,108,864 bytes" in refused(lambda: load(bomb), LimitError)
    assert "--max-bytes" in refused(lambda: load_state(bomb), LimitError)
    for packing in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):  # their readers unpack all at once, whatever the size says
        odd = traps.archive(tmp_path / "odd.npz", {"thalweg.json": b"{}"}, packing)
        assert "packed in another way" in refused(lambda odd=odd: load(odd), DamagedError)
    # The control: with a higher limit it is unpacked, and is no record.
    with limits.at_most("128MiB"), pytest.raises(StoreError, match="cannot be read as a record"):
        load(bomb)


def test_members_that_lie_over_each_other_are_counted_each(tmp_path: Path, limited: None) -> None:
    """A central directory that names one packed member a thousand times grows a thousandfold."""
    path = traps.archive(tmp_path / "o.npz", {"thalweg.json": bytes(100_000)})
    content = path.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry = content[start:end]
    entries = b"".join(entry.replace(b"thalweg.json", b"thalweg.%04d" % i) for i in range(1000))
    tail = bytearray(content[end:])
    tail[8:12] = (1000).to_bytes(2, "little") * 2
    tail[12:16] = len(entries).to_bytes(4, "little")
    path.write_bytes(content[:start] + entries + tail)
    with zipfile.ZipFile(path) as held:
        assert len(held.infolist()) == 1000
    assert "asks for 100,000,000 bytes" in refused(lambda: load(path), LimitError)


@pytest.mark.parametrize("shape", [(2**40,), (2**60,), (2**31, 2**31), (2**62, 0, 2**62), (3, 4)])
def test_an_array_is_as_large_as_its_bytes(shape: tuple[int, ...], tmp_path: Path, limited: None) -> None:
    record = save(made.spectrum(), tmp_path / "record.npz")
    with zipfile.ZipFile(record, "a") as held:
        held.writestr("extra.npy", traps.npy(shape, bytes(16)))
    assert "16 bytes follow" in refused(lambda: load(record), StoreError)
    save_state(tmp_path / "s.npz", {"a": np.arange(3.0)})
    assert load_state(tmp_path / "s.npz") is not None
    with zipfile.ZipFile(tmp_path / "s.npz", "a") as held:
        held.writestr("a9.npy", traps.npy(shape, bytes(16)))
    assert "16 bytes follow" in refused(lambda: load_state(tmp_path / "s.npz"), DamagedError)


def test_hdf5_arrays_that_were_never_written_or_lie_elsewhere_are_refused(tmp_path: Path, limited: None) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "surface.h5"
    (tmp_path / "secret").write_bytes(bytes(80))

    def written(fill: Callable[[object], object]) -> Path:
        with h5py.File(path, "w") as file:
            file["xcoordinates"] = np.linspace(-1, 1, 10)
            file["train_loss"] = np.arange(10.0)
            fill(file)
        return path

    assert load(written(lambda file: None)).points == 10  # the control
    huge = written(lambda file: file.create_dataset("max_eig", shape=(2**40,), dtype="f8", chunks=(1024,)))
    assert "asks for 8,796,093,022,368" in refused(lambda: load(huge), LimitError)
    packed = written(lambda file: file.create_dataset("x", data=np.zeros(2**20), compression="gzip"))
    assert "asks for" in refused(lambda: load(packed), LimitError)
    outside = written(
        lambda file: file.create_dataset("min_eig", (10,), "f8", external=[(str(tmp_path / "secret"), 0, 80)])
    )
    assert "another file" in refused(lambda: load(outside), StoreError)
    linked = written(lambda file: file.__setitem__("train_acc", h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")))
    assert load(linked).metrics == ()  # a link is not followed
    text = written(lambda file: file.create_dataset("dir_file", shape=(2**40,), dtype=h5py.string_dtype()))
    assert load(text).points == 10


def test_hdf5_directions_that_were_never_written_are_refused(tmp_path: Path, limited: None) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["xcoordinates"], file["train_loss"], file["dir_file"] = np.linspace(-1, 1, 5), np.arange(5.0), b"../d.h5"
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_group("xdirection").create_dataset("0", shape=(2**40,), dtype="f8", chunks=(1024,))
    assert "d.h5 asks for" in refused(lambda: load(tmp_path / "s.h5"), LimitError)


def test_idx_files_are_compared_with_their_length(tmp_path: Path, limited: None) -> None:
    plain = traps.idx(tmp_path / "a-idx3-ubyte", (2**31, 28, 28), bytes(100))
    assert "promises" in refused(lambda: read_idx(plain), DataError)
    liar = traps.idx(tmp_path / "b-idx3-ubyte.gz", (2**20, 28, 28), bytes(100))
    assert "promises" in refused(lambda: read_idx(liar), DataError)
    bomb = traps.idx(tmp_path / "c-idx1-ubyte.gz", (traps.GROWN,), bytes(traps.GROWN))
    assert bomb.stat().st_size < 2**20
    assert "asks for 67,108,864" in refused(lambda: read_idx(bomb), LimitError)
    short = traps.idx(tmp_path / "d-idx1-ubyte.gz", (10,), bytes(traps.GROWN))
    assert "says 10 bytes and holds more" in refused(lambda: read_idx(short), DataError)
    good = traps.idx(tmp_path / "e-idx1-ubyte.gz", (2**16,), bytes(2**16))  # 1 : 700, and no trap
    assert read_idx(good).shape == (2**16,)


def test_files_of_holes_and_files_without_end_are_refused(
    objective: EmpiricalRisk, tmp_path: Path, limited: None
) -> None:
    rows = traps.sparse(tmp_path / "data_batch_1.bin", 3073 * 2**30)
    assert "asks for" in refused(lambda: read_rows(rows, CIFAR10), LimitError)
    (tmp_path / "study").mkdir()
    os.mkfifo(tmp_path / "study" / "study.json")
    os.mkfifo(tmp_path / "study" / "trajectory.json")
    assert "no regular file" in refused(lambda: Directory.check(tmp_path / "study", {}, resume=True), LimitError)
    from thalweg.trajectories import read

    assert "no regular file" in refused(lambda: read(tmp_path / "study"), LimitError)
    (tmp_path / "zero.npz").symlink_to("/dev/zero")
    assert "no regular file" in refused(lambda: load(tmp_path / "zero.npz"), LimitError)
    assert "no such" in refused(lambda: load_points(objective, tmp_path / "study" / "study.json"), CheckpointError)


# --- studies --------------------------------------------------------------------------------------------------


def test_texts_of_a_study_are_bounded(tmp_path: Path, limited: None) -> None:
    study = tmp_path / "study"
    with Directory.open(study, {"command": "plane"}, resume=False):
        pass
    for spoil in (lambda p: traps.sparse(p, 10 * 2**30), traps.deep):
        spoil(study / "study.json")
        line = refused(lambda: Directory.check(study, {"command": "plane"}, resume=True), LimitError, StoreError)
        assert "study.json" in line
    write_record(tmp_path / "r.zarr", made.spectrum())
    for name in ("zarr.json", "eigenvalues/zarr.json"):
        kept = (tmp_path / "r.zarr" / name).read_bytes()
        for spoil in (lambda p: traps.sparse(p, 10 * 2**30), traps.deep):
            spoil(tmp_path / "r.zarr" / name)
            refused(lambda: read_record(tmp_path / "r.zarr"), LimitError, DamagedError)
        (tmp_path / "r.zarr" / name).write_bytes(kept)
    assert read_record(tmp_path / "r.zarr").size


def forged(path: Path, change: Callable[[dict[str, object]], object], name: str = "eigenvalues") -> Path:
    """A record whose array metadata were changed."""
    shutil.rmtree(path, ignore_errors=True)
    write_record(path, made.spectrum())
    file = path / name / "zarr.json"
    metadata = json.loads(file.read_text())
    change(metadata)
    file.write_text(json.dumps(metadata))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(shape=[2**40]),
        lambda m: m.update(shape=[2**62]),
        lambda m: m.update(shape=[2**40], chunk_grid={"name": "regular", "configuration": {"chunk_shape": [2**40]}}),
        lambda m: m["chunk_grid"]["configuration"].update(chunk_shape=[2**40]),
        lambda m: m["chunk_grid"]["configuration"].update(chunk_shape=[1]),
        lambda m: m["codecs"].append({"name": "gzip", "configuration": {"level": 1}}),
        lambda m: m.update(codecs=[{"name": "vlen-utf8"}], data_type="string", fill_value=""),
        lambda m: m.update(shape=[0]),
        lambda m: m.update(shape=[2**31] * 30),
    ],
    ids=["shape", "overflow", "chunk-and-shape", "chunk", "chunks", "packed", "texts", "empty", "axes"],
)
def test_a_record_whose_metadata_ask_for_more_than_there_is_is_refused(
    change: Callable[[dict[str, object]], object], tmp_path: Path, limited: None
) -> None:
    path = forged(tmp_path / "r.zarr", change)
    assert "eigenvalues" in refused(lambda: read_record(path), DamagedError)


def test_a_chunk_that_is_no_file_or_all_holes_is_refused(tmp_path: Path, limited: None) -> None:
    path = forged(tmp_path / "r.zarr", lambda m: None)
    chunk = path / "eigenvalues" / "c.0"
    size = chunk.stat().st_size
    chunk.unlink()
    os.mkfifo(chunk)
    refused(lambda: read_record(path), DamagedError, LimitError)
    path = forged(
        tmp_path / "r.zarr",
        lambda m: (m.update(shape=[2**37]), m["chunk_grid"]["configuration"].update(chunk_shape=[2**37])),
    )
    traps.sparse(chunk, size // made.spectrum().data["eigenvalues"].size * 2**37)
    assert "asks for" in refused(lambda: read_record(path), LimitError)


def test_a_record_with_valid_checksums_and_any_fields_is_refused(tmp_path: Path) -> None:
    """Whoever can write a file can write its checksum: fields are not believed either."""
    for i, change in enumerate(
        [
            lambda f: f.update(status="POEM"),
            lambda f: f.update(cost=3),
            lambda f: f.pop("provenance"),
            lambda f: f.update(unknown=1),
            lambda f: f["provenance"].update(tolerance={"nonfinite": "x"}),
        ]
    ):
        path = tmp_path / f"{i}.zarr"
        write_record(path, made.spectrum())
        kept = json.loads((path / "zarr.json").read_text())
        change(kept["attributes"]["thalweg"]["fields"])
        held = kept["attributes"]
        held["checksum"] = _digest(held["thalweg"], held["checksums"])
        (path / "zarr.json").write_text(json.dumps(kept))
        assert "no spectrum record" in refused(lambda path=path: read_record(path), StoreError)


# --- limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("8GiB", 2**33), ("8g", 2**33), (" 512 MB ", 2**29), ("0", 0)])
def test_sizes(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.size(text, "x") == size
    monkeypatch.setenv(limits.VARIABLE, text)
    assert limits.most_bytes() == size
    with limits.at_most(7):
        assert limits.most_bytes() == 7
    assert limits.most_bytes() == size


@pytest.mark.parametrize("text", ["", "-1", "1e9", "8 GiBs", "٣", "nan", "9" * 30])
def test_what_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(limits.VARIABLE, text)
    with pytest.raises(InputError, match="write a number of bytes"):
        limits.most_bytes()
    with pytest.raises(InputError), limits.at_most(text):
        pass
