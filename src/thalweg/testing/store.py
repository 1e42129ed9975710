"""The contract of a store: a ledger that says what is done, and a sink that gives back what was written."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch

from thalweg.core.evaluate import Inline, Ledger, Plan, Sink
from thalweg.core.recorded import Recorded
from thalweg.errors import DamagedError, StoreError
from thalweg.records import Cost
from thalweg.testing.contract import Contract, keeps, refuses, same

STRANGE = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 5e-324])
"""Values that a store must give back bit for bit; a loss may be any of them."""


class StoreContract(Contract):
    """What every store keeps. Calling :meth:`make` again on a folder opens what is there, as a resume does."""

    @abstractmethod
    def make(self, folder: Path) -> tuple[Ledger, Sink]:
        """A ledger and a sink that keep what they are given under a folder that exists."""

    @contextmanager
    def opened(self) -> Iterator[tuple[Path, Ledger, Sink]]:
        """A store in an empty folder."""
        with tempfile.TemporaryDirectory() as name:
            ledger, sink = self.make(Path(name))
            yield Path(name), ledger, sink

    def test_the_first_settings_win(self) -> None:
        """``settle`` keeps the first caller's settings; what was measured is obeyed, anything else must be equal."""
        first = {"task_size": 3, "road": {"chunk": 8}, "points": 10, "backend": "loop", "level": float("nan")}
        with self.opened() as (folder, ledger, _):
            ledger.settle("p", first)
            again = {**first, "task_size": 5, "road": {"chunk": 1}}
            for found in (ledger.settle("p", again), self.make(folder)[0].settle("p", again)):
                keeps(found["task_size"] == 3, f"task_size is {found['task_size']}, and the first caller measured 3")
                keeps(found["road"] == {"chunk": 8}, f"road is {found['road']}, not the first caller's")
            refuses(lambda: ledger.settle("p", {**first, "backend": "vmap"}), StoreError, "another backend")
            refuses(lambda: ledger.settle("p", {**first, "rows": 7}), StoreError, "a setting that is new")
            keeps(ledger.settle("q", {"task_size": 9})["task_size"] == 9, "one plan's settings bind another")

    def test_a_task_is_given_once(self) -> None:
        """``claim`` leases each task to one caller, and says None when all are leased or done."""
        with self.opened() as (folder, ledger, _):
            other = self.make(folder)[0]
            given = [(ledger, other)[i % 2].claim("p", 4) for i in range(5)]
            keeps(sorted(x for x in given if x is not None) == [0, 1, 2, 3], f"4 tasks were given as {given}")
            keeps(given[4] is None, f"a fifth claim of 4 tasks gave {given[4]}: it is None")
            keeps(ledger.claim("q", 1) == 0, "the tasks of one plan are taken by another's")

    def test_a_task_counts_when_it_is_finished(self) -> None:
        """``checksums`` and ``cost`` are of finished tasks, also when the store is opened again."""
        with self.opened() as (folder, ledger, _):
            for _ in range(3):
                ledger.claim("p", 3)
            keeps(not dict(ledger.checksums("p")), "a task that is only leased counts as done")
            ledger.finish("p", 1, "b", Cost(forwards=2, seconds=0.5))
            ledger.finish("p", 0, "a", Cost(forwards=3, rows=0.25))
            for found in (ledger, self.make(folder)[0]):
                keeps(dict(found.checksums("p")) == {0: "a", 1: "b"}, f"checksums are {dict(found.checksums('p'))}")
                total = Cost(forwards=5, rows=0.25, seconds=0.5)
                keeps(found.cost("p") == total, f"the cost is {found.cost('p')}, not {total}")
            keeps(ledger.cost("q") == Cost(), "a plan that was never begun has a cost")

    def test_a_task_given_back_is_given_again(self) -> None:
        """``release`` opens a leased task, and leaves a finished one as it is."""
        with self.opened() as (_, ledger, _sink):
            ledger.claim("p", 2), ledger.claim("p", 2)
            ledger.finish("p", 0, "a", Cost())
            ledger.release("p", 0)
            ledger.release("p", 1)
            given = [ledger.claim("p", 2), ledger.claim("p", 2)]
            keeps(given == [1, None], f"after task 1 was given back, claims give {given}, not [1, None]")

    def test_a_task_is_done_once(self) -> None:
        """Finishing it again with the same checksum changes nothing; with another it is refused."""
        with self.opened() as (_, ledger, _sink):
            refuses(lambda: ledger.finish("p", 0, "a", Cost()), StoreError, "finishing a task that was never claimed")
            ledger.claim("p", 1)
            ledger.finish("p", 0, "a", Cost(forwards=1))
            ledger.finish("p", 0, "a", Cost(forwards=1))
            keeps(
                ledger.cost("p").forwards == 1,
                f"a task finished twice costs {ledger.cost('p').forwards} forwards, not 1",
            )
            refuses(lambda: ledger.finish("p", 0, "b", Cost()), StoreError, "another result of a task that is done")

    def test_arrays_come_back_bit_for_bit(self) -> None:
        """Any float64, in any order of tasks, and after the store is opened again."""
        whole = {"loss": STRANGE, "acc/θ": np.arange(14.0).reshape(7, 2)}
        shapes = {name: array.shape for name, array in whole.items()}
        for size in (1, 3, 7):
            with self.opened() as (folder, _, sink):
                sink.open("p/1", shapes, size)
                parts = {s // size: {n: a[s : s + size] for n, a in whole.items()} for s in range(0, 7, size)}
                sums = {task: sink.write("p/1", task * size, part) for task, part in reversed(parts.items())}
                again = self.make(folder)[1]
                again.open("p/1", shapes, size)
                for name, found in again.read("p/1", sums).items():
                    same(found, whole[name], f"the array {name!r} in tasks of {size} points")

    def test_a_difference_from_a_checksum_is_named(self) -> None:
        """``read`` raises DamagedError where arrays are not those of the checksum, StoreError where a task is open."""
        with self.opened() as (_, _, sink):
            sink.open("p", {"loss": (4,)}, 2)
            first, second = (sink.write("p", s, {"loss": np.array([s, 1.0])}) for s in (0, 2))
            keeps(first != second, "two tasks with other values have one checksum")
            refuses(lambda: sink.read("p", {0: second, 1: second}), DamagedError, "a task that is not its checksum")
            refuses(lambda: sink.read("p", {0: first}), StoreError, "a task that is not done")
            sink.write("p", 2, {"loss": np.array([2.0, 1.5])})
            refuses(lambda: sink.read("p", {0: first, 1: second}), DamagedError, "a task that was changed afterwards")

    def test_only_whole_tasks_of_the_plan_are_written(self) -> None:
        """A part of a task, another name, and another shape under the same plan are refused."""
        with self.opened() as (folder, _, sink):
            sink.open("p", {"loss": (3,)}, 2)
            for start, arrays in ((1, {"loss": np.zeros(2)}), (0, {"loss": np.zeros(1)}), (0, {"x": np.zeros(2)})):
                refuses(partial(sink.write, "p", start, arrays), StoreError, f"writing {arrays} from {start} on")
            again = self.make(folder)[1]
            refuses(lambda: again.open("p", {"loss": (4,)}, 2), StoreError, "a plan of another number of points")

    def test_a_state_is_replaced_whole(self) -> None:
        """``load_state`` gives the last state with every dtype and shape, and None where there is none."""
        with self.opened() as (folder, _, sink):
            keeps(sink.load_state("a/b") is None, "there is a state before one was saved")
            sink.save_state("a/b", {"old": np.zeros(3)})
            kept = {"slot/mean": STRANGE, "count": np.array(7), "which": np.array([True, False])}
            sink.save_state("a/b", kept)
            for found in (sink.load_state("a/b"), self.make(folder)[1].load_state("a/b")):
                keeps(found is not None and set(found) == set(kept), f"the state holds {sorted(found or {})}")
                for name, array in kept.items():
                    same((found or {})[name], array, f"the state's {name!r}")

    def test_a_plan_is_carried_out_once(self) -> None:
        """A plan that was interrupted goes on, repeats nothing, and equals one evaluated inline."""
        calls: list[float] = []
        fails = [True]

        def fn(c: torch.Tensor) -> dict[str, torch.Tensor]:
            if fails and c[0, 0] == 4:
                fails.clear()
                raise KeyboardInterrupt
            calls.extend(c[:, 0].tolist())
            return {"loss": c[:, 0].sqrt(), "pair": torch.stack([c[:, 0], c[:, 0] / 0], dim=1)}

        points = torch.arange(10, dtype=torch.float64)[:, None]
        plan = Plan(fn, points, ("loss", "pair"), trailing={"pair": (2,)})
        with self.opened() as (folder, ledger, sink):
            try:
                Recorded("p", ledger, sink, task_size=2)(plan)
                raise AssertionError("an interrupt inside a plan was lost")
            except KeyboardInterrupt:
                pass
            found = Recorded("p", *self.make(folder))(plan).values
            keeps(sorted(calls) == list(range(10)), f"10 points were evaluated as {sorted(calls)}")
            for name, array in Inline()(plan).values.items():
                same(found[name], array, f"{name!r} of a recorded plan")
