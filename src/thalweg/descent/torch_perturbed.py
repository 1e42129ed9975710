"""Kicks around any optimizer of torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from thalweg.core.rng import Stream, stream
from thalweg.descent.kicks import Ball, RowStep
from thalweg.descent.noise import Noise
from thalweg.descent.perturbed import Perturbed
from thalweg.errors import InputError
from thalweg.records import RunStatus


class PerturbedOptimizer(torch.optim.Optimizer):
    """``optimizer`` with the kicks and the return test of :class:`thalweg.descent.Perturbed`.

    Where the gradient of all groups together is no longer than ``g_thres``, and the last kick more than ``t_thres``
    steps ago, the parameters are kicked instead of stepped: uniformly in a ball around all of them, or with a
    :class:`thalweg.descent.RowStep` along the gradient that ``sample`` evaluates. Groups keep their own rates and
    options, and schedulers take this optimizer or the one inside. The rule inside ``perturbed`` is not used.

    ``step()`` takes the gradients that backward has left; ``step(closure)`` evaluates them. The return test compares
    losses of two steps and so needs a closure, and means something where both are of the same rows. An optimizer cannot
    end a loop: ``status`` becomes RETURNED, or CERTIFIED with the constants of the theorem, the parameters are those
    before the kick, and further steps leave them there.

    Raises
    ------
    InputError
        If a closure is missing where it is needed.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, perturbed: Perturbed, *, rng: int | Stream) -> None:
        super().__init__(optimizer.param_groups, optimizer.defaults)
        self.optimizer, self.perturbed = optimizer, perturbed
        self._noise = Noise.numbered(stream(rng)("perturbed"), 0, 1)
        self.kicks, self.status = 0, None
        self._count, self._since, self._kept_loss = 0, -1, 0.0
        self._kept: list[Tensor] = []
        self._share()

    status: RunStatus | None

    @property
    def certified(self) -> str:
        """What is known of the parameters; empty as long as nothing is."""
        return self.perturbed.certifies if self.status is RunStatus.CERTIFIED else ""

    def step(self, closure: Callable[[], Any] | None = None, sample: Callable[[], Any] | None = None) -> Any:
        """A step of the optimizer inside, or a kick; returns what the closure returned."""
        loss: Any = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        value = float(loss.detach()) if isinstance(loss, Tensor) else float(loss or 0.0)
        test = self.perturbed.f_thres
        if test is not None and closure is None:
            raise InputError(f"f_thres={test:g} compares losses: give step(closure), or f_thres=None to go without")
        if self.status is not None:
            return loss
        here = self._count
        self._count += 1
        if test is not None and self._since == self.perturbed.t_thres and self._kept_loss - value < test:
            self._write(self._kept)
            self.status = RunStatus.CERTIFIED if self.perturbed.certifies else RunStatus.RETURNED
            return loss
        ready = self._since < 0 or self._since > self.perturbed.t_thres
        if ready and self._norm() <= self.perturbed.g_thres:
            self._kept = [p.detach().clone() for p in self._tensors()]
            self._kept_loss, self._since = value, 0
            self.kicks += 1
            self._kick(here, sample)
            return loss
        if inspect.signature(self.optimizer.step).parameters["closure"].default is inspect.Parameter.empty:
            self.optimizer.step(closure)  # such as LBFGS, which evaluates by itself
        else:
            self.optimizer.step()
        self._since += self._since >= 0
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimizer inside, and where the kicks are."""
        own = {name: getattr(self, f"_{name}") for name in ("count", "since", "kept_loss", "kept")}
        status = None if self.status is None else self.status.name
        return {"optimizer": self.optimizer.state_dict(), "perturbed": own | {"kicks": self.kicks, "status": status}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Where a run was; constants and seed are those of this optimizer."""
        self.optimizer.load_state_dict(state_dict["optimizer"])
        own = state_dict["perturbed"]
        for name in ("count", "since", "kept_loss"):
            setattr(self, f"_{name}", own[name])
        self._kept = [kept.clone().to(p) for kept, p in zip(own["kept"], self._tensors(), strict=False)]
        self.kicks, self.status = own["kicks"], None if own["status"] is None else RunStatus[own["status"]]
        self._share()

    def _share(self) -> None:
        self.param_groups, self.state = self.optimizer.param_groups, self.optimizer.state

    def _tensors(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def _norm(self) -> float:
        squares = [p.grad.detach().double().square().sum() for p in self._tensors() if p.grad is not None]
        return float(torch.stack(squares).sum().sqrt()) if squares else 0.0

    @torch.no_grad()
    def _write(self, tensors: list[Tensor]) -> None:
        for p, value in zip(self._tensors(), tensors, strict=True):
            p.copy_(value)

    def _kick(self, count: int, sample: Callable[[], Any] | None) -> None:
        kick, tensors = self.perturbed.kick, self._tensors()
        if isinstance(kick, Ball):
            flat = torch.zeros(1, sum(p.numel() for p in tensors), dtype=torch.float64)
            drawn = kick.radius * self._noise.ball(flat, count, torch.ones(1, dtype=torch.bool))[0]
            steps = [
                d.view_as(p).to(p) for d, p in zip(drawn.split([p.numel() for p in tensors]), tensors, strict=True)
            ]
        elif isinstance(kick, RowStep) and sample is not None:
            for p in tensors:
                p.grad = None
            with torch.enable_grad():
                sample()
            steps = [-kick.step * (torch.zeros_like(p) if p.grad is None else p.grad) for p in tensors]
        else:
            raise InputError(f"{kick}: a kick is a Ball, or a RowStep with step(closure, sample), sample() a few rows")
        self._write([p + step for p, step in zip(tensors, steps, strict=True)])
