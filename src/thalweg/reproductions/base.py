"""What a reproduction is: a frozen set of the paper's settings, called like a method without points."""

from __future__ import annotations

from abc import ABC, abstractmethod

from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.records import Reproduction


class Published(ABC):
    """Base of every reproduction: a frozen dataclass whose fields are what ``--set key=value`` sets."""

    @abstractmethod
    def subject(self, rng: int | Stream = 0) -> Objective:
        """The landscape that is studied, or one of its kind: what a stored answer is compared by when it is resumed."""

    @abstractmethod
    def __call__(
        self, *, rng: int | Stream = 0, evaluate: Evaluator | None = None, budget: Budget | None = None
    ) -> Reproduction:
        """Compute ours and lay it beside the published values."""
