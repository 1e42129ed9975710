"""What is kept: every record of a page with its arrays, and where it lies."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from thalweg.report.told import Told


def inventory(records: Iterable[Told]) -> str:
    """An HTML table of records with kind, arrays and, where it is known, the path; all escaped."""
    found = {told.name: told for told in records}  # a record that two sections show is kept once
    files = any(told.file for told in found.values())
    where = [name for name in ("Record", "Kind", "Arrays", "Kept in") if name != "Kept in" or files]
    head = "".join(f'<th scope="col">{name}</th>' for name in where)
    body = "".join(_row(told, files) for told in found.values())
    return (
        f'<div class="scroll"><table class="stacked"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(told: Told, files: bool) -> str:
    arrays = "".join(
        f"<li><code>{escape(key)}</code> {escape(array['dtype'])} [{', '.join(map(str, array['shape']))}]</li>"
        for key, array in told.arrays.items()
    )
    cells = f'<td data-label="Record"><code>{escape(told.name)}</code></td>'
    cells += f'<td data-label="Kind">{escape(told.kind)}, schema {told.schema}</td>'
    cells += f'<td data-label="Arrays"><ul class="arrays">{arrays}</ul></td>'
    if files:
        cells += f'<td data-label="Kept in"><code>{escape(told.file or "–")}</code></td>'
    return f"<tr>{cells}</tr>"
