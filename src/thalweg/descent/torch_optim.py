"""Every rule as a ``torch.optim.Optimizer``: it steps by a closure, as torch's own LBFGS does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, final

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from thalweg.core.objective import Objective
from thalweg.core.products import Linearization, Term
from thalweg.core.rng import Stream, stream
from thalweg.core.space import ParameterSpace, Point
from thalweg.descent.noise import Noise
from thalweg.descent.rule import Rule, State, at_least, positive
from thalweg.descent.schedule import scaled
from thalweg.descent.torch_perturbed import PerturbedOptimizer as PerturbedOptimizer
from thalweg.errors import InputError
from thalweg.records import RunStatus

Closure = Callable[[], Any]
"""Evaluates the loss at the parameters as they are and returns it, with or without having called backward."""


class RuleOptimizer(torch.optim.Optimizer):
    """A rule over all parameters as one vector, the groups side by side.

    ``step(closure)`` calls the closure wherever the rule wants a value, a gradient or products: as often as its
    documentation says, and on what the closure evaluates, a fixed batch unless it draws another. The closure returns
    the loss; it may call backward itself, and for rules that need products ``backward(create_graph=True)``. Buffers
    of normalising layers see every evaluation. Frozen parameters are left out. ``lr`` of the groups, which schedulers
    change, must be one number. ``rng`` is what the rule draws from, as the first point of a ``Descent`` with this rng
    does; with ``state_dict`` a run goes on as if it had not been interrupted. ``status`` is RETURNED or CERTIFIED once
    the rule has returned a point; from then on a step only evaluates.

    Raises
    ------
    InputError
        If parameters differ in dtype or device, a group has options that a rule has not, or the closure is missing or
        gives nothing to differentiate.
    """

    def __init__(self, params: Iterable[Any], rule: Rule, *, rng: int | Stream) -> None:
        self.rule = rule
        self.status: RunStatus | None = None
        self._noise = Noise.numbered(stream(rng)("descent", "noise"), 0, 1)
        super().__init__(params, {"lr": rule.lr} if hasattr(rule, "lr") else {})
        more = {key for group in self.param_groups for key in group} - {"params", "lr", "param_names"}
        if more:
            raise InputError(
                f"a group has {sorted(more)[0]!r}, which {type(rule).__name__} has not: put a penalty into the loss"
            )
        found = {(p.dtype, p.device) for p in self._tensors()}
        if not found:
            raise InputError("no parameter requires a gradient: unfreeze those that are to be trained")
        if len(found) > 1:
            raise InputError(f"parameters are of {len(found)} kinds of dtype and device: a rule steps one vector")

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor:  # type: ignore[override]
        """One step of the rule; returns the loss at the parameters it left."""
        if closure is None:
            raise InputError(f"{type(self.rule).__name__} steps by a closure: step(closure), closure() -> loss")
        batch = _Batch(self._tensors(), closure)
        theta = batch.read()
        kept = self.state["rule"]  # type: ignore[index]  # not a parameter's: load_state_dict leaves its dtype alone
        if self.status is not None:
            return batch.value_and_grad(theta)[0][0]
        if not kept:
            kept |= {"count": 0, "slots": self.rule.init(batch, theta).slots}
        if any(slot.shape[1] not in (1, theta.shape[1]) for slot in kept["slots"].values()):
            raise InputError(
                f"{theta.shape[1]:,} parameters require gradients, not as many as before: make a new optimizer after "
                "freezing or unfreezing some"
            )
        state = State(theta, kept["slots"], kept["count"], self._noise)
        after, info = self._rated().step(batch, state)
        batch.write(after.theta[0])
        kept |= {"count": after.count, "slots": after.slots}
        if info.done is not None and bool(info.done.any()):
            self._end(RunStatus.CERTIFIED if self.rule.certifies else RunStatus.RETURNED)
        return info.loss[0]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Where a run was; the rule and the seed are those of this optimizer."""
        super().load_state_dict(state_dict)
        name = self.state["rule"].get("status")  # type: ignore[index]
        self.status = None if name is None else RunStatus[name]

    def _end(self, status: RunStatus) -> None:
        self.status = status
        self.state["rule"]["status"] = status.name  # type: ignore[index]

    def _tensors(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"] if p.requires_grad]

    def _rated(self) -> Rule:
        rates = {float(group["lr"]) for group in self.param_groups if "lr" in group}
        if len(rates) > 1:
            raise InputError(
                f"groups have rates {sorted(rates)}: {type(self.rule).__name__} has one; "
                "PerturbedOptimizer kicks an optimizer of torch with a rate for each group"
            )
        if not rates or rates == {self.rule.lr}:  # type: ignore[attr-defined]
            return self.rule
        return scaled(self.rule, rates.pop() / self.rule.lr)  # type: ignore[attr-defined]


class CNCSchedule(LRScheduler):
    """CNC-SGD as a schedule: every ``period`` steps, the first among them, the rate is ``factor`` times as large.

    Step it after every batch (Daneshmand et al. 2018, Algorithm 2).
    """

    def __init__(self, optimizer: torch.optim.Optimizer, period: int, factor: float, last_epoch: int = -1) -> None:
        at_least("period", period, 1)
        positive("factor", factor)
        self.period, self.factor = period, factor
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        """The rate of every group at this step."""
        factor = self.factor if self.last_epoch % self.period == 0 else 1.0
        return [rate * factor for rate in self.base_lrs]


@final
class _Batch(Objective):
    """F as a closure evaluates it, one point at a time."""

    def __init__(self, tensors: Sequence[Tensor], closure: Closure) -> None:
        self.tensors, self.closure = list(tensors), closure
        like = self.tensors[0]
        self.space = ParameterSpace.of_vector(sum(t.numel() for t in self.tensors)).to(like.dtype, like.device)
        self.initial = Point(self.read()[0], None, "parameters")
        self.tolerance = 1e-12 if like.dtype == torch.float64 else 1e-5

    def read(self) -> Tensor:
        """The parameters as [1, P]."""
        return torch.cat([t.detach().reshape(-1) for t in self.tensors])[None]

    def write(self, theta: Tensor) -> None:
        """Put theta [P] into the parameters."""
        with torch.no_grad():
            for tensor, part in zip(self.tensors, theta.split([t.numel() for t in self.tensors]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """By the closure, gradients included if it takes them."""
        return {"loss": torch.stack([self._called(theta)[0].detach().double() for theta in thetas])}

    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """By the closure, a call for each point."""
        found = [self._gradient(theta, graph=False) for theta in thetas]
        values = torch.stack([loss.detach().double() for loss, _ in found])
        return values, torch.stack([torch.cat([g.detach().reshape(-1) for g in gs]) for _, gs in found])

    def linearized(self, thetas: Tensor) -> Linearization:
        """Hessian products at one point."""
        if len(thetas) > 1:
            raise InputError(f"products at {len(thetas)} points: a closure has the parameters at one")
        return _Products(self, thetas)

    def scalar(self, theta: Tensor) -> NoReturn:
        """Refused."""
        raise InputError("a closure has no function of a vector: this rule needs Descent on an objective")

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> NoReturn:
        """Refused."""
        raise InputError("a closure stays where its parameters are: move the model")

    def fingerprint(self) -> NoReturn:
        """Refused."""
        raise InputError("a closure has no fingerprint: records need an objective")

    def _called(self, theta: Tensor) -> tuple[Tensor, list[Tensor | None]]:
        self.write(theta)
        for tensor in self.tensors:
            tensor.grad = None
        with torch.enable_grad():
            loss = self.closure()
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            raise InputError(f"the closure returned {type(loss).__name__}: it must return the loss, a scalar tensor")
        return loss, [tensor.grad for tensor in self.tensors]

    def _gradient(self, theta: Tensor, graph: bool) -> tuple[Tensor, list[Tensor]]:
        loss, grads = self._called(theta)
        given = [g for g in grads if g is not None]
        if not given:
            if not loss.requires_grad:
                raise InputError("the closure returned a loss without a graph and no gradients: do not detach it")
            return loss, list(torch.autograd.grad(loss, self.tensors, create_graph=graph, materialize_grads=True))
        if graph and not any(g.requires_grad for g in given):
            raise InputError(
                "this rule needs products, and the closure's gradients have no graph: return the loss without "
                "calling backward, or call backward(create_graph=True)"
            )
        return loss, [torch.zeros_like(t) if g is None else g for t, g in zip(self.tensors, grads, strict=True)]


@final
class _Products(Linearization):
    """Hessian products through the closure's graph at one point [1, P]."""

    def __init__(self, batch: _Batch, thetas: Tensor) -> None:
        super().__init__([Term(lambda theta: theta.sum())], thetas)
        with torch.enable_grad():
            _, self._slopes = batch._gradient(thetas[0], graph=True)
        self._at = batch.tensors

    def close(self) -> None:
        """Free the graph."""
        self._slopes = []

    def hvp(self, vectors: Tensor) -> Tensor:
        """[1, k, P] -> [1, k, P]."""
        self.count(vectors.shape[1])
        sizes = [t.numel() for t in self._at]
        found = []
        with torch.enable_grad():
            for vector in vectors[0].to(self.thetas):
                parts = [v.view_as(t) for v, t in zip(vector.split(sizes), self._at, strict=True)]
                used = [(g, v) for g, v in zip(self._slopes, parts, strict=True) if g.requires_grad]
                product = torch.autograd.grad(
                    [g for g, _ in used], self._at, [v for _, v in used], retain_graph=True, materialize_grads=True
                )
                found.append(torch.cat([p.detach().reshape(-1) for p in product]))
        return torch.stack(found)[None]
