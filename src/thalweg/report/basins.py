"""The table of basins, as text and as HTML."""

from __future__ import annotations

from html import escape

from thalweg.records import Topology

MOST = 12
"""Rows of the table: basins that survive first, each by persistence."""

_HEADS = ("Basin", "Birth", "Death", "Rise", "Cells", "More than the error")


def basin_rows(record: Topology, most: int = MOST) -> list[tuple[str, ...]]:
    """Number, birth, death, rise, cells and whether it survives, as text."""
    held = sorted(enumerate(record.basins, start=1), key=lambda row: (not row[1]["survives"], row[0]))[:most]
    return [
        (
            str(number),
            f"{basin['birth']:.6g}",
            "never" if basin["death"] is None else f"{basin['death']:.6g}",
            "–" if basin["persistence"] is None else f"{basin['persistence']:.4g}",
            f"{basin['area']:,}",
            "yes" if basin["survives"] else "no",
        )
        for number, basin in sorted(held)
    ]


def basin_lines(record: Topology) -> list[str]:
    """The table for a terminal, numbers to the right."""
    rows = [_HEADS, *basin_rows(record)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
    found = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return found + ([_further(record)] if record.count > MOST else [])


def basin_table(record: Topology) -> str:
    """The table as HTML; empty where there is no basin."""
    if not record.count:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEADS)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in basin_rows(record))
    more = f'<p class="fine">{_further(record)}</p>' if record.count > MOST else ""
    return (
        f'<div class="scroll"><table class="stacked"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f"{more}"
    )


def basin_reading(record: Topology) -> str:
    """How to read the figure of basins."""
    where = "map" if record.data["values"].ndim > 1 else "curve"
    joined = " A dashed line joins two marked points without rising above the level shown." if record.joined else ""
    return (
        f"As a level rises over the {where}, a basin appears at its minimum and ends where it meets one whose minimum "
        "is lower; coloured is what holds together with its minimum just below that level. Basins in grey rise no "
        f"more than the error of the values.{joined}"
    )


def _cells(row: tuple[str, ...]) -> str:
    named = zip(_HEADS, row, strict=True)
    return "".join(f'<td class="number" data-label="{name}">{escape(cell)}</td>' for name, cell in named)


def _further(record: Topology) -> str:
    return f"{record.count - MOST:,} further basins are in the record"
