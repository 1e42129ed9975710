"""Hessian and Gauss–Newton products at many points, many vectors at a time.

The gradient's graph is built once with ``create_graph`` and kept, so that each product is one more backward
pass (Pearlmutter 1994); row blocks whose graphs do not fit the byte budget are rebuilt for every product.
Attention runs under torch's math kernel, whose fused forms have no second derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from thalweg.core.graphs import GRAPHS, Graph
from thalweg.core.graphs import Term as Term
from thalweg.core.graphs import differentiable_twice as differentiable_twice
from thalweg.core.graphs import graph_bytes as graph_bytes
from thalweg.core.rows import pairwise
from thalweg.errors import InputError

GRAPH_BYTES = 2**30
"""Graphs are held up to this many bytes; row blocks beyond it are rebuilt for every product, one at a time."""

BATCHED_SIZE = 4096
"""Up to this many parameters, all vectors go through the graph in one batched backward pass."""


class Linearization:
    """Products at ``thetas`` [B, P]; leave its context (or call ``close``) to free the graphs.

    ``add`` sums what each term in order contributes. ``shared`` is a term outside the rows, such as a regulariser: it
    is added once, after them. ``together`` gives the Hessian products of all points at once, thetas [B, P] and vectors
    [B, k, P]; it is used for more than one point.
    """

    def __init__(
        self,
        terms: Sequence[Term],
        thetas: Tensor,
        *,
        shared: Term | None = None,
        add: Callable[[Iterable[Tensor]], Tensor] = pairwise,
        graph_bytes: int = GRAPH_BYTES,
        together: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self._terms = list(terms)
        self._shared = shared
        self._add = add
        self._graph_bytes = graph_bytes
        self._together = together if len(thetas) > 1 else None
        self._batched = thetas.shape[1] <= BATCHED_SIZE
        self._kept: dict[tuple[int, int, str], Graph] = {}
        self._used = 0
        self._checked: set[tuple[str, bool]] = set()
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
        self._check(vectors)
        self.count(vectors.shape[0] * vectors.shape[1])
        vectors = vectors.to(self.thetas)
        if kind == "hessian" and self._together is not None:
            return self._together(self.thetas, vectors)
        if len(self._terms) == 1 and len(vectors) == 1 and self._add is pairwise and self._shared is None:
            return self._through(0, 0, self._terms[0], vectors[0], kind)[None]  # nothing to add up
        result = torch.empty(vectors.shape, dtype=torch.float64, device=vectors.device)
        for b in range(len(self.thetas)):
            result[b] = self._add(self._through(b, i, term, vectors[b], kind) for i, term in enumerate(self._terms))
        if self._shared is not None and kind == "hessian":
            for b in range(len(self.thetas)):
                result[b] += self._through(b, -1, self._shared, vectors[b], kind)
        return result.to(self.thetas.dtype)

    def _check(self, vectors: Tensor) -> None:
        if vectors.ndim != 3 or vectors.shape[::2] != self.thetas.shape:
            raise InputError(
                f"vectors have shape {list(vectors.shape)}: they must be [B, k, P] with "
                f"B = {len(self.thetas)} and P = {self.thetas.shape[1]}"
            )

    def _through(self, b: int, i: int, term: Term, vectors: Tensor, kind: str) -> Tensor:
        graph = self._kept.get((b, i, kind))
        if graph is None:
            graph = GRAPHS[kind](term, self.thetas[b])
            if (kind, i < 0) not in self._checked:  # the summands share their layers
                graph.check(term)
                self._checked.add((kind, i < 0))
            # Where not all can be kept, there must be room for one that is rebuilt beside those that are.
            all_fit = graph.bytes * len(self._terms) * len(self.thetas) <= self._graph_bytes
            if self._used + graph.bytes * (1 if all_fit else 2) <= self._graph_bytes:
                self._kept[b, i, kind] = graph
                self._used += graph.bytes
        return graph.products(vectors, self._batched)
