"""Graphs through which products are taken: of the gradient, of the outputs, of the rows' losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from thalweg.core.quiet import unbatched_nodes
from thalweg.core.twice import custom, refuse_dropped, refuse_once


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


class Graph(ABC):
    """A graph through which products are taken; ``bytes`` is what autograd saved to hold it."""

    bytes: int

    @abstractmethod
    def check(self, term: Term) -> None:
        """Refuse what torch would differentiate wrongly without a word."""

    @abstractmethod
    def products(self, vectors: Tensor, batched: bool) -> Tensor:
        """[k, P] -> [k, P]; all at once where ``batched`` and torch can vectorise every node."""


class _HessianGraph(Graph):
    def __init__(self, term: Term, theta: Tensor) -> None:
        self.theta = theta.clone().requires_grad_()
        with _counting() as counted, differentiable_twice():
            self.value = term.value(self.theta)
            self.gradient = _grad(self.value, self.theta, create_graph=True)
        self.bytes = counted.bytes

    def check(self, term: Term) -> None:
        refuse_once([self.gradient], [self.value])
        if names := custom([self.value]):
            _compared(names, lambda t: _grad(term.value(t), t), self.theta, lambda v: self.products(v[None], False)[0])

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


class _GgnGraph(Graph):
    """J v by differentiating Jᵀu with respect to u, then Jᵀ(H_ℓ (J v))."""

    def __init__(self, term: Term, theta: Tensor) -> None:
        assert term.outputs is not None and term.head is not None
        self.theta = theta.clone().requires_grad_()
        with _counting() as counted, differentiable_twice():
            self.outputs = term.outputs(self.theta)
            self.duals = [torch.zeros_like(z, requires_grad=True) for z in self.outputs]
            self.pulled = _grad(self.outputs, self.theta, self.duals, create_graph=True)
            self.leaves = [z.detach().requires_grad_() for z in self.outputs]
            self.value = term.head(self.leaves)
            self.slopes = torch.autograd.grad(self.value, self.leaves, create_graph=True, materialize_grads=True)
        self.bytes = counted.bytes

    def check(self, term: Term) -> None:
        assert term.outputs is not None
        outputs = term.outputs
        refuse_once([self.pulled], self.outputs)
        refuse_once(self.slopes, [self.value])
        if self.pulled.requires_grad and (names := custom(self.outputs)):
            _compared(names, lambda t: _flat(outputs(t)), self.theta, lambda v: _flat(self._pushed(v)))
        if names := custom([self.value]):
            _compared(
                names, lambda z: self._sloped(term, z), _flat(self.leaves), lambda v: _flat(self._bent(self._like(v)))
            )

    def products(self, vectors: Tensor, batched: bool) -> Tensor:
        return torch.stack([self._one(v) for v in vectors])

    def _pushed(self, vector: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(self.pulled, self.duals, vector, retain_graph=True, materialize_grads=True)

    def _bent(self, pushed: Sequence[Tensor]) -> Sequence[Tensor]:
        """H_ℓ times vectors like the outputs."""
        curved = [i for i, s in enumerate(self.slopes) if s.requires_grad]
        if not curved:
            return [torch.zeros_like(z) for z in self.leaves]
        slopes, vectors = [self.slopes[i] for i in curved], [pushed[i] for i in curved]
        return torch.autograd.grad(slopes, self.leaves, vectors, retain_graph=True, materialize_grads=True)

    def _one(self, vector: Tensor) -> Tensor:
        if not self.pulled.requires_grad:
            return torch.zeros_like(vector)
        return _grad(self.outputs, self.theta, self._bent(self._pushed(vector)))

    def _like(self, flat: Tensor) -> list[Tensor]:
        parts = flat.split([z.numel() for z in self.leaves])
        return [part.reshape(z.shape) for part, z in zip(parts, self.leaves, strict=True)]

    def _sloped(self, term: Term, flat: Tensor) -> Tensor:
        assert term.head is not None
        return _grad(term.head(self._like(flat)), flat)


class _FisherGraph(Graph):
    """J v of the rows' losses as in the Gauss–Newton graph, then Jᵀ(J v)."""

    def __init__(self, term: Term, theta: Tensor) -> None:
        assert term.rows is not None
        self.theta = theta.clone().requires_grad_()
        with _counting() as counted, differentiable_twice():
            self.losses = term.rows(self.theta)
            self.dual = torch.zeros_like(self.losses, requires_grad=True)
            self.pulled = _grad(self.losses, self.theta, self.dual, create_graph=True)
        self.bytes = counted.bytes

    def check(self, term: Term) -> None:
        assert term.rows is not None
        refuse_once([self.pulled], [self.losses])
        if self.pulled.requires_grad and (names := custom([self.losses])):
            _compared(names, term.rows, self.theta, self._pushed)

    def products(self, vectors: Tensor, batched: bool) -> Tensor:
        if not self.pulled.requires_grad:
            return torch.zeros_like(vectors)
        return torch.stack([_grad(self.losses, self.theta, self._pushed(v)) for v in vectors])

    def _pushed(self, vector: Tensor) -> Tensor:
        return torch.autograd.grad(self.pulled, self.dual, vector, retain_graph=True, materialize_grads=True)[0]


GRAPHS: dict[str, Callable[[Term, Tensor], Graph]] = {
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


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([x.reshape(-1) for x in tensors])


def _compared(
    names: list[str], fn: Callable[[Tensor], Tensor], theta: Tensor, product: Callable[[Tensor], Tensor]
) -> None:
    def at(point: Tensor) -> Tensor:
        with differentiable_twice():
            return fn(point.detach().requires_grad_()).detach()

    refuse_dropped(names, at, theta.detach(), product)


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
        return x.detach()  # an output that a node keeps with its own graph is a cycle that nothing ever frees

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        yield counter
