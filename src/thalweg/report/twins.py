"""The twin of a page: all that it says, as one JSON object for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from thalweg import __version__
from thalweg.report.section import Section, checked
from thalweg.report.told import Told, plain

SCHEMA = 1
"""Raised when a key changes its meaning or goes; new keys do not raise it."""


def twin(
    subject: str,
    sections: Sequence[Section],
    *,
    lead: str | None = None,
    files: Mapping[str, str] | None = None,
    created: datetime | None = None,
) -> dict[str, Any]:
    """What :func:`thalweg.report.page` says of the same sections, as JSON values; NaN and infinities are null.

    ``records`` holds each record once, by name, as :class:`thalweg.report.told.Told`; ``sections`` name them.

    Raises
    ------
    InputError
        If there is no record to show, or two sections have one name.
    """
    shown = checked(sections)
    told = telling(shown, files or {})
    first = next(iter(told.values()))
    units = {key: sum(one.cost[key] for one in told.values()) for key in first.cost}
    return {
        "format": "thalweg atlas",
        "schema": SCHEMA,
        "thalweg": __version__,
        "created": (created or datetime.now(UTC)).isoformat(timespec="seconds"),
        "subject": subject,
        "lead": lead if lead is not None else leading(told),
        "cost": units,
        "sections": [
            {"name": s.name, "title": s.title, "question": s.question, "records": [s.key(n) for n in s.records]}
            for s in shown
        ],
        "records": {key: plain(asdict(one)) for key, one in told.items()},
    }


def telling(sections: Sequence[Section], files: Mapping[str, str]) -> dict[str, Told]:
    """What there is to say of every record, by what it is called in the page."""
    return {
        s.key(name): Told.of(name, record, s.captions.get(name, ""), files.get(name))
        for s in sections
        for name, record in s.records.items()
    }


def leading(told: Mapping[str, Told]) -> str:
    """The sentence under the title: the answer of the first surface, or of the first record."""
    found = list(told.values())
    return next((one for one in found if one.kind == "surface"), found[0]).summary
