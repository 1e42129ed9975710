"""The table of verdicts: question, answer, guarantee, status, cost and provenance, a row a record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from thalweg.report.told import Told

_COLUMNS = ("Question", "Answer", "Guarantee", "Status", "Cost")


def verdict_table(rows: Sequence[tuple[str, Told]]) -> str:
    """An HTML table of (question, what is told of a record); every text is escaped."""
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    body = "".join(_row(question, told) for question, told in rows)
    return (
        f'<div class="scroll"><table class="stacked"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def chip(told: Told) -> str:
    """The guarantee as a small badge that says what it means."""
    return f'<span class="chip {told.guarantee}" title="{escape(told.sure)}">{told.guarantee}</span>'


def _row(question: str, told: Told) -> str:
    cost = told.cost
    work = [f"{n:,.4g} {unit}" for n, unit in ((cost["forwards"], "forwards"), (cost["backwards"], "gradients")) if n]
    work += [f"{cost['products']:,.4g} products"] if cost["products"] else []
    parts = "".join(f"<br><small>{part}</small>" for part in [*work, f"{cost['seconds']:,.2f} s"])
    cells = (
        f"{escape(question)}<br><code>{escape(told.name)}</code>",
        f"{escape(told.summary)}{_details(told)}",
        chip(told),
        f"{escape(told.status.lower())}<br><small>{escape(told.message)}</small>",
        f"<b>{cost['units']:,.4g}</b> full-data gradients{parts}",
    )
    kinds = ("asked", "answer", "sure", "status", "number")
    found = "".join(
        f'<td class="{kind}" data-label="{label}"><div>{cell}</div></td>'
        for kind, label, cell in zip(kinds, _COLUMNS, cells, strict=True)
    )
    return f"<tr>{found}</tr>"


def _details(told: Told) -> str:
    p = told.provenance
    options = {key: value for key, value in p["method"].items() if key != "name"}
    fingerprint = p["fingerprint"]
    facts = {
        "record": told.name,
        "method": str(p["method"].get("name", "")),
        **{f"· {key}": _plain(value) for key, value in options.items() if value is not None},
        "points": ", ".join(p["points"]),
        "seed": p["seed"],
        "numerics": f"{p['dtype']} on {p['device']}, {p['backend']} ({p['reason']}), {p['threads']} threads",
        "tolerance": f"{p['tolerance']:g} relative",
        "statistics": p["statistics"] or "nothing to normalise",
        "objective": f"shapes {fingerprint['shapes'][:12]}, data {fingerprint['data'][:12] or 'none'}, "
        f"{p['rows']:,} rows",
        "versions": ", ".join(f"{key} {value}" for key, value in p["versions"].items()),
        "made": p["created"],
        **{f"note {i + 1}": note for i, note in enumerate(p["notes"])},
    }
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items() if value)
    return f"<details><summary>where it comes from</summary><dl>{items}</dl></details>"


def _plain(value: Any) -> str:
    if isinstance(value, dict) and "name" in value:
        return f"{value['name']}({', '.join(f'{k}={_plain(v)}' for k, v in value.items() if k != 'name')})"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
