"""The table of verdicts: question, answer, guarantee, status, cost and provenance, a row a record."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from thalweg.records import Record, encode


def verdict_table(rows: Sequence[tuple[str, str, Record]]) -> str:
    """An HTML table of (question, record name, record); every text is escaped."""
    head = "".join(f"<th scope=col>{name}</th>" for name in ("Question", "Answer", "Guarantee", "Status", "Cost"))
    body = "".join(_row(question, name, record) for question, name, record in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(question: str, name: str, record: Record) -> str:
    guarantee = record.guarantee.value if record.guarantee is not None else "none"
    cells = (
        f"<td>{escape(question)}<br><code>{escape(name)}</code></td>"
        f'<td class="answer">{escape(record.summary)}{_details(name, record)}</td>'
        f'<td><span class="chip {guarantee}">{guarantee}</span></td>'
        f'<td title="{escape(record.message)}">{escape(record.status.name.lower())}</td>'
        f'<td class="number" title="{escape(str(record.cost))}">{record.cost.units:,.4g} gradients<br>'
        f"{record.cost.seconds:.2f} s</td>"
    )
    return f"<tr>{cells}</tr>"


def _details(name: str, record: Record) -> str:
    p = record.provenance
    method = ", ".join(f"{key}={value}" for key, value in encode(p.method).items() if key != "name")
    facts = {
        "record": name,
        "method": f"{p.method.get('name')}({method})",
        "points": ", ".join(p.points),
        "seed": p.seed,
        "numerics": f"{p.dtype} on {p.device}, {p.backend} ({p.reason}), {p.threads} threads",
        "tolerance": f"{p.tolerance:g} relative",
        "statistics": p.statistics or "nothing to normalise",
        "objective": f"shapes {p.fingerprint.shapes}, data {p.fingerprint.data or 'none'}, {p.rows:,} rows",
        "work": str(record.cost),
        "versions": ", ".join(f"{key} {value}" for key, value in p.versions.items()),
        "made": p.created,
        "status": record.message,
        **{f"note {i + 1}": note for i, note in enumerate(p.notes)},
    }
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    return f"<details><summary>where it comes from</summary><dl>{items}</dl></details>"
