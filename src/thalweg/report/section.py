"""What a page is made of: sections, each a question and the records that answer it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thalweg.errors import InputError
from thalweg.records import Record

RESERVED = ("verdicts", "records")
"""Sections that every page has of its own."""


@dataclass(frozen=True)
class Section:
    """One section of a page: its name (also its address, ``#name``), title, question and records by name.

    ``captions`` adds a sentence of one's own under the figure of the record of that name.

    Raises
    ------
    InputError
        If the name cannot be an address in a page, or a caption belongs to no record.
    """

    name: str
    title: str
    question: str
    records: Mapping[str, Record]
    captions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z][\w-]*", self.name, flags=re.ASCII) or self.name in RESERVED:
            raise InputError(
                f"section name {self.name!r} is no address in the page: use letters, digits and hyphens, "
                f"and none of {', '.join(RESERVED)}"
            )
        lost = sorted(set(self.captions) - set(self.records))
        if lost:
            raise InputError(
                f"caption for {lost[0]!r}, which section {self.name!r} does not show: {sorted(self.records)}"
            )

    def key(self, record: str) -> str:
        """What a record is called in the page; another section may show one of the same name."""
        return f"{self.name}/{record}"


def checked(sections: Sequence[Section]) -> list[Section]:
    """The sections of a page.

    Raises
    ------
    InputError
        If there is no record among them, or two have one name.
    """
    names = [section.name for section in sections]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two sections are called {twice!r}: give each its own name")
    if not any(section.records for section in sections):
        raise InputError("a page needs at least one record: give a section with one")
    return list(sections)
