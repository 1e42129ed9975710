"""A network whose parameters are shared out over processes, as an objective that every method takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, final

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.tensor import distribute_tensor

from thalweg.core.objective import Objective
from thalweg.core.products import Linearization
from thalweg.core.rng import Stream
from thalweg.core.rows import BLOCK_ROWS
from thalweg.core.space import ParameterSpace, Point
from thalweg.errors import InputError
from thalweg.exec.sharded import Named, Sharded
from thalweg.records import Fingerprint

_ASKED = ("end", "loss", "gradient", "hvp", "ggn")
"""What rank 0 may ask the other processes to take part in."""


@final
class ShardedRisk(Objective):
    """:class:`Sharded` as an Objective of flat vectors [P] on the CPU: values, gradients, Hessian and GGN products.

    Every process makes it from the same data; rank 0 then runs a method, and the others take part in what it asks for::

        with risk.led() as mine:
            if mine:
                spectrum = Lanczos(k=5)(risk, risk.initial)

    So spectra, lines and planes are those of one process to rounding, and no clock or rounding of another process can
    lead to another step. A device holds its shards and one gathered tensor at a time; the vectors of a method lie in
    the memory of rank 0's CPU, and of the other processes' a point and a vector.

    Raises
    ------
    SubjectError
        As :class:`Sharded`.
    InputError
        If there are fewer rows than processes, it is asked for values outside :meth:`led` or on another rank, or for
        what needs all parameters in one process.
    """

    def __init__(
        self, model: nn.Module, loss: Any, data: Any, *, block_rows: int = BLOCK_ROWS, normaliser: str | None = None
    ) -> None:
        self.sharded = Sharded(model, loss, data, block_rows=block_rows, normaliser=normaliser)
        self.space = ParameterSpace.of_module(model).to(device="cpu")
        self.initial = Point(self._flat(self.sharded.parameters), None, "initial")
        self.row_count = self.sharded.row_count
        self.tolerance = 1e-12 if self.space.dtype == torch.float64 else 1e-5
        self._leads = False

    @contextmanager
    def led(self) -> Iterator[bool]:
        """True on rank 0; False on the other processes, once rank 0 has left this context."""
        if dist.get_rank(self.sharded.group):
            empty = torch.zeros(self.space.size, dtype=self.space.dtype)
            while (what := self._told()) != "end":
                self._take(what, empty, empty)
            yield False
            return
        self._leads = True
        try:
            yield True
        finally:
            self._leads = False
            self._told("end")

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """F at thetas [B, P], one after the other; float64 [B]."""
        found = [self._asked("loss", theta) for theta in self.space.check(thetas)]
        return {"loss": torch.tensor(found, dtype=torch.float64)}

    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """F float64 [B] and its gradient [B, P]."""
        thetas = self.space.check(thetas)
        return self.losses(thetas), torch.stack([self._asked("gradient", theta) for theta in thetas])

    def linearized(self, thetas: Tensor) -> Linearization:
        """Products at thetas [B, P]; their graphs are built again for each, as one process may not hold them."""
        return _Products(self._asked, self.space.check(thetas))

    def scalar(self, theta: Tensor) -> NoReturn:
        """Refused: a graph through all processes is not kept."""
        raise InputError("F of sharded parameters is no single differentiable scalar: use value_and_grad or products")

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> ShardedRisk:
        """Itself; another dtype is refused."""
        if dtype not in (None, self.space.dtype):
            raise InputError(
                f"sharded parameters are {self.space.dtype}: call model.to({dtype}) before they are shared"
            )
        return self

    def fingerprint(self) -> Fingerprint:
        """Shapes, data, and F at two fixed points."""
        noise = torch.randn(2, self.space.size, generator=Stream(0, ("fingerprint",)).torch(), dtype=torch.float64)
        return Fingerprint(self.space.fingerprint, self.sharded.digest, "", tuple(self.losses(0.1 * noise).tolist()))

    def _asked(self, what: str, *vectors: Tensor) -> Any:
        """On rank 0: what all processes find together at a point, and along a vector."""
        if not self._leads:
            raise InputError("sharded parameters are evaluated by all processes: `with risk.led() as mine`, if mine")
        self._told(what)
        return self._take(what, *vectors)

    def _told(self, what: str = "end") -> str:
        """What rank 0 tells all processes."""
        group, device = self.sharded.group, next(iter(self.sharded.parameters.values())).device
        number = torch.tensor([_ASKED.index(what)], device=device)
        dist.broadcast(number, dist.get_global_rank(group, 0), group=group)
        return _ASKED[int(number)]

    def _take(self, what: str, theta: Tensor, vector: Tensor | None = None) -> Any:
        """On every process the same, of which rank 0's vectors are what counts."""
        named = self._shards(theta)
        if what == "loss":
            return self.sharded.loss(named)
        if what == "gradient":
            return self._flat(self.sharded.gradient(named))
        assert vector is not None
        take = self.sharded.hvp if what == "hvp" else self.sharded.ggn
        return self._flat(take(self._shards(vector, direction=True), named))

    def _shards(self, vector: Tensor, direction: bool = False) -> Named:
        """Rank 0's flat vector as DTensors; parameters that are not studied are the model's own, 0 in a direction."""
        made, named = {}, self.space.unravel(vector)
        for name, p in self.sharded.parameters.items():
            if name in named:
                made[name] = distribute_tensor(named[name].contiguous(), p.device_mesh, p.placements)
            else:
                made[name] = torch.zeros_like(p) if direction else p  # type: ignore[assignment]
        return made

    def _flat(self, named: Named) -> Tensor:
        return torch.cat([named[e.name].full_tensor().reshape(-1).cpu() for e in self.space.entries])


class _Products(Linearization):
    """Products through the processes, one vector at a time."""

    def __init__(self, asked: Callable[..., Tensor], thetas: Tensor) -> None:
        super().__init__([], thetas)
        self._asked = asked

    def _products(self, vectors: Tensor, kind: str) -> Tensor:
        if kind == "fisher":
            raise InputError("the empirical Fisher matrix of sharded parameters is not offered: use 'ggn'")
        self._check(vectors)
        self.count(vectors.shape[0] * vectors.shape[1])
        what, given = "hvp" if kind == "hessian" else kind, vectors.to(self.thetas)
        rows = [[self._asked(what, t, v) for v in many] for t, many in zip(self.thetas, given, strict=True)]
        return torch.stack([torch.stack(found) for found in rows])
