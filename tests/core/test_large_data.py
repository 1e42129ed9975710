"""Streamed data: the same F as in memory, rows read once for all points of a call, and never held whole."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import thalweg as tw
from thalweg.core.recorded import Recorded
from thalweg.core.sources import Ordered
from thalweg.curvature import Lanczos
from thalweg.errors import DataError
from thalweg.exec.memory import MemoryLedger, MemorySink

ROWS, BLOCK = 300, 50


def tensors(rows: int = ROWS) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, 6, generator=generator, dtype=torch.float64), torch.arange(rows) % 3


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def risk(data: Any, **options: Any) -> tw.EmpiricalRisk:
    return tw.EmpiricalRisk(network(), nn.CrossEntropyLoss(), data, block_rows=BLOCK, backend="loop", **options)


class Counted(Dataset):
    """Rows by index, of which it counts how often each was read and how many are alive."""

    def __init__(self, rows: int = ROWS) -> None:
        self.x, self.y = tensors(rows)
        self.reads = np.zeros(rows, int)
        self.alive = self.most = 0

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        self.reads[i] += 1
        return self.x[i], self.y[i]


class InOrder(IterableDataset):
    def __iter__(self) -> Any:
        return iter(zip(*tensors(), strict=True))


def files(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    for name, tensor in zip("xy", tensors(), strict=True):
        np.save(folder / f"{name}.npy", tensor.numpy())
    return np.load(folder / "x.npy", mmap_mode="r"), np.load(folder / "y.npy", mmap_mode="r")


@pytest.mark.parametrize("kind", ["files", "dataset", "loader", "iterable", "loader of an iterable"])
def test_streamed_rows_have_the_landscape_of_the_same_rows_in_memory(kind: str, tmp_path: Path) -> None:
    data: Any = {
        "files": lambda: files(tmp_path),
        "dataset": Counted,
        "loader": lambda: DataLoader(TensorDataset(*tensors()), batch_size=37),
        "iterable": InOrder,
        "loader of an iterable": lambda: DataLoader(InOrder(), batch_size=41),
    }[kind]()
    held, streamed = risk(tensors()), risk(tw.Streamed(data))
    assert streamed.row_count == ROWS
    thetas = streamed.initial.theta + torch.linspace(-1, 1, 4).double()[:, None]
    torch.testing.assert_close(streamed.losses(thetas), held.losses(thetas), rtol=1e-13, atol=0)
    for one, other in zip(streamed.value_and_grad(thetas), held.value_and_grad(thetas), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-15)
    found, truth = (Lanczos(k=2, dense_below=0, tol=1e-9)(r, r.initial).eigenvalues for r in (streamed, held))
    np.testing.assert_allclose(found, truth, rtol=1e-10)


def test_a_line_reads_every_row_once_for_all_its_points() -> None:
    """And a pass a point is what would be counted if points were the outer loop."""
    data = Counted()
    objective = risk(tw.Streamed(data))
    objective.fingerprint()
    data.reads[:] = 0
    thetas = objective.initial.theta + torch.linspace(-1, 1, 25).double()[:, None]
    objective.losses(thetas)
    assert (data.reads == 1).all()
    data.reads[:] = 0
    tw.slices.Line(steps=25)(objective, objective.initial)
    assert data.reads.max() <= 4  # the line, F at its centre, the trial of what evaluates it
    data.reads[:] = 0
    for theta in thetas:
        objective.losses(theta[None])
    assert (data.reads == 25).all()


def followed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The most rows that were alive at once, by the tensors that hold them."""
    from thalweg.core import sources

    alive: list[weakref.ref[Tensor]] = []
    most = [0]
    whole = sources.as_table

    def watched(*trees: Any) -> Any:
        table = whole(*trees)
        alive.append(weakref.ref(table.inputs))
        most[0] = max(most[0], sum(len(x) for ref in alive if (x := ref()) is not None))
        return table

    monkeypatch.setattr(sources, "as_table", watched)
    monkeypatch.setattr("thalweg.core.data.as_table", watched)
    return most


def test_one_block_is_alive_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through values, gradients and products."""
    most = followed(monkeypatch)
    objective = risk(tw.Streamed(Counted(4 * ROWS)))
    most[0] = 0
    objective.losses(objective.initial.theta.repeat(3, 1))
    objective.value_and_grad(objective.initial.theta[None])
    with objective.linearized(objective.initial.theta[None]) as linear:
        linear.hvp(torch.ones(1, 1, objective.space.size).double())
    assert BLOCK <= most[0] <= 2 * BLOCK < 4 * ROWS


@pytest.mark.parametrize("backend", ["loop", "stacked", "vmap"])
@pytest.mark.parametrize("task", [1, 25])
def test_a_task_holds_one_block_however_many_points_it_has(
    monkeypatch: pytest.MonkeyPatch, backend: str, task: int
) -> None:
    most = followed(monkeypatch)
    objective = risk(tw.Streamed(Counted(4 * ROWS))).with_backend(backend)
    most[0] = 0
    recorded = Recorded("p", MemoryLedger(), MemorySink(), task_size=task)
    found = tw.slices.Plane(steps=5)(objective, objective.initial, evaluate=recorded)
    assert BLOCK <= most[0] <= 2 * BLOCK < 4 * ROWS
    held = risk(tensors(4 * ROWS))
    np.testing.assert_allclose(
        found.data["loss"], tw.slices.Plane(steps=5)(held, held.initial).data["loss"], rtol=1e-12
    )


@given(cuts=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6), batch=st.integers(1, 70))
@settings(max_examples=40, deadline=None)
def test_what_is_read_in_order_can_be_cut_anywhere(cuts: list[tuple[int, int]], batch: int) -> None:
    x, y = tensors(60)
    source = Ordered(DataLoader(TensorDataset(x, y), batch_size=batch), "DataLoader", rows=False)
    for a, b in cuts:
        low, high = min(a, b), max(a, b)
        if low < high:
            part = source.span(low, high)
            assert torch.equal(part.inputs, x[low:high]) and torch.equal(part.targets, y[low:high])


def test_minibatches_of_streamed_rows() -> None:
    index = torch.tensor([[3, 250, 3], [7, 8, 299]])
    held, streamed = risk(tensors()), risk(tw.Streamed(Counted()))
    thetas = held.initial.theta.repeat(2, 1)
    torch.testing.assert_close(streamed.rows(index).losses(thetas), held.rows(index).losses(thetas))
    with pytest.raises(DataError, match="IterableDataset is read in order"):
        risk(tw.Streamed(InOrder())).rows(index[0])


class Drifting(Dataset):
    def __init__(self) -> None:
        self.count = 0

    def __len__(self) -> int:
        return 5

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        self.count += 1
        return torch.tensor([float(self.count)]), 0


def test_what_cannot_be_streamed_is_refused(tmp_path: Path) -> None:
    x, y = tensors()
    with pytest.raises(DataError, match="shuffles its rows"):
        tw.Streamed(DataLoader(TensorDataset(x, y), shuffle=True))
    with pytest.raises(DataError, match="drop_last=True"):
        tw.Streamed(DataLoader(TensorDataset(x, y), drop_last=True))
    with pytest.raises(DataError, match="two readings of the Dataset differ"):
        tw.Streamed(Drifting())
    with pytest.raises(DataError, match=r"rows: the first axis"):
        tw.Streamed((x, y[:5]))
    with pytest.raises(DataError, match="0 rows"):
        tw.Streamed((x[:0], y[:0]))
    with pytest.raises(DataError, match="NaN in row 299"):
        tw.Streamed((torch.where(torch.arange(ROWS)[:, None] == 299, torch.nan, x), y))
    with pytest.raises(DataError, match="type int cannot be streamed"):
        tw.Streamed(3)
    with pytest.raises(DataError, match=r"thalweg\.Streamed"):
        risk(InOrder())
    with pytest.raises(DataError, match="300 rows in memory"):
        _ = risk(tw.Streamed((x, y))).table.inputs
