"""Problems in closed form that the statements of this room recognise, as objectives that carry what defines them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, TypeVar

import torch
from torch import Tensor

from thalweg.core.function import Function
from thalweg.records import Check
from thalweg.theory.subject import Subject


class Problem(ABC):
    """F of theta [P] with its data; :meth:`objective` makes a landscape of it that names its problem.

    Subclasses are final dataclasses without a repr of their own. ``manifold`` is where theta lives
    (:class:`thalweg.Function`).
    """

    manifold: ClassVar[Literal["sphere", "oblique"] | None] = None

    @property
    @abstractmethod
    def size(self) -> int:
        """P."""

    @abstractmethod
    def __call__(self, theta: Tensor) -> Tensor:
        """F at theta [P], a scalar."""

    def __repr__(self) -> str:
        # vmap asks for it at every call: a dataclass would write out its tensors each time
        return f"{type(self).__name__}(size={self.size})"

    def objective(self, initial: Tensor | None = None) -> Function:
        """F as an objective, whose ``facts`` are this problem."""
        start = torch.ones(self.size, dtype=torch.float64) if initial is None else initial
        return Function(self, self.size, facts=self, manifold=self.manifold, initial=start)


Kind = TypeVar("Kind", bound=Problem)


def problem_of(subject: Subject, kind: type[Kind]) -> Kind | None:
    """The problem behind a subject where it is of this kind."""
    found = subject.objective.facts
    return found if isinstance(found, kind) else None


def is_a(subject: Subject, kind: type[Problem], name: str) -> Check:
    """The subject is this problem."""
    return Check.given(name, isinstance(subject.objective.facts, kind), "" if subject.risk is None else "a network")
