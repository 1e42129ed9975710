"""Directions: k vectors in parameter space, known by recipe and given tensor by tensor."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from thalweg.core.space import ParameterSpace
from thalweg.errors import InputError
from thalweg.records import DirectionsSummary

DENSE_BYTES = 512 * 2**20
"""Directions up to this size are held whole; larger ones are made tensor by tensor for every point."""


class Directions(ABC):
    """Base: ``k`` directions over ``space``; ``recipe`` (JSON values) makes them again from a seed.

    ``notes`` are reservations that belong into every record made along them.
    """

    space: ParameterSpace
    k: int
    recipe: dict[str, Any]
    labels: tuple[str, ...]
    explained: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()

    @abstractmethod
    def block(self, name: str) -> Tensor:
        """The part of every direction in one tensor of the space, [k, *shape]."""

    def dense(self) -> Tensor:
        """All directions as rows, [k, P]."""
        rows = torch.empty(self.k, self.space.size, dtype=self.space.dtype, device=self.space.device)
        for entry in self.space.entries:  # in place, so that no second copy is alive
            rows[:, entry.span] = self.block(entry.name).reshape(self.k, -1)
        return rows

    def held(self) -> Directions:
        """The same directions held whole, where they are small enough: what is read often is made once."""
        size = self.k * self.space.size * torch.empty(0, dtype=self.space.dtype).element_size()
        if size > DENSE_BYTES:
            return self
        return Dense(self.space, self.dense(), self.recipe, self.labels, self.explained, self.notes)

    def gram(self) -> Tensor:
        """Inner products, float64 [k, k], accumulated tensor by tensor."""
        total = torch.zeros(self.k, self.k, dtype=torch.float64)
        for entry in self.space.entries:
            flat = self.block(entry.name).reshape(self.k, -1).double().cpu()
            total += flat @ flat.T
        return total

    def project(self, offsets: Tensor) -> Tensor:
        """Coefficients c of the points c·D nearest to offsets [T, P], float64 [T, k]: least squares for any directions.

        The inner products are divided by the Gram matrix, which only for orthonormal directions is nothing at all.

        Raises
        ------
        InputError
            If the directions are linearly dependent.
        """
        along = torch.zeros(len(offsets), self.k, dtype=torch.float64)
        for entry in self.space.entries:
            flat = self.block(entry.name).reshape(self.k, -1).double().cpu()
            along += offsets[:, entry.span].double().cpu() @ flat.T
        gram = self.gram()
        size = gram.diagonal().sqrt()
        factor, failed = torch.linalg.cholesky_ex(gram / size.outer(size))
        if int(failed) or not bool(torch.isfinite(factor).all()) or float(factor.diagonal().min()) < 1e-7:
            raise InputError(f"{self.k} directions are linearly dependent: coordinates along them are not unique")
        return torch.cholesky_solve((along / size).T, factor).T / size

    def digest(self) -> str:
        """A digest of every value, tensor by tensor; 16 hexadecimal digits."""
        found = hashlib.blake2b(digest_size=8)
        for entry in self.space.entries:
            block = self.block(entry.name).detach().cpu().contiguous().reshape(-1)
            found.update(block.view(torch.uint8).numpy().tobytes())
        return found.hexdigest()

    def probe(self) -> list[float]:
        """Inner products with one fixed vector, cos(0), cos(1), …: they tell other directions from rounded ones."""
        total = torch.zeros(self.k, dtype=torch.float64)
        for entry in self.space.entries:
            flat = self.block(entry.name).reshape(self.k, -1).double().cpu()
            total += flat @ torch.arange(entry.offset, entry.offset + entry.size, dtype=torch.float64).cos()
        return total.tolist()

    def summary(self) -> DirectionsSummary:
        """Recipe, norms and pairwise cosines, as a record keeps them; the recipe with the directions' probe.

        Raises
        ------
        InputError
            If a direction is zero: nothing could be drawn along it.
        """
        gram = self.gram()
        norms = gram.diagonal().sqrt()
        for label, norm in zip(self.labels, norms.tolist(), strict=True):
            if not norm > 0:
                raise InputError(
                    f"direction {label!r} has norm {norm:g}: every tensor it may move is zero or one-dimensional; "
                    "use norm=None, biases='scale' or another point"
                )
        cosines = gram / norms.outer(norms)
        pairs = [float(cosines[i, j]) for i in range(self.k) for j in range(i + 1, self.k)]
        recipe = {**self.recipe, "probe": self.probe()}
        return DirectionsSummary(recipe, tuple(norms.tolist()), tuple(pairs), self.labels, self.explained)


@dataclass
class Dense(Directions):
    """Directions given as rows of a tensor [k, P] (or one as [P])."""

    space: ParameterSpace
    rows: Tensor
    recipe: dict[str, Any] = field(default_factory=lambda: {"kind": "given"})
    labels: tuple[str, ...] = ()
    explained: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.rows = self.space.check(torch.atleast_2d(self.rows.detach()), "directions")
        self.k = len(self.rows)
        self.labels = self.labels or tuple(f"direction {i + 1}" for i in range(self.k))

    def block(self, name: str) -> Tensor:
        """A view of the rows, [k, *shape]."""
        entry = self.space[name]
        return self.rows[:, entry.span].reshape(self.k, *entry.shape)

    def dense(self) -> Tensor:
        """The rows themselves, [k, P]."""
        return self.rows

    def held(self) -> Dense:
        """They are."""
        return self


def as_directions(space: ParameterSpace, directions: Directions | Tensor | Sequence[Tensor]) -> Directions:
    """Directions, a tensor [k, P] or [P], or a sequence of tensors [P], as Directions.

    Raises
    ------
    InputError
        If they are of another space, or there is none.
    """
    if isinstance(directions, Directions):
        if directions.space is not space and directions.space.fingerprint != space.fingerprint:
            raise InputError(
                f"the directions are of space {directions.space.fingerprint} ({directions.space.size:,} parameters), "
                f"the objective's is {space.fingerprint} ({space.size:,}): make them for this objective"
            )
        return directions
    if isinstance(directions, Tensor):
        return Dense(space, directions)
    if not directions:
        raise InputError("no direction was given: pass a tensor [k, P]")
    return Dense(space, torch.stack([space.check(d, "direction") for d in directions]))


def counted(directions: Directions, k: int) -> Directions:
    """The directions themselves, once there are k of them.

    Raises
    ------
    InputError
        If there are more or fewer.
    """
    if directions.k != k:
        raise InputError(f"{directions.k} directions were given: {k} {'is' if k == 1 else 'are'} needed")
    return directions
