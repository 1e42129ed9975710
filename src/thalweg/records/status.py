"""How an answer ended: a name for programs, a sentence and a remedy for people."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """Base of every status; it has no members, and each final enum lists those of one record type.

    A member is ``NAME = (sentence, remedy)``; the remedy is empty where nothing needs mending.
    """

    def __init__(self, sentence: str, remedy: str = "") -> None:
        self.sentence = sentence
        self.remedy = remedy

    @property
    def message(self) -> str:
        """The sentence, followed by the remedy where there is one."""
        return f"{self.sentence} {self.remedy}".strip()
