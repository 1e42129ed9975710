"""Random directions: Gaussian, orthogonalised group by group, then scaled to theta's groups."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.core.directions import Directions
from thalweg.core.rng import Stream
from thalweg.core.space import ParameterSpace
from thalweg.errors import InputError
from thalweg.slices.rules import Biases, Norm, check, grouped, orthogonalised, scaled


@dataclass
class RandomDirections(Directions):
    """k seeded directions at ``theta`` [P]; any tensor's part is made from the seed when it is asked for.

    Li et al. 2018, §4 for ``norm="filter"``. ``biases="zero"`` leaves one-dimensional tensors at zero;
    ``"scale"`` treats each as one group. A filter of norm zero stays at zero, and ``notes`` counts those. Filters
    other than those of :mod:`thalweg.core.filters` are had by ``space.divided(...)``.

    Raises
    ------
    InputError
        If a rule is unknown, k < 1, or ``norm="head"`` is asked for where there is no attention.
    """

    space: ParameterSpace
    theta: Tensor
    k: int
    rng: Stream
    norm: Norm = "filter"
    biases: Biases = "zero"
    orthogonal: bool = True

    def __post_init__(self) -> None:
        check(self.norm, self.biases)
        if self.k < 1:
            raise InputError(f"k={self.k}: at least 1 direction is needed")
        if self.norm == "head" and not any(entry.layout.heads for entry in self.space.entries):
            raise InputError("norm='head': no layer is an nn.MultiheadAttention; use norm='filter' or space.divided()")
        self.theta = self.space.check(self.theta)
        self.labels = tuple(f"random direction {i + 1}" for i in range(self.k))
        self.recipe = {
            "kind": "random",
            "seed": self.rng.seed,
            "path": list(self.rng.path),
            "norm": self.norm,
            "biases": self.biases,
            "orthogonal": self.orthogonal,
            "space": self.space.fingerprint,
        }
        if self.norm is not None:  # Gaussian directions are the same at every point
            self.recipe["at"] = [self.space.digest(self.theta)]
        stated = {e.name: e.layout for e in self.space.entries if e.layout.stated}
        if stated:
            self.recipe["filters"] = {n: [list(layout.view), list(layout.filter_axes)] for n, layout in stated.items()}
        self.explained, self.notes = None, self._zeros()
        self._whole: tuple[Tensor, Tensor] | None = None

    def block(self, name: str) -> Tensor:
        """[k, *shape], in the space's dtype."""
        entry = self.space[name]
        block = self._drawn(name)
        if self.local:
            if self.orthogonal:
                block = orthogonalised(entry, block, self.norm)
            part = self.theta[entry.span].reshape(entry.shape).cpu()
            block = scaled(entry, block, part, self.norm)
        else:
            mix, size = self._global()
            block = torch.einsum("ij,j...->i...", mix, block) * size.reshape(-1, *[1] * len(entry.shape))
        return block.to(self.theta)

    @property
    def local(self) -> bool:
        """Whether every group is scaled by itself."""
        return self.norm in ("filter", "layer", "head")

    def _zeros(self) -> tuple[str, ...]:
        """How many groups of theta have norm zero, along which nothing moves."""
        none, total, where = 0, 0, ""
        for entry in self.space.entries if self.local else ():
            if entry.vector and self.biases == "zero":
                continue
            view, inner = grouped(entry, self.theta[entry.span].reshape(entry.shape), self.norm)
            zero = (view != 0).sum(inner) == 0
            none, total = none + int(zero.sum()), total + zero.numel()
            where = where or (entry.name if bool(zero.any()) else "")
        if not none:
            return ()
        return (f"{none} of {total} filters have norm 0 and stay there under norm={self.norm!r} (first in {where})",)

    def _drawn(self, name: str) -> Tensor:
        """Standard normal numbers of this tensor's own substreams, float64 [k, *shape]."""
        entry = self.space[name]
        if entry.vector and self.biases == "zero":
            return torch.zeros(self.k, *entry.shape, dtype=torch.float64)
        draws = [
            torch.randn(entry.shape, generator=self.rng(i, name).torch(), dtype=torch.float64) for i in range(self.k)
        ]
        return torch.stack(draws)

    def _global(self) -> tuple[Tensor, Tensor]:
        """The mixing that orthogonalises whole directions, and the scale of each; from one pass over tensors."""
        if self._whole is None:
            mix = torch.eye(self.k, dtype=torch.float64)
            gram = self._mixed(mix)
            # One Cholesky factor of the Gram matrix rounds by its condition number; where that is not small, another.
            for _ in range(2 if self.orthogonal else 0):
                factor, failed = torch.linalg.cholesky_ex(gram)
                left = factor.diagonal() / gram.diagonal().sqrt()  # what is new in each direction
                if int(failed) or not bool((left > 1e-7).all()):
                    raise InputError(
                        f"{self.k} directions cannot be orthogonal here: the tensors they may move have too few "
                        "entries; use orthogonal=False, biases='scale' or a line"
                    )
                mix = torch.linalg.solve_triangular(factor, mix, upper=False) * factor.diagonal().unsqueeze(1)
                gram = self._mixed(mix)
                if bool((left > 0.1).all()):
                    break
            norms = gram.diagonal().sqrt()
            size = torch.ones_like(norms) if self.norm is None else self.theta.double().norm().cpu() / norms
            self._whole = mix, size
        return self._whole

    def _mixed(self, mix: Tensor) -> Tensor:
        """Inner products of the mixed draws, float64 [k, k]."""
        gram = torch.zeros(self.k, self.k, dtype=torch.float64)
        for entry in self.space.entries:
            flat = mix @ self._drawn(entry.name).reshape(self.k, -1)
            gram += flat @ flat.T
        return gram
