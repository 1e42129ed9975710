"""One record on a few lines of plain text."""

from __future__ import annotations

from thalweg.records import Record


def card(record: Record) -> str:
    """The answer, how sure it is, how it ended, what it cost and where it comes from, aligned."""
    p = record.provenance
    guarantee = record.guarantee.value if record.guarantee is not None else "none"
    statistics = f", statistics {p.statistics}" if p.statistics else ""
    rows = {
        "answer": record.summary,
        "guarantee": guarantee,
        "status": f"{record.status.name}: {record.message}",
        "cost": f"{record.cost} ({record.cost.units:,.4g} gradients' worth)",
        "from": f"{', '.join(p.points)}; seed {p.seed}, {p.dtype} on {p.device}, {p.backend}{statistics}",
        "rows": f"{p.rows:,}",
    }
    rows |= {f"note {i + 1}": note for i, note in enumerate(p.notes)}
    if p.reason not in ("reference", ""):
        rows["backend"] = p.reason
    width = max(map(len, rows))
    return "\n".join(f"{name:>{width}}  {text}" for name, text in rows.items())
