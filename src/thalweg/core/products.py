"""Hessian and Gauss–Newton products at many points, many vectors at a time.

The gradient's graph is built once with ``create_graph`` and kept, so that each product is one more backward
pass (Pearlmutter 1994); row blocks whose graphs do not fit the byte budget are rebuilt for every product.
Attention runs under torch's math kernel, whose fused forms have no second derivative.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from thalweg.core.quiet import unbatched_nodes
from thalweg.core.rows import identity
from thalweg.errors import InputError

GRAPH_BYTES = 2**30
"""Graphs are kept up to this many bytes; row blocks beyond it are rebuilt for every product."""

BATCHED_SIZE = 4096
"""Up to this many parameters, all vectors go through the graph in one batched backward pass."""


@dataclass(frozen=True)
class Term:
    """One summand of F as a function of theta [P], such as a row block's loss over Z.

    ``outputs`` maps theta to the floating tensors that the loss sees, and ``head`` maps those to the summand;
    both are None where no Gauss–Newton matrix is defined. ``rows`` maps theta to the loss of each row [n], divided
    by the square root of Z, so that its gradients' outer products add up to the empirical Fisher matrix.
    """

    value: Callable[[Tensor], Tensor]
    outputs: Callable[[Tensor], list[Tensor]] | None = None
    head: Callable[[Sequence[Tensor]], Tensor] | None = None
    rows: Callable[[Tensor], Tensor] | None = None


@contextmanager
def differentiable_twice() -> Iterator[None]:
    """Everything inside uses kernels that have a second derivative."""
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        yield


class Linearization:
    """Products at ``thetas`` [B, P]; leave its context (or call ``close``) to free the graphs.

    ``shared`` is a term outside the rows, such as a regulariser: it is added once, after ``reduce``. ``together`` gives
    the Hessian products of all points at once, thetas [B, P] and vectors [B, k, P]; it is used for more than one point.
    """

    def __init__(
        self,
        terms: Sequence[Term],
        thetas: Tensor,
        *,
        shared: Term | None = None,
        reduce: Callable[[Tensor], Tensor] = identity,
        graph_bytes: int = GRAPH_BYTES,
        together: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self._terms = list(terms)
        self._shared = shared
        self._reduce = reduce
        self._graph_bytes = graph_bytes
        self._together = together if len(thetas) > 1 else None
        self._batched = thetas.shape[1] <= BATCHED_SIZE
        self._kept: dict[tuple[int, int, str], _Graph] = {}
        self._used = 0
        self.thetas = thetas.detach()
        self.count: Callable[[int], None] = lambda products: None
        """Called with the number of products before they are taken; a meter sets it."""

    def __enter__(self) -> Linearization:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free every kept graph."""
        self._kept.clear()
        self._used = 0

    @property
    def kept_bytes(self) -> int:
        """Bytes of graphs now held."""
        return self._used

    def hvp(self, vectors: Tensor) -> Tensor:
        """Hessian products: vectors [B, k, P] -> [B, k, P], accumulated in float64 over row blocks."""
        return self._products(vectors, "hessian")

    def ggn(self, vectors: Tensor) -> Tensor:
        """Gauss–Newton products JᵀH_ℓJ v (Schraudolph 2002): [B, k, P] -> [B, k, P]; no regulariser.

        Raises
        ------
        InputError
            If the objective has no outputs, as a plain function has none.
        """
        if any(term.outputs is None for term in self._terms):
            raise InputError("the Gauss–Newton matrix needs outputs and a loss; a plain function has only F: use hvp")
        return self._products(vectors, "ggn")

    def fisher(self, vectors: Tensor) -> Tensor:
        """Products with the empirical Fisher matrix Σ_i ∇ℓ_i ∇ℓ_iᵀ / Z: [B, k, P] -> [B, k, P]; no regulariser.

        Raises
        ------
        InputError
            If the objective has no rows, as a plain function has none.
        """
        if any(term.rows is None for term in self._terms):
            raise InputError("the empirical Fisher matrix needs a loss for every row; a plain function has none")
        return self._products(vectors, "fisher")

    def _products(self, vectors: Tensor, kind: str) -> Tensor:
        if vectors.ndim != 3 or vectors.shape[::2] != self.thetas.shape:
            raise InputError(
                f"vectors have shape {list(vectors.shape)}: they must be [B, k, P] with "
                f"B = {len(self.thetas)} and P = {self.thetas.shape[1]}"
            )
        self.count(vectors.shape[0] * vectors.shape[1])
        vectors = vectors.to(self.thetas)
        if kind == "hessian" and self._together is not None:
            return self._together(self.thetas, vectors)
        if len(self._terms) == 1 and len(vectors) == 1 and self._reduce is identity and self._shared is None:
            return self._through(0, 0, self._terms[0], vectors[0], kind)[None]  # nothing to add up
        result = torch.zeros(vectors.shape, dtype=torch.float64, device=vectors.device)
        for b in range(len(self.thetas)):
            for i, term in enumerate(self._terms):
                result[b] += self._through(b, i, term, vectors[b], kind)
        result = self._reduce(result)
        if self._shared is not None and kind == "hessian":
            for b in range(len(self.thetas)):
                result[b] += self._through(b, -1, self._shared, vectors[b], kind)
        return result.to(self.thetas.dtype)

    def _through(self, b: int, i: int, term: Term, vectors: Tensor, kind: str) -> Tensor:
        graph = self._kept.get((b, i, kind))
        if graph is None:
            graph = _GRAPHS[kind](term, self.thetas[b])
            if self._used + graph.bytes <= self._graph_bytes:
                self._kept[b, i, kind] = graph
                self._used += graph.bytes
        return graph.products(vectors, self._batched)


class _Graph(ABC):
    """A graph through which products are taken; ``bytes`` is what autograd saved to hold it."""

    bytes: int

    @abstractmethod
    def products(self, vectors: Tensor, batched: bool) -> Tensor:
        """[k, P] -> [k, P]; all at once where ``batched`` and torch can vectorise every node."""


class _HessianGraph(_Graph):
    def __init__(self, term: Term, theta: Tensor) -> None:
        self.theta = theta.clone().requires_grad_()
        with _counting() as counted, differentiable_twice():
            self.gradient = _grad(term.value(self.theta), self.theta, create_graph=True)
        self.bytes = counted.bytes

    def products(self, vectors: Tensor, batched: bool) -> Tensor:
        if not self.gradient.requires_grad:
            return torch.zeros_like(vectors)
        if batched and len(vectors) > 1:
            try:
                return self._many(vectors)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError:
                pass  # a custom autograd.Function without a vmap rule: one vector at a time below
        if len(vectors) == 1:
            return _grad(self.gradient, self.theta, vectors[0])[None]
        return torch.stack([_grad(self.gradient, self.theta, v) for v in vectors])

    def _many(self, vectors: Tensor) -> Tensor:
        with unbatched_nodes():
            (found,) = torch.autograd.grad(
                self.gradient,
                self.theta,
                vectors,
                retain_graph=True,
                is_grads_batched=True,
                materialize_grads=True,
            )
        return found


def graph_bytes(term: Term, theta: Tensor) -> int:
    """Bytes that autograd saves for Hessian products with a term at theta [P]."""
    return _HessianGraph(term, theta.detach()).bytes


class _GgnGraph(_Graph):
    """J v by differentiating Jᵀu with respect to u, then Jᵀ(H_ℓ (J v))."""

    def __init__(self, term: Term, theta: Tensor) -> None:
        assert term.outputs is not None and term.head is not None
        self.theta = theta.clone().requires_grad_()
        with _counting() as counted, differentiable_twice():
            self.outputs = term.outputs(self.theta)
            self.duals = [torch.zeros_like(z, requires_grad=True) for z in self.outputs]
            self.pulled = _grad(self.outputs, self.theta, self.duals, create_graph=True)
            self.leaves = [z.detach().requires_grad_() for z in self.outputs]
            self.slopes = torch.autograd.grad(
                term.head(self.leaves), self.leaves, create_graph=True, materialize_grads=True
            )
        self.bytes = counted.bytes

    def products(self, vectors: Tensor, batched: bool) -> Tensor:
        return torch.stack([self._one(v) for v in vectors])

    def _one(self, vector: Tensor) -> Tensor:
        curved = [(s, i) for i, s in enumerate(self.slopes) if s.requires_grad]
        if not self.pulled.requires_grad or not curved:
            return torch.zeros_like(vector)
        keep = {"retain_graph": True, "materialize_grads": True}
        pushed = torch.autograd.grad(self.pulled, self.duals, vector, **keep)
        bent = torch.autograd.grad([s for s, _ in curved], self.leaves, [pushed[i] for _, i in curved], **keep)
        return _grad(self.outputs, self.theta, bent)


class _FisherGraph(_Graph):
    """J v of the rows' losses as in the Gauss–Newton graph, then Jᵀ(J v)."""

    def __init__(self, term: Term, theta: Tensor) -> None:
        assert term.rows is not None
        self.theta = theta.clone().requires_grad_()
        with _counting() as counted, differentiable_twice():
            self.losses = term.rows(self.theta)
            self.dual = torch.zeros_like(self.losses, requires_grad=True)
            self.pulled = _grad(self.losses, self.theta, self.dual, create_graph=True)
        self.bytes = counted.bytes

    def products(self, vectors: Tensor, batched: bool) -> Tensor:
        if not self.pulled.requires_grad:
            return torch.zeros_like(vectors)
        return torch.stack([_grad(self.losses, self.theta, self._pushed(v)) for v in vectors])

    def _pushed(self, vector: Tensor) -> Tensor:
        return torch.autograd.grad(self.pulled, self.dual, vector, retain_graph=True, materialize_grads=True)[0]


_GRAPHS: dict[str, Callable[[Term, Tensor], _Graph]] = {
    "hessian": _HessianGraph,
    "ggn": _GgnGraph,
    "fisher": _FisherGraph,
}


def _grad(
    outputs: Tensor | Sequence[Tensor],
    leaf: Tensor,
    vectors: Tensor | Sequence[Tensor] | None = None,
    create_graph: bool = False,
) -> Tensor:
    """The gradient in ``leaf``, zero where nothing depends on it."""
    listed = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    if not any(o.requires_grad for o in listed):
        return torch.zeros_like(leaf)
    (found,) = torch.autograd.grad(
        outputs, leaf, vectors, retain_graph=True, create_graph=create_graph, materialize_grads=True
    )
    return found


class _Counter:
    bytes = 0


@contextmanager
def _counting() -> Iterator[_Counter]:
    """Bytes that autograd saves inside, each storage once."""
    counter, seen = _Counter(), set()

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            counter.bytes += storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        yield counter
