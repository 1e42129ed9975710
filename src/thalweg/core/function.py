"""A landscape given by a formula: any differentiable function of one flat vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from thalweg.core.manifolds import Spheres, Tangent
from thalweg.core.objective import Objective
from thalweg.core.products import Linearization, Term
from thalweg.core.quiet import unbatched_nodes
from thalweg.core.rng import Stream
from thalweg.core.space import ParameterSpace, Point
from thalweg.errors import InputError, SubjectError
from thalweg.records import Fingerprint


class Function(Objective):
    """``fn(x [size]) -> scalar`` as an objective, float64 unless moved.

    ``manifold="sphere"`` keeps x on the unit sphere and "oblique" on ``spheres`` of them, block after block of x: F is
    fn(retract(x)), its gradient the Riemannian one, and products are with the Riemannian Hessian. ``facts`` says what
    is known.

    Raises
    ------
    SubjectError
        If ``fn`` does not return a scalar tensor.
    InputError
        If size is below 1, the manifold is unknown, or a block of ``initial`` on it is zero.
    """

    def __init__(
        self,
        fn: Callable[[Tensor], Tensor],
        size: int,
        facts: Any = None,
        manifold: Literal["sphere", "oblique"] | None = None,
        initial: Tensor | None = None,
        spheres: int = 1,
    ) -> None:
        if manifold not in (None, "sphere", "oblique"):
            raise InputError(f"manifold={manifold!r}: choose 'sphere', 'oblique' or None")
        if manifold != "oblique" and spheres != 1:
            raise InputError(f"spheres={spheres} and manifold={manifold!r}: several spheres are manifold='oblique'")
        self.facts, self.manifold = facts, manifold
        self.space = ParameterSpace.of_vector(size)
        self.spheres = None if manifold is None else Spheres(spheres, size)
        start = (torch.zeros(size) if manifold is None else torch.ones(size)) if initial is None else initial
        theta = self.retract(self.space.check(start, "initial"))
        if self.spheres is not None and not bool(theta.isfinite().all()):
            raise InputError("initial has a block of zeros (or no number), which lies on no sphere: give another")
        self.initial = Point(theta, None, "initial")
        self.fn = fn if self.spheres is None else _on(fn, self.spheres)
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
        """Hessian products at thetas [B, P]; on a manifold with the Riemannian Hessian."""
        thetas, together = self.space.check(thetas), self._products if self._vmap else None
        if self.spheres is not None:
            return Tangent(self.spheres, [Term(self.fn)], thetas, together=together)
        return Linearization([Term(self.fn)], thetas, together=together)

    def retract(self, thetas: Tensor) -> Tensor:
        """Every block onto its unit sphere where there is a manifold."""
        return thetas if self.spheres is None else self.spheres.retract(thetas)

    def normals(self, theta: Tensor) -> Tensor | None:
        """The radii of the spheres, where that is the manifold."""
        return None if self.spheres is None else self.spheres.normals(theta)

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


def _on(fn: Callable[[Tensor], Tensor], spheres: Spheres) -> Callable[[Tensor], Tensor]:
    """The function after the retraction: the same at every point of a ray, so that its derivatives are tangential."""
    return lambda x: fn(spheres.retract(x))
