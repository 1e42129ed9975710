"""Recording any training loop: its points, losses and learning rates, written as it runs."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from thalweg.errors import InputError, StoreError, ThalwegWarning
from thalweg.trajectories.recorder_keep import Keep, layout_of, persistent, unwrapped
from thalweg.trajectories.recorder_schedule import Schedule, schedule
from thalweg.trajectories.recorder_sketch import CountSketch
from thalweg.trajectories.recorder_store import PointStore
from thalweg.trajectories.segments import digest


class Recorder:
    """Writes points of a module in training; a context manager, made by :func:`record`; ``rule`` is what trains it."""

    def __init__(
        self,
        model: nn.Module,
        path: str | Path,
        every: int | str | Schedule = 100,
        *,
        optimizer: torch.optim.Optimizer | None = None,
        resume: bool = False,
        step: int | None = None,
        keep: Keep | None = None,
        rule: str | None = None,
    ) -> None:
        self.path, self.schedule, self.keep = Path(path), schedule(every), keep or Keep()
        self.module = unwrapped(model)
        self.count = 0
        """Steps taken, those before a resume included."""
        if step is not None and step < 0:
            raise InputError(f"step={step}: give the number of steps that were taken, from 0 on")
        self._optimizer, self._resume, self._step = optimizer, resume, step
        self._rule = type(optimizer).__name__ if rule is None and optimizer is not None else rule
        self._store: PointStore | None = None
        self._given: tuple[int, Any, Any] = (-1, None, None)
        self._written = -1
        self._told = False
        self._unhook: Any = None

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.close()
            return
        try:
            self.close(last=False)  # an exception may have come in the middle of a step
        except StoreError as second:
            warnings.warn(str(second), ThalwegWarning, stacklevel=2)

    def open(self) -> Self:
        """Begin, or go on; what ``with`` does first. The point where training stands is kept at once.

        Raises
        ------
        StoreError
            If the directory cannot be used.
        InputError
            If a resumed network stands at none of the recorded points and ``step`` was not given.
        """
        if torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_rank():
            return self  # every rank has the same parameters; the first one writes them
        layout = layout_of(self.module, self.keep)
        about = {
            "every": repr(self.schedule),
            "optimizer": self._rule,
            "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._store = PointStore(self.path, layout, about, resume=self._resume, compact=self.keep.compact)
        try:
            self.count = self._start(self._store)
        except BaseException:
            self._store.close()
            self._store = None
            raise
        if self._optimizer is not None:
            self._unhook = self._optimizer.register_step_post_hook(lambda *_: self.step())
        self._keep_point()
        return self

    def close(self, *, last: bool = True) -> None:
        """Keep the last point, force all to the disk, compact it where it is much; what ``with`` does last.

        Raises
        ------
        StoreError
            If the disk is full; what was written stays readable.
        """
        if self._unhook is not None:
            self._unhook.remove()
            self._unhook = None
        if self._store is None:
            return
        if last and self._written != self.count:
            self._keep_point()
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def note(self, *, loss: Tensor | float | None = None, lr: Tensor | float | None = None) -> None:
        """Say what belongs to the next step, where the optimiser itself is watched."""
        kept = loss.detach() if isinstance(loss, Tensor) else loss
        self._given = (self.count + 1, kept, lr)

    def step(self, loss: Tensor | float | None = None, lr: Tensor | float | None = None) -> None:
        """Count one step, after it was taken, and keep its point where the schedule says so.

        ``loss`` is what the loop computed before the step; it is read from its device only when the point is kept.

        Raises
        ------
        StoreError
            If the disk is full or the directory cannot be written any more, unless ``failing="warn"``.
        """
        if loss is not None or lr is not None:
            self.note(loss=loss, lr=lr)
        self.count += 1
        if self._store is not None and self.schedule.due(self.count):
            self._keep_point()

    def _start(self, store: PointStore) -> int:
        if not store.rows:
            return self._step or 0
        here = digest(store.content(self._tensors()))
        if self._step is None:
            found = [row.stamp.step for row in store.rows if row.digest == here]
            if not found:
                raise InputError(
                    f"{self.path}: the network stands at none of the {len(store.rows)} recorded points: load a "
                    f"checkpoint before resuming, and say step=… where it is of another step than those recorded"
                )
            self._step = found[-1]
        if (store.rows[-1].stamp.step, store.rows[-1].digest) == (self._step, here):
            self._written = self._step
        return self._step

    def _tensors(self) -> list[Tensor]:
        """What a row is made of, now."""
        assert self._store is not None
        layout, parameters = self._store.layout, dict(self.module.named_parameters())
        missing = [entry.name for entry in layout.parameters if entry.name not in parameters]
        if missing:
            raise InputError(f"{missing[0]!r} is no parameter of the network any more: record again from here")
        if not self._told and sum(p.requires_grad for p in parameters.values()) > len(layout.parameters):
            self._told = True
            said = f"{self.path}: parameters that were frozen at the start are trained now and are not recorded"
            warnings.warn(f"{said}; begin another recording for them", ThalwegWarning, stacklevel=4)
        found = [parameters[entry.name].detach() for entry in layout.parameters]
        first = found
        if layout.sketch is not None:
            first = [CountSketch(layout.sketch, layout.seed)(found)]
        elif layout.dtype != found[0].dtype:
            first = [x.to(layout.dtype) for x in found]
        buffers = persistent(self.module) if layout.buffers else {}
        return [*first, *(buffers[entry.name] for entry in layout.buffers)]

    def _keep_point(self) -> None:
        if self._store is None or self._written == self.count:
            return
        at, loss, lr = self._given
        if at != self.count:
            loss = lr = None
        if lr is None and self._optimizer is not None:
            lr = self._optimizer.param_groups[0].get("lr")
        try:
            self._store.append(self.count, _number("loss", loss), _number("lr", lr), self._tensors())
        except StoreError as error:
            if self.keep.failing == "raise":
                raise
            warnings.warn(f"recording has ended: {error}", ThalwegWarning, stacklevel=3)
            self._store = None
        self._written = self.count


def record(
    model: nn.Module,
    path: str | Path,
    *,
    every: int | str | Schedule = 100,
    optimizer: torch.optim.Optimizer | None = None,
    resume: bool = False,
    step: int | None = None,
    keep: Keep | None = None,
) -> Recorder:
    """Record the training of a module into the directory ``path``.

    ::

        with tw.trajectories.record(model, "run", every=100) as recorder:
            for inputs, targets in loader:
                ...
                optimizer.step()
                recorder.step(loss)

    With ``optimizer`` every step of it is counted by itself, with its learning rate. ``every`` is a number of steps,
    "log", or a schedule; the first and the last point are always kept. Wrappers for data parallelism and torch.compile
    are looked through, and the first rank alone writes.

    ``resume=True`` goes on with a trajectory that was recorded here: at the step whose point the network stands at, or
    at ``step``; recorded points of later steps are then replaced as training passes them anew.

    Raises
    ------
    InputError
        If an option is wrong, or the parameters have several dtypes or are sharded.
    """
    return Recorder(model, path, every, optimizer=optimizer, resume=resume, step=step, keep=keep)


def _number(name: str, value: Any) -> float:
    if value is None:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} is a {type(value).__name__} that is no number: give a scalar") from error
