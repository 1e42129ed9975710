"""One record on a few lines of plain text."""

from __future__ import annotations

import textwrap

from thalweg.records import Audit, Record, Topology
from thalweg.report.audit import audit_lines
from thalweg.report.basins import basin_lines


def card(record: Record, width: int | None = None) -> str:
    """The answer, how sure it is, how it ended, what it cost and where it comes from, aligned.

    Lines are wrapped at ``width`` characters, by default nowhere. Control characters in names are written
    out, so that a name cannot move a terminal's cursor.
    """
    p = record.provenance
    statistics = f", statistics {p.statistics}" if p.statistics else ""
    named = f"{', '.join(p.points)}; " if p.points else ""
    rows = {
        "answer": record.summary,
        "guarantee": record.guarantee.value if record.guarantee is not None else "none",
        "status": f"{record.status.name}: {record.message}",
        "cost": f"{record.cost} ({record.cost.units:,.4g} gradients' worth)",
        "from": f"{named}seed {p.seed}, {p.dtype} on {p.device}, {p.backend}{statistics}",
        "rows": f"{p.rows:,}",
    }
    rows |= {f"note {i + 1}": note for i, note in enumerate(p.notes)}
    if p.reason not in ("reference", ""):
        rows["backend"] = p.reason
    label = max(map(len, rows))
    lines = [_row(f"{name:>{label}}  ", _visible(text), width) for name, text in rows.items()]
    if isinstance(record, Topology) and record.count:
        lines += ["", *basin_lines(record)]
    if isinstance(record, Audit):
        lines += ["", *map(_visible, audit_lines(record, (width or 120) - 20))]
    return "\n".join(lines)


def _row(head: str, text: str, width: int | None) -> str:
    if width is None:
        return head + text
    room = max(width - len(head), 20)
    lines = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
    return head + ("\n" + " " * len(head)).join(lines)


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
