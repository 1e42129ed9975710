"""Plans in progress: arrays come back bit for bit, a damaged task is named, a state is replaced whole."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.conftest import HARMS
from thalweg.core.evaluate import Inline, Plan
from thalweg.core.recorded import Recorded
from thalweg.errors import DamagedError, StoreError
from thalweg.store import Directory, Sink, state


def plan(rows: int = 10) -> Plan:
    points = torch.arange(rows, dtype=torch.float64)[:, None]

    def fn(c: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": c[:, 0].sqrt(), "acc/train": torch.stack([c[:, 0], c[:, 0] / 0], dim=1)}

    return Plan(fn, points, ("loss", "acc/train"), trailing={"acc/train": (2,)})


@given(st.binary(min_size=8 * 14, max_size=8 * 14), st.integers(1, 8))
@settings(max_examples=25, deadline=None)
def test_arrays_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, raw: bytes, size: int) -> None:
    bits = np.frombuffer(raw, np.float64)  # any bits: every NaN with every payload
    whole = {"loss": bits[:7], "θ/x": bits[7:].reshape(7, 1)}
    sink = Sink(tmp_path_factory.mktemp("s"))
    shapes = {name: array.shape for name, array in whole.items()}
    sink.open("p", shapes, size)
    starts = range(0, 7, size)
    sums = {s // size: sink.write("p", s, {n: a[s : s + size] for n, a in whole.items()}) for s in reversed(starts)}
    again = Sink(sink.folder)
    again.open("p", shapes, size)
    found = again.read("p", sums)
    assert {n: (a.shape, a.tobytes()) for n, a in found.items()} == {
        n: (a.shape, a.tobytes()) for n, a in whole.items()
    }
    chunks = list(sink.folder.rglob("c.*"))
    assert len(chunks) == 2 * len(starts) and not list(sink.folder.rglob("*.partial"))


def test_a_recorded_plan_equals_an_inline_one(directory: Directory) -> None:
    seen: list[tuple[int, int]] = []
    evaluate = Recorded("p", directory.ledger, directory.sink, lambda done, total: seen.append((done, total)), 3)
    found, expected = evaluate(plan()).values, Inline()(plan()).values
    assert {name: x.tobytes() for name, x in found.items()} == {name: x.tobytes() for name, x in expected.items()}
    assert dict(directory.ledger.attempts("p")) == {0: 1, 1: 1, 2: 1, 3: 1} and seen[-1] == (10, 10)
    again = Recorded("p", directory.ledger, directory.sink)(plan())
    assert again.values["loss"].tobytes() == expected["loss"].tobytes()
    assert dict(directory.ledger.attempts("p")) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_a_plan_that_failed_goes_on_in_the_same_process(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(seconds: float) -> None:
        raise AssertionError("it waits for its own lease, for ever")

    monkeypatch.setattr(time, "sleep", wait)
    fails = [True]

    def fn(c: torch.Tensor) -> dict[str, torch.Tensor]:
        if fails and c[0, 0] == 4:
            fails.clear()
            raise KeyboardInterrupt
        return {"loss": c[:, 0]}

    interrupted = Plan(fn, plan().points, ("loss",))
    with pytest.raises(KeyboardInterrupt):
        Recorded("p", directory.ledger, directory.sink, task_size=2)(interrupted)
    found = Recorded("p", directory.ledger, directory.sink)(interrupted).values
    assert found["loss"].tolist() == list(range(10))
    assert dict(directory.ledger.attempts("p")) == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1}


def test_a_plan_cannot_change_under_a_resume(directory: Directory) -> None:
    Recorded("p", directory.ledger, directory.sink, task_size=5)(plan())
    for change, message in (
        ({"settings": {"backend": "vmap"}}, "backend=None and is now asked with backend=vmap"),
        ({"trailing": {"acc/train": (3,)}}, r"shape \(10, 2\).* \(10, 3\)"),
        ({"names": ("loss",), "trailing": {}}, r"holds the array 'acc%2Ftrain'"),
    ):
        other = {"fn": plan().fn, "points": plan().points, "names": plan().names, "trailing": plan().trailing}
        with pytest.raises(StoreError, match=message):
            Recorded("p", directory.ledger, directory.sink)(Plan(**{**other, **change}))  # type: ignore[arg-type]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("task", [0, 1])
def test_a_damaged_chunk_is_named_by_plan_and_task(directory: Directory, harm: str, task: int) -> None:
    evaluate = Recorded("p", directory.ledger, directory.sink, task_size=6)
    evaluate(plan())
    chunk = directory.path / "work" / "p.zarr" / "acc%2Ftrain" / f"c.{task}.0"
    HARMS[harm](chunk)
    with pytest.raises(DamagedError, match=rf"^p, task {task}.*damaged") as caught:
        evaluate(plan())
    assert "\n" not in str(caught.value)
    assert set(directory.ledger.attempts("p").values()) == {1}  # refused, not quietly computed again


def test_a_chunk_of_zeros_is_written_and_an_open_task_is_not_read(tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    sink.open("p", {"loss": (4,)}, 2)
    first = sink.write("p", 0, {"loss": np.zeros(2)})
    assert (tmp_path / "p.zarr" / "loss" / "c.0").stat().st_size == 16
    with pytest.raises(StoreError, match="task 1 of 2 is not done"):
        sink.read("p", {0: first})
    with pytest.raises(StoreError, match="not open"):
        Sink(tmp_path).read("p", {0: first})


@pytest.mark.parametrize(
    ("start", "arrays"),
    [(1, {"loss": np.zeros(2)}), (0, {"loss": np.zeros(1)}), (0, {"x": np.zeros(2)}), (2, {"loss": np.zeros(2)})],
)
def test_only_whole_tasks_are_written(tmp_path: Path, start: int, arrays: dict[str, np.ndarray]) -> None:
    sink = Sink(tmp_path)
    sink.open("p", {"loss": (3,)}, 2)
    with pytest.raises(StoreError, match="write whole tasks"):
        sink.write("p", start, arrays)
    assert not list(tmp_path.rglob("c.*"))


def test_what_is_done_was_forced_to_the_disk_first(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    from thalweg.store import sink as module

    order: list[str] = []
    sync, finish = module.sync, directory.ledger.finish
    monkeypatch.setattr(module, "sync", lambda path: (order.append(path.name), sync(path)))
    monkeypatch.setattr(directory.ledger, "finish", lambda *a: (order.append("done"), finish(*a)))
    Recorded("p", directory.ledger, directory.sink, task_size=10)(plan())
    assert order[-5:] == ["c.0", "c.0.0", "loss", "acc%2Ftrain", "done"]


# --- states -----------------------------------------------------------------------------------------------


def test_the_state_of_a_sequential_method_is_replaced_whole(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = Recorded("a/b", directory.ledger, directory.sink)
    assert evaluate.restore() is None
    evaluate.checkpoint({"slot/mean": np.arange(3.0), "count": np.array(7), "names": np.array([True])})

    def killed(partial: Path, path: Path) -> None:
        assert partial.stat().st_size > 0
        raise KeyboardInterrupt

    monkeypatch.setattr(state, "commit", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate.checkpoint({"count": np.array(8)})
    found = evaluate.restore()
    assert found is not None and int(found["count"]) == 7 and found["names"].dtype == bool
    assert found["slot/mean"].tolist() == [0, 1, 2] and len(list((directory.path / "work" / "a").iterdir())) == 1


def test_what_a_killed_process_left_of_a_state_goes_when_the_work_is_over(tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    sink.save_state("p", {"x": np.arange(4.0)})
    (tmp_path / ".p.state.npz.123").write_bytes(b"half of it")
    (tmp_path / ".pq.state.npz.123").write_bytes(b"another plan's")
    sink.drop("p")
    assert [path.name for path in tmp_path.iterdir()] == [".pq.state.npz.123"]


def test_a_damaged_state_is_refused_wherever_the_byte_lies(tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    sink.save_state("p", {"x": np.arange(4.0)})
    path = tmp_path / "p.state.npz"
    body = path.read_bytes()
    refused = tried = 0
    for at in range(0, len(body), 5):
        path.write_bytes(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
        tried += 1
        try:
            found = sink.load_state("p")
        except DamagedError as error:
            refused += 1
            assert "p.state.npz" in str(error) and "\n" not in str(error)
        else:  # a time stamp of the archive, or its padding
            assert found is not None and found["x"].tobytes() == np.arange(4.0).tobytes()
    assert refused > tried / 3
    for end in range(0, len(body), 97):
        path.write_bytes(body[:end])
        with pytest.raises(DamagedError, match=r"p\.state\.npz"):
            sink.load_state("p")


def test_a_state_that_was_changed_is_refused(tmp_path: Path) -> None:
    sink = Sink(tmp_path)
    sink.save_state("p", {"x": np.arange(4.0)})
    with np.load(tmp_path / "p.state.npz") as archive:
        kept = dict(archive)
    np.savez(tmp_path / "p.state.npz", **{**kept, "a0": kept["a0"] + 1})
    with pytest.raises(DamagedError, match="differs from its checksum"):
        sink.load_state("p")


def test_a_state_of_objects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="'x' has dtype object"):
        Sink(tmp_path).save_state("p", {"x": np.array([{}], dtype=object)})
    assert not list(tmp_path.iterdir())
