"""A landscape given by a formula: any differentiable function of one flat vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.products import Linearization, Term
from thalweg.core.quiet import unbatched_nodes
from thalweg.core.rng import Stream
from thalweg.core.space import ParameterSpace, Point
from thalweg.errors import InputError, SubjectError
from thalweg.records import Fingerprint


class Function(Objective):
    """``fn(x [size]) -> scalar`` as an objective, float64 unless moved.

    ``manifold="sphere"`` keeps x on the unit sphere by :meth:`retract`. ``facts`` says what is known.

    Raises
    ------
    SubjectError
        If ``fn`` does not return a scalar tensor.
    InputError
        If size is below 1 or the manifold is unknown.
    """

    def __init__(
        self,
        fn: Callable[[Tensor], Tensor],
        size: int,
        facts: Any = None,
        manifold: Literal["sphere"] | None = None,
        initial: Tensor | None = None,
    ) -> None:
        if manifold not in (None, "sphere"):
            raise InputError(f"manifold={manifold!r}: choose 'sphere' or None")
        self.fn, self.facts, self.manifold = fn, facts, manifold
        self.space = ParameterSpace.of_vector(size)
        start = torch.zeros(size) if initial is None else initial
        self.initial = Point(self.space.check(start, "initial"), None, "initial")
        value = fn(self.initial.theta)
        if not isinstance(value, Tensor) or value.ndim:
            shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise SubjectError(f"fn returned {shape}: it must map a tensor [{size}] to a scalar tensor")
        self._vmap, self._reason = self._checked()

    def scalar(self, theta: Tensor) -> Tensor:
        """fn(theta)."""
        return self.fn(theta)

    def evaluate(self, thetas: Tensor, metrics: bool = True) -> dict[str, Tensor]:
        """F at thetas [B, P] as ``loss``, float64 [B]."""
        thetas = self.space.check(thetas)
        with torch.no_grad():
            return {"loss": self._map(self.fn, thetas).double()}

    def value_and_grad(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """F float64 [B] and its gradient [B, P]."""
        leaf = self.space.check(thetas).detach().requires_grad_()
        with torch.enable_grad():
            values = self._map(self.fn, leaf)
            gradient = torch.zeros_like(leaf)
            if values.requires_grad:
                (gradient,) = torch.autograd.grad(values.sum(), leaf, materialize_grads=True)
        return values.detach().double(), gradient

    def linearized(self, thetas: Tensor) -> Linearization:
        """Hessian products at thetas [B, P]."""
        return Linearization([Term(self.fn)], self.space.check(thetas), together=self._products if self._vmap else None)

    def retract(self, thetas: Tensor) -> Tensor:
        """Onto the unit sphere where that is the manifold."""
        if self.manifold == "sphere":
            return thetas / thetas.norm(dim=-1, keepdim=True)
        return thetas

    def to(self, dtype: torch.dtype | None = None, device: str | torch.device | None = None) -> Function:
        """The same function in another dtype or on another device."""
        moved = Function.__new__(Function)
        moved.__dict__.update(self.__dict__)
        moved.space = self.space.to(dtype, device)
        moved.initial = Point(moved.space.check(self.initial.theta), None, "initial")
        return moved

    def fingerprint(self) -> Fingerprint:
        """Shapes and F at two fixed points."""
        generator = Stream(0, ("fingerprint",)).torch()
        thetas = torch.randn(2, self.space.size, generator=generator, dtype=torch.float64)
        return Fingerprint(self.space.fingerprint, "", "", tuple(self.losses(thetas).tolist()))

    def with_backend(self, backend: str) -> Function:
        """The same function, evaluated point by point ("loop") or by vmap where ``fn`` allows it."""
        if backend not in ("loop", "vmap", "auto"):
            raise InputError(f"backend={backend!r}: a function is evaluated by 'loop' or 'vmap' ('auto': vmap)")
        made = Function.__new__(Function)
        made.__dict__.update(self.__dict__)
        made._vmap, made._reason = (False, "asked for") if backend == "loop" else self._checked()
        return made

    @property
    def backend(self) -> tuple[str, str]:
        """Vmap, unless ``fn`` refused it or differed from the loop at two points."""
        return ("vmap" if self._vmap else "loop"), self._reason

    def _checked(self) -> tuple[bool, str]:
        """Whether vmap gives what the loop gives at two points near the initial one, and why not."""
        noise = torch.randn(2, self.space.size, generator=Stream(0, ("backend",)).torch(), dtype=torch.float64)
        probes = self.initial.theta + 0.01 * noise.to(self.initial.theta)
        try:
            with torch.no_grad(), unbatched_nodes():
                found = torch.func.vmap(self.fn)(probes)
        except Exception as error:  # whatever fn raises under vmap, the loop can still run it
            text = str(error).strip().splitlines()
            return False, f"vmap refused fn: {text[0] if text else type(error).__name__}"
        with torch.no_grad():
            expected = torch.stack([self.fn(theta) for theta in probes])
        if not torch.allclose(found, expected, rtol=10 * self.tolerance, atol=1e-300, equal_nan=True):
            return False, "vmap differs from the loop at a probe point"
        return True, "agrees with the loop at two points"

    def _products(self, thetas: Tensor, vectors: Tensor) -> Tensor:
        """Hessian products of every point, [B, P] and [B, k, P] -> [B, k, P], by reverse over reverse under vmap."""

        def one(theta: Tensor, vector: Tensor) -> Tensor:
            return torch.func.grad(lambda t: torch.func.grad(self.fn)(t) @ vector)(theta)

        with unbatched_nodes():
            return torch.func.vmap(torch.func.vmap(one, (None, 0)))(thetas, vectors).detach()

    def _map(self, fn: Callable[[Tensor], Tensor], thetas: Tensor) -> Tensor:
        if self._vmap:
            with unbatched_nodes():
                return torch.func.vmap(fn)(thetas)
        return torch.stack([fn(theta) for theta in thetas])
