"""A sentence of a source that does not hold as it stands: refuted by construction, its correction passing beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal, final

Judgement = Literal["false", "needs a hypothesis", "misprint", "not sharp", "informal", "a trap"]


@dataclass(frozen=True)
class Shown:
    """What a run showed: whether it bears the erratum out, in a sentence, with its numbers."""

    ok: bool
    said: str
    values: dict[str, float] = field(default_factory=dict)


class Erratum(ABC):
    """Base of every erratum. ``quote`` is the sentence as printed, ``place`` where; ``corrected`` what holds instead.

    ``fairness`` is what should be said for the authors, such as that a text is a draft or a conjecture.
    """

    id: ClassVar[str]
    place: ClassVar[str]
    quote: ClassVar[str]
    judgement: ClassVar[Judgement]
    corrected: ClassVar[str]
    fairness: ClassVar[str] = ""
    states: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def refute(self) -> Shown:
        """The construction at which the sentence, as printed, fails."""

    @abstractmethod
    def confirm(self) -> Shown:
        """The corrected statement where the printed one failed, or on cases of its own."""

    @final
    def report(self) -> str:
        """Both, as text."""
        lines = [f"{self.id} ({self.judgement}): {self.place}", f"  “{self.quote}”"]
        for name, shown in (("as printed", self.refute()), ("corrected ", self.confirm())):
            lines.append(f"  {name}: {shown.said}{'' if shown.ok else '  [NOT BORNE OUT]'}")
        lines.append(f"  {self.corrected}")
        return "\n".join(lines + ([f"  {self.fairness}"] if self.fairness else []))
