"""The recorder beside the training it watches: every point, bit for bit, through kills, resumes and full disks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from tests.trajectories.networks import flat, network, one_step, optimiser
from thalweg.errors import DamagedError, InputError, StoreError, ThalwegWarning
from thalweg.trajectories import Keep, LogSpaced, compact, read, record, recorder_store
from thalweg.trajectories.recorder import Recorder
from thalweg.trajectories.segments import scan

ZARR = Keep(compact=0)


def trained(path: Path, steps: int = 25, seen: dict | None = None, **options) -> nn.Module:
    model = network()
    sgd = optimiser(model)
    with record(model, path, **options) as recorder:
        if seen is not None:
            seen[0] = flat(model)
        for step in range(1, steps + 1):
            loss = one_step(model, sgd)
            recorder.step(loss, lr=0.05 / step)
            if seen is not None:
                seen[step] = flat(model)
    return model


def test_every_point_is_that_of_its_step(tmp_path: Path) -> None:
    seen: dict[int, torch.Tensor] = {}
    trained(tmp_path / "run", seen=seen, every=10)
    found = read(tmp_path / "run")
    assert found.steps.tolist() == [0, 10, 20, 25] and not found.notes
    for i, step in enumerate(found.steps):
        assert torch.equal(found.theta(i), seen[int(step)])
    assert torch.equal(found.thetas, torch.stack([seen[int(step)] for step in found.steps]))
    np.testing.assert_allclose(found.learning_rate[1:], 0.05 / found.steps[1:])
    assert np.isnan(found.loss[0]) and np.isfinite(found.loss[1:]).all()
    assert {p.name for p in found.path.iterdir()} == {"trajectory.json", "points-000000000000.seg"}
    before = found.thetas
    compact(found.path)
    assert {p.name for p in found.path.iterdir()} == {"trajectory.json", "points-000000000000.zarr"}
    again = read(found.path)
    assert torch.equal(again.thetas, before) and again.steps.tolist() == found.steps.tolist()
    np.testing.assert_array_equal(again.loss, found.loss)


@pytest.mark.parametrize(("given", "kind"), [(0, ".zarr"), (400, ".zarr"), (10**6, ".seg")])
def test_what_was_written_is_compacted_from_so_many_bytes_on(tmp_path: Path, given: int, kind: str) -> None:
    trained(tmp_path / "run", every=1, keep=Keep(compact=given))
    assert [p.suffix for p in (tmp_path / "run").glob("points*")] == [kind] and len(read(tmp_path / "run")) == 26


def test_a_training_that_is_interrupted_often_leaves_no_heap_of_segments(tmp_path: Path) -> None:
    model = network()
    sgd = optimiser(model)
    for i in range(recorder_store.MANY):
        with record(model, tmp_path / "run", every=1, resume=i > 0) as recorder:
            one_step(model, sgd)
            recorder.step()
        found = [p.suffix for p in (tmp_path / "run").glob("points*")]
        assert found == ([".seg"] * (i + 1) if i + 1 < recorder_store.MANY else [".zarr"])
    assert read(tmp_path / "run").steps.tolist() == list(range(recorder_store.MANY + 1))


def test_an_optimiser_is_watched_without_a_call_per_step(tmp_path: Path) -> None:
    model = network()
    sgd = optimiser(model)
    schedule = torch.optim.lr_scheduler.StepLR(sgd, 4, 0.5)
    with record(model, tmp_path / "run", every=4, optimizer=sgd) as recorder:
        for _ in range(10):
            one_step(model, sgd)
            schedule.step()
        assert recorder.count == 10
    one_step(model, sgd)
    assert recorder.count == 10  # nothing is watched afterwards
    found = read(tmp_path / "run")
    assert found.steps.tolist() == [0, 4, 8, 10]
    assert found.learning_rate.tolist() == [0.05, 0.05, 0.025, 0.0125] and np.isnan(found.loss).all()


def test_a_noted_loss_is_that_of_its_step(tmp_path: Path) -> None:
    model = network(normalised=False)
    sgd = optimiser(model)
    with record(model, tmp_path / "run", every=2, optimizer=sgd) as recorder:
        for value in (1.0, 2.0, 3.0):
            recorder.note(loss=torch.tensor(value, requires_grad=True))
            one_step(model, sgd)
        one_step(model, sgd)  # nothing noted: not the loss of an earlier step
    assert read(tmp_path / "run").loss.tolist()[1] == 2 and np.isnan(read(tmp_path / "run").loss[2])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_points_are_kept_in_the_dtype_that_was_asked_for(tmp_path: Path, dtype: str) -> None:
    model = trained(tmp_path / "run", every=10, keep=Keep(dtype=dtype, compact=0))
    kept = getattr(torch, dtype)
    last = read(tmp_path / "run").theta(-1)
    assert last.dtype == kept and torch.equal(last, flat(model).to(kept))


def test_statistics_are_kept_where_asked_for(tmp_path: Path) -> None:
    from tests.trajectories.networks import objective

    model = trained(tmp_path / "run", every=10, keep=Keep(statistics=True, compact=0))
    risk = objective()
    last = read(tmp_path / "run").points(risk)[-1]
    for name, buffer in model.named_buffers():
        assert torch.equal(last.statistics[name].to(buffer), buffer)
    model.eval()
    inputs, targets = risk.table.inputs, risk.table.targets
    expected = nn.functional.mse_loss(model(inputs), targets).item()
    assert float(risk.at(last).losses(last.theta[None])[0]) == pytest.approx(expected, rel=1e-6)
    trained(tmp_path / "bare", every=10)
    estimated = read(tmp_path / "bare").points(risk)[-1]
    assert torch.equal(estimated.theta, last.theta) and estimated.statistics is not None
    assert not torch.allclose(estimated.statistics["1.running_mean"], last.statistics["1.running_mean"], rtol=1e-3)


def test_shards_are_checkpoints_that_any_command_takes(tmp_path: Path) -> None:
    from tests.trajectories.networks import objective

    model = trained(tmp_path / "run", every=20, keep=Keep(shards=True, statistics=True, compact=0))
    found = read(tmp_path / "run")
    files = sorted((tmp_path / "run" / "points").iterdir())
    assert [f.name for f in files] == [f"{i:06d}-step-{s}.safetensors" for i, s in enumerate((0, 20, 25))]
    (point,) = tw.load_points(objective(), files[-1])
    assert torch.equal(point.theta, flat(model)) and torch.equal(found.theta(-1), point.theta)
    files[1].write_bytes(files[1].read_bytes()[:-1] + b"?")
    with pytest.raises(DamagedError, match=r"step-20\.safetensors differs from its checksum"):
        found.theta(1)
    assert read(tmp_path / "run", damaged="skip").steps.tolist() == [0, 25]


def test_a_sketch_keeps_distances_and_no_points(tmp_path: Path) -> None:
    seen: dict[int, torch.Tensor] = {}
    trained(tmp_path / "run", seen=seen, every=5, keep=Keep(sketch=4000, seed=2, compact=0))
    found = read(tmp_path / "run")
    true = torch.pdist(torch.stack([seen[int(s)] for s in found.steps]).double())
    torch.testing.assert_close(torch.pdist(found.sketches), true, rtol=0.1, atol=0)  # √(2/4000) is 0.022
    with pytest.raises(InputError, match="no points"):
        found.theta(0)
    stored = sum(f.stat().st_size for f in (tmp_path / "run").rglob("*") if f.is_file())
    assert stored < 4000 * 8 * 7 + 20_000


KILLED = """
    import os, signal, sys, torch
    from tests.trajectories.networks import network, one_step, optimiser
    from thalweg.trajectories import record
    torch.set_num_threads(1)  # as the tests, so that both sum in one order
    model = network()
    sgd = optimiser(model)
    with record(model, sys.argv[1], every=1) as recorder:
        for step in range(1, 10**6):
            recorder.step(one_step(model, sgd))
            if step == 30:
                print("now", flush=True)
                input()
"""


def test_a_killed_run_is_read_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "run"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdin=pipe, stdout=pipe, text=True)
    assert child.stdin is not None and child.stdout is not None and child.stdout.readline() == "now\n"
    with pytest.raises(StoreError, match="is being recorded into"):
        record(network(), path, resume=True).open()
    (segment,) = path.glob("*.seg")
    before = segment.stat().st_size
    child.stdin.write("\n")
    child.stdin.close()
    while segment.stat().st_size == before:
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)  # in the middle of a step, or of writing one
    child.wait()
    child.stdout.close()
    seen = [flat(model := network())]
    sgd = optimiser(model)
    found = read(path)
    for _ in range(found.steps[-1]):
        one_step(model, sgd)
        seen.append(flat(model))
    assert len(found) >= 32 and torch.equal(found.thetas, torch.stack(seen))  # bit for bit, to the last step written
    with segment.open("ab") as file:  # what a kill in the middle of a block leaves
        file.write(b"TWPT" + bytes(50))
    assert "54 bytes" in read(path).notes[0] and torch.equal(read(path).thetas, found.thetas)
    with record(model, path, every=1, resume=True, keep=ZARR) as recorder:
        assert recorder.count == found.steps[-1]
        for _ in range(3):
            recorder.step(one_step(model, sgd))
    whole = read(path)
    assert not whole.notes and whole.steps.tolist() == list(range(found.steps[-1] + 4))
    assert torch.equal(whole.theta(-1), flat(model)) and not list(path.glob("*.seg"))


def test_a_training_that_goes_back_replaces_what_it_passes_anew(tmp_path: Path) -> None:
    path, model = tmp_path / "run", network()
    sgd = optimiser(model)
    with record(model, path, every=5, optimizer=sgd, keep=ZARR):
        for step in range(20):
            if step == 10:
                kept = {name: x.clone() for name, x in model.state_dict().items()}
            one_step(model, sgd)
    other = network(seed=1)
    with pytest.raises(InputError, match="none of the 5 recorded points"):
        record(other, path, resume=True).open()
    other.load_state_dict(kept)
    again = torch.optim.SGD(other.parameters(), lr=0.01)
    with record(other, path, every=5, optimizer=again, resume=True, keep=ZARR) as recorder:
        assert recorder.count == 10  # its parameters are those of step 10
        for _ in range(7):
            one_step(other, again)
    found = read(path)
    assert found.steps.tolist() == [0, 5, 10, 15, 17] and torch.equal(found.theta(-1), flat(other))
    assert found.learning_rate.tolist() == [0.05, 0.05, 0.01, 0.01, 0.01]
    assert len(list(path.glob("*.zarr"))) == 2
    with record(network(seed=1), path, resume=True, step=12) as recorder:
        assert recorder.count == 12
    assert read(path).steps.tolist() == [0, 5, 10, 12]


def test_a_kill_while_compacting_loses_nothing_and_doubles_nothing(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "run"
    unlink = Path.unlink

    def killed(self: Path, *given, **options) -> None:
        if self.suffix == ".seg":
            raise KeyboardInterrupt
        unlink(self, *given, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", killed)
        trained(path, every=5, keep=ZARR)
    assert {p.suffix for p in path.glob("points*")} == {".zarr", ".seg"}
    before = read(path)
    assert before.steps.tolist() == [0, 5, 10, 15, 20, 25]
    with record(network(), path, resume=True, step=25, keep=ZARR):
        pass
    after = read(path)
    assert after.steps.tolist() == before.steps.tolist() and not list(path.glob("*.seg"))


def five_steps(folder: Path) -> tuple[nn.Module, Recorder]:
    """A training whose six points are recorded, and which still runs."""
    model = network()
    recorder = record(model, folder, every=1).open()
    sgd = optimiser(model)
    for _ in range(5):
        one_step(model, sgd)
        recorder.step()
    return model, recorder


def test_damage_is_named_and_the_rest_can_be_read(tmp_path: Path) -> None:
    model, recorder = five_steps(tmp_path / "run")
    (segment,) = (tmp_path / "run").glob("*.seg")
    whole = segment.read_bytes()
    block = scan(segment)[0][3]
    segment.write_bytes(whole[: block.offset] + bytes([whole[block.offset] ^ 1]) + whole[block.offset + 1 :])
    found = read(tmp_path / "run")
    with pytest.raises(DamagedError, match="step 3 differs from its checksum"):
        found.thetas  # noqa: B018
    rest = read(tmp_path / "run", damaged="skip")
    assert rest.steps.tolist() == [0, 1, 2, 4, 5] and "step 3" in rest.notes[0]
    segment.write_bytes(whole)
    recorder.close()
    compact(tmp_path / "run")
    chunk = next((tmp_path / "run").glob("*.zarr")) / "thetas" / "c.0.0"
    content = bytearray(chunk.read_bytes())
    content[4 * flat(model).numel() * 2 + 1] ^= 1  # in the row of step 2
    chunk.write_bytes(content)
    assert torch.equal(read(tmp_path / "run").theta(-1), flat(model))
    with pytest.raises(DamagedError, match="step 2 differs from its checksum"):
        read(tmp_path / "run").theta(2)
    chunk.unlink()
    with pytest.raises(DamagedError):
        read(tmp_path / "run").theta(0)


@pytest.mark.parametrize("closed", [True, False])
def test_a_segment_cut_between_two_points_is_told_where_the_recording_was_closed(tmp_path: Path, closed: bool) -> None:
    model, recorder = five_steps(tmp_path / "run")
    if closed:
        recorder.close()
    (segment,) = (tmp_path / "run").glob("*.seg")
    last, before = scan(segment)[0][5], scan(segment)[0][4]
    segment.write_bytes(segment.read_bytes()[: before.offset + before.size])
    assert last.offset > before.offset + before.size
    if not closed:  # as a killed training leaves it
        assert read(tmp_path / "run").steps.tolist() == [0, 1, 2, 3, 4]
        recorder.close()
        return
    with pytest.raises(DamagedError, match="points 5 to 5 are missing: its last file is gone or cut"):
        read(tmp_path / "run")
    rest = read(tmp_path / "run", damaged="skip")
    assert rest.steps.tolist() == [0, 1, 2, 3, 4] and "points 5 to 5 are missing" in rest.notes[0]
    with pytest.raises(DamagedError, match="points 5 to 5"):
        record(model, tmp_path / "run", every=1, resume=True).open()


def test_a_segment_cut_between_others_and_a_changed_header_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("thalweg.trajectories.segments.SEGMENT_BYTES", 600)
    model, recorder = five_steps(tmp_path / "run")
    first, *_ = sorted((tmp_path / "run").glob("*.seg"))
    content = first.read_bytes()
    first.write_bytes(content[:-1])
    with pytest.raises(DamagedError, match="points 2 to 2 are missing"):
        read(tmp_path / "run")
    assert read(tmp_path / "run", damaged="skip").steps.tolist() == [0, 1, 3, 4, 5]
    first.write_bytes(content)
    recorder.close()
    header = tmp_path / "run" / "trajectory.json"
    header.write_text(header.read_text().replace("float32", "float16", 1))
    with pytest.raises(DamagedError, match="differs from its checksum"):
        read(tmp_path / "run")
    header.write_text("{")
    with pytest.raises(DamagedError, match="is damaged"):
        read(tmp_path / "run")


def full(after: int):
    """os.write of a disk that takes so many bytes more and then half of what it is given."""
    real, left = os.write, [after]

    def write(fd: int, view) -> int:
        size = memoryview(view).nbytes
        if left[0] >= size:
            left[0] -= size
            return real(fd, view)
        if left[0] > 0:
            part, left[0] = left[0], 0
            return real(fd, view[:part])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return write


def test_a_full_disk_keeps_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("thalweg.trajectories.segments.os.write", full(900))
        with pytest.raises(StoreError, match="No space left on device at step") as refused:
            trained(tmp_path / "run", every=5)
    assert "\n" not in str(refused.value) and "resume=True" in str(refused.value)
    found = read(tmp_path / "run")
    assert found.steps.tolist() == [0, 5, 10] and not found.notes
    with monkeypatch.context() as patch:
        patch.setattr("thalweg.trajectories.segments.os.write", full(900))
        with pytest.warns(ThalwegWarning, match="recording has ended: .*No space left"):
            trained(tmp_path / "other", every=5, keep=Keep(failing="warn"))
    assert read(tmp_path / "other").steps.tolist() == [0, 5, 10]


def test_a_directory_that_cannot_be_written_is_refused_at_once(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file cannot be written to; give another directory"):
        trained(tmp_path / "file" / "run")
    with monkeypatch.context() as patch, pytest.raises(StoreError, match="cannot be written to; give another"):
        patch.setattr(os, "access", lambda path, mode: False)  # root, as whom tests may run, writes everywhere
        trained(tmp_path / "closed" / "run")

    def refused(*_given, **_options) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="Read-only file system: give a directory"):
        patch.setattr(Path, "mkdir", refused)
        trained(tmp_path / "mounted" / "run")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_directories_of_others_are_refused(tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").touch()
    with pytest.raises(StoreError, match=r"holds 'thesis\.tex' and no trajectory"):
        trained(tmp_path / "foreign")
    with pytest.raises(StoreError, match="holds no trajectory"):
        read(tmp_path / "foreign")
    trained(tmp_path / "run", steps=2)
    with pytest.raises(StoreError, match="resume=True, or give another directory"):
        trained(tmp_path / "run")
    wide = nn.Sequential(nn.Linear(4, 7), nn.BatchNorm1d(7), nn.Linear(7, 1))
    with pytest.raises(StoreError, match=r"0.weight \[6, 4\] in float32 where this network has 0.weight \[7, 4\]"):
        record(wide, tmp_path / "run", resume=True).open()
    for options in (dict(statistics=True), dict(sketch=5), dict(shards=True), dict(dtype="float16")):
        with pytest.raises(StoreError, match=r"float16|begun with"):
            record(network(), tmp_path / "run", resume=True, keep=Keep(**options)).open()
    assert read(tmp_path / "run").steps.tolist() == [0, 2]


def test_options_that_mean_nothing_are_refused() -> None:
    for wrong, said in (
        (dict(dtype="int8"), "dtype='int8'"),
        (dict(sketch=0), "sketch=0"),
        (dict(compact=-1), "compact=-1"),
        (dict(sketch=3, shards=True), "leave one out"),
        (dict(failing="never"), "failing='never'"),
    ):
        with pytest.raises(InputError, match=said):
            Keep(**wrong)
    with pytest.raises(InputError, match="step=-1"):
        record(network(), "run", step=-1)
    mixed = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    with pytest.raises(InputError, match="dtypes"):
        record(mixed, "run").open()
    with pytest.raises(InputError, match="meta"):
        record(nn.Linear(2, 2, device="meta"), "run")


def test_wrappers_are_looked_through_and_what_is_thawed_is_told(tmp_path: Path) -> None:
    model = network()
    model[0].requires_grad_(False)
    recorder = record(nn.DataParallel(model), tmp_path / "run", every=LogSpaced(2)).open()
    assert [e.name for e in recorder._store.layout.parameters] == ["1.weight", "1.bias", "2.weight", "2.bias"]
    recorder.step()
    model[0].requires_grad_(True)
    with pytest.warns(ThalwegWarning, match="frozen at the start"):
        recorder.step()
        recorder.step()
    recorder.close()
    assert read(tmp_path / "run").steps.tolist() == [0, 1, 3]


def test_an_interrupted_step_is_not_a_point(tmp_path: Path) -> None:
    model = network()
    with pytest.raises(ZeroDivisionError), record(model, tmp_path / "run", every=2) as recorder:
        for _ in range(3):
            recorder.step()
        1 / 0  # noqa: B018
    assert read(tmp_path / "run").steps.tolist() == [0, 2]
