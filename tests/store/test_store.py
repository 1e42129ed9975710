"""The store: what was kept comes back bit for bit, what was damaged is named, what is foreign is left alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.records.test_records import profile
from thalweg.core.evaluate import Inline, Plan, Recorded
from thalweg.errors import DamagedError, InputError, StoreError
from thalweg.records import Cost
from thalweg.store import Directory, Ledger, Sink, read_record

REQUEST = {"command": "plane", "steps": 21, "lr": None}


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory.open(tmp_path / "study", REQUEST, resume=False)


@given(
    values=hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int64]), hnp.array_shapes(max_dims=3, max_side=5, min_side=0)
    )
)
@settings(max_examples=30, deadline=None)
def test_records_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> None:
    directory = Directory.open(tmp_path_factory.mktemp("s") / "d", REQUEST, resume=False)
    record = profile(np.zeros(3), data={"loss": np.array([np.nan, 1.0, -np.inf]), "coordinates": values, "x": values})
    directory.save_record("r", record)
    found = directory.load_record("r")
    assert found is not None
    for name, array in record.arrays().items():
        assert found.data[name].dtype == array.dtype and found.data[name].shape == array.shape
        assert found.data[name].tobytes() == array.tobytes()
    assert repr(found.provenance) == repr(record.provenance) and found.status is record.status


def test_a_finished_record_is_immutable(directory: Directory) -> None:
    directory.save_record("r", profile(np.zeros(3)))
    with pytest.raises(StoreError, match="finished"):
        directory.save_record("r", profile(np.ones(3)))
    assert directory.names == ["r"] and directory.load_record("other") is None


def test_a_record_renamed_but_not_entered_is_written_again(directory: Directory) -> None:
    directory.save_record("r", profile(np.zeros(3)))
    with sqlite3.connect(directory.path / "ledger.sqlite") as db:
        db.execute("DELETE FROM records")
    db.close()
    directory.save_record("r", profile(np.ones(3)))
    assert directory.load_record("r").data["loss"][0] == 1  # type: ignore[union-attr]


def chunk(path: Path, name: str) -> Path:
    return next(p for p in sorted((path / name / "c").rglob("*")) if p.is_file())


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_a_damaged_array_is_named_and_refused(directory: Directory, harm: str) -> None:
    directory.save_record("r", profile(np.arange(5.0) + 1))
    path = chunk(directory.record_path("r"), "loss")
    body = bytearray(path.read_bytes())
    if harm == "flip":
        body[9] ^= 1
        path.write_bytes(body)
    elif harm == "truncate":
        path.write_bytes(body[:-4])
    else:
        path.unlink()
    with pytest.raises(DamagedError, match=r"r\.zarr"):
        directory.load_record("r")
    with pytest.raises(DamagedError, match="damaged after it was written"):
        read_record(directory.record_path("r"))


def test_changed_metadata_are_refused(directory: Directory) -> None:
    directory.save_record("r", profile(np.zeros(3)))
    path = directory.record_path("r") / "zarr.json"
    content = json.loads(path.read_text())
    content["attributes"]["thalweg"]["fields"]["center_loss"] = 0.0
    path.write_text(json.dumps(content))
    with pytest.raises(DamagedError, match="metadata"):
        directory.load_record("r")


def test_foreign_directories_files_and_names_are_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("x")
    for resume in (False, True):
        with pytest.raises(StoreError, match=r"holds thesis\.tex and no study"):
            Directory.open(foreign, REQUEST, resume=resume)
    assert [p.name for p in foreign.iterdir()] == ["thesis.tex"]
    with pytest.raises(StoreError, match="is a file"):
        Directory.open(foreign / "thesis.tex", REQUEST, resume=False)
    directory = Directory.open(tmp_path / "study", REQUEST, resume=False)
    (directory.path / "plane.png").write_text("the user's own")
    with pytest.raises(StoreError, match="not written by this study"):
        directory.add_file("plane.png", lambda p: p.write_text("ours"))  # type: ignore[arg-type,return-value]
    for name in ("../x", "", ".hidden", "a/b"):
        with pytest.raises(InputError):
            directory.record_path(name)


def test_files_are_whole_or_absent(directory: Directory) -> None:
    def half(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        directory.add_file("page.html", half)
    assert not list(directory.path.glob("*page.html"))
    directory.add_file("page.html", lambda p: p.write_text("1"))  # type: ignore[arg-type,return-value]
    directory.add_file("page.html", lambda p: p.write_text("2"))  # type: ignore[arg-type,return-value]
    assert (directory.path / "page.html").read_text() == "2"


def test_resume_repeats_the_request(directory: Directory) -> None:
    with pytest.raises(StoreError, match="unfinished study: add --resume"):
        Directory.open(directory.path, REQUEST, resume=False)
    with pytest.raises(StoreError, match="steps=21, now steps=22"):
        Directory.open(directory.path, {**REQUEST, "steps": 22}, resume=True)
    directory.finish()
    with pytest.raises(StoreError, match="a finished study"):
        Directory.open(directory.path, REQUEST, resume=False)
    assert Directory.open(directory.path, REQUEST, resume=True).finished


def test_other_schemas_and_broken_headers_are_refused(directory: Directory) -> None:
    path = directory.path / "study.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "schema": 99}))
    with pytest.raises(StoreError, match="schema 99"):
        Directory.open(directory.path, REQUEST, resume=True)
    path.write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        Directory.open(directory.path, REQUEST, resume=True)


def test_a_damaged_ledger_is_one_line(directory: Directory) -> None:
    (directory.path / "ledger.sqlite").write_bytes(b"not a database at all, really" * 99)
    with pytest.raises(StoreError, match=r"ledger\.sqlite"):
        _ = directory.finished


# --- plans ------------------------------------------------------------------------------------------------


def plan(rows: int = 10) -> Plan:
    import torch

    points = torch.arange(rows, dtype=torch.float64)[:, None]

    def fn(c: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": c[:, 0].sqrt(), "nan": torch.full((len(c),), float("nan"), dtype=torch.float64)}

    return Plan(fn, points, ("loss", "nan"))


def test_a_recorded_plan_equals_an_inline_one(directory: Directory) -> None:
    seen: list[tuple[int, int]] = []
    evaluate = Recorded("p", directory.ledger, directory.sink, lambda done, total: seen.append((done, total)), 3)
    found, expected = evaluate(plan()).values, Inline()(plan()).values
    assert {name: x.tobytes() for name, x in found.items()} == {name: x.tobytes() for name, x in expected.items()}
    assert dict(directory.ledger.attempts("p")) == {0: 1, 1: 1, 2: 1, 3: 1} and seen[-1] == (10, 10)
    again = Recorded("p", directory.ledger, directory.sink)(plan())
    assert again.values["loss"].tobytes() == expected["loss"].tobytes()
    assert dict(directory.ledger.attempts("p")) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_a_missing_chunk_is_told_from_one_of_nan_or_zeros(directory: Directory) -> None:
    import torch

    signed = torch.tensor([float("nan")], dtype=torch.float64).neg()
    values = {"loss": torch.zeros(10, dtype=torch.float64), "nan": signed.expand(10)}
    odd = Plan(lambda c: {name: x[: len(c)] for name, x in values.items()}, plan().points, ("loss", "nan"))
    found = Recorded("p", directory.ledger, directory.sink, task_size=5)(odd).values
    assert found["nan"].tobytes() == values["nan"].numpy().tobytes()  # its sign bit too
    chunk(directory.path / "work" / "p.zarr", "nan").unlink()
    with pytest.raises(DamagedError, match="task 0"):
        Recorded("p", directory.ledger, directory.sink, task_size=5)(odd)


def test_a_plan_cannot_change_under_a_resume(directory: Directory) -> None:
    Recorded("p", directory.ledger, directory.sink, task_size=5)(plan())
    other = Plan(plan().fn, plan().points, ("loss", "nan"), settings={"backend": "vmap"})
    with pytest.raises(StoreError, match="backend=None and is now asked with backend=vmap"):
        Recorded("p", directory.ledger, directory.sink, task_size=5)(other)


def test_the_state_of_a_sequential_method_is_replaced_whole(directory: Directory) -> None:
    evaluate = Recorded("p", directory.ledger, directory.sink)
    assert evaluate.restore() is None
    evaluate.checkpoint({"slot/mean": np.arange(3.0), "count": np.array(7)})
    evaluate.checkpoint({"slot/mean": np.arange(4.0), "count": np.array(8)})
    state = evaluate.restore()
    assert state is not None and int(state["count"]) == 8 and state["slot/mean"].shape == (4,)
    (directory.path / "work" / "p.state.npz").write_bytes(b"PK broken")
    with pytest.raises(DamagedError, match=r"p\.state\.npz"):
        evaluate.restore()
    directory.drop_work("p")
    assert not (directory.path / "work").exists()


def claims(path: str, count: int, queue: multiprocessing.Queue) -> None:
    ledger = Ledger(Path(path))
    mine = []
    for _ in range(count):
        task = ledger.claim("p", 40)
        if task is not None:
            mine.append(task)
            ledger.finish("p", task, "x", Cost())
    queue.put(mine)


def test_two_processes_claim_different_tasks(directory: Directory) -> None:
    path = directory.path / "ledger.sqlite"
    directory.ledger.settle("p", {"task_size": 1})
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=claims, args=(str(path), 40, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [queue.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(found[0] + found[1]) == list(range(40))
    assert set(directory.ledger.attempts("p").values()) == {1}


def lease(path: str) -> None:
    Ledger(Path(path)).claim("p", 3)
    os._exit(9)  # as a kill: nothing is cleaned up


def test_the_lease_of_a_dead_process_is_taken_over_and_a_living_ones_is_not(directory: Directory) -> None:
    path = directory.path / "ledger.sqlite"
    directory.ledger.settle("p", {"task_size": 1})
    worker = multiprocessing.get_context("spawn").Process(target=lease, args=(str(path),))
    worker.start()
    worker.join()
    assert dict(directory.ledger.attempts("p")) == {0: 1, 1: 0, 2: 0}
    assert [directory.ledger.claim("p", 3) for _ in range(4)] == [0, 1, 2, None]
    assert dict(directory.ledger.attempts("p")) == {0: 2, 1: 1, 2: 1}


def test_the_ledger_says_which_journal_it_keeps(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "l.sqlite").journal == "wal"
    assert isinstance(Sink(tmp_path), Sink)
