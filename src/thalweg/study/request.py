"""A command with its subject and options, as it is stored and as a resume must repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from thalweg.records import encode
from thalweg.study.subject import Subject


@dataclass(frozen=True)
class Request:
    """A command with its subject and options; what it stores is what a resume must repeat."""

    command: str
    subject: Subject
    options: Mapping[str, Any] = field(default_factory=dict)
    out: str | None = None
    resume: bool = False
    threads: int | None = None
    split: str = "points"

    def stored(self) -> dict[str, Any]:
        """The request as JSON values."""
        return {
            "command": self.command,
            **{f"subject.{key}": encode(value) for key, value in asdict(self.subject).items()},
            **{key: encode(value) for key, value in self.options.items()},
        }
