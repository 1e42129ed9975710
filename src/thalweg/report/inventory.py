"""What is kept: every record of a page with its arrays, and where it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from thalweg.records import Record


def inventory(records: Sequence[tuple[str, Record]], files: Mapping[str, str]) -> str:
    """An HTML table of (name, record) with kind, arrays and, where ``files`` has it, the path; all escaped."""
    found = dict(records)  # a record that two sections show is kept once
    where = [name for name in ("Record", "Kind", "Arrays", "Kept in") if name != "Kept in" or files]
    head = "".join(f'<th scope="col">{name}</th>' for name in where)
    body = "".join(_row(name, record, files) for name, record in found.items())
    return (
        f'<div class="scroll"><table class="stacked"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(name: str, record: Record, files: Mapping[str, str]) -> str:
    arrays = "".join(
        f"<li><code>{escape(key)}</code> {escape(str(array.dtype))} [{', '.join(map(str, array.shape))}]</li>"
        for key, array in sorted(record.arrays().items())
    )
    cells = f'<td data-label="Record"><code>{escape(name)}</code></td>'
    cells += f'<td data-label="Kind">{escape(record.record_type)}, schema {record.schema}</td>'
    cells += f'<td data-label="Arrays"><ul class="arrays">{arrays}</ul></td>'
    if files:
        cells += f'<td data-label="Kept in"><code>{escape(files.get(name, "–"))}</code></td>'
    return f"<tr>{cells}</tr>"
