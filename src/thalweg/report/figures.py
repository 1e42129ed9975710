"""A record in the page: its picture for every reader, its caption, and the place where plotly draws."""

from __future__ import annotations

import base64
from html import escape

from thalweg.plot.footer import footer
from thalweg.plot.interactive import VIEWS, views
from thalweg.plot.interactive_frame import View
from thalweg.plot.static import FIGURES, render
from thalweg.plot.style import DARK, LIGHT, Theme
from thalweg.records import Audit, Record, Topology
from thalweg.report.audit import audit_table
from thalweg.report.basins import basin_table
from thalweg.report.captions import reading, sure
from thalweg.report.card import card
from thalweg.report.verdicts import chip


def interactive(record: Record) -> list[View]:
    """The record's interactive views; none for a kind that has no figure."""
    return views(record) if record.record_type in VIEWS else []


def figure(key: str, record: Record, note: str = "") -> str:
    """The HTML of one record, called ``key`` in the page; a kind without a figure is shown as a card."""
    if isinstance(record, Audit):
        return f"<figure>{audit_table(record)}{_caption(record, note)}</figure>"
    if record.record_type not in FIGURES:
        return f'<figure><pre class="card">{escape(card(record, 100))}</pre>{_caption(record, note)}</figure>'
    choices = interactive(record)
    buttons = "".join(
        f'<button type="button" data-view="{i}" aria-pressed="{str(i == 0).lower()}">{v["name"]}</button>'
        for i, v in enumerate(choices)
    )  # names of views are escaped by the room that made them
    switch = f'<div class="views needs-js" role="group" aria-label="View">{buttons}</div>' if len(choices) > 1 else ""
    still = (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{_picture(record, DARK)}">'
        f'<img alt="{escape(record.summary)}" src="{_picture(record, LIGHT)}"></picture>'
    )
    return (
        f'<figure data-figure="{escape(key)}"><div class="canvas">{switch}'
        f'<div class="plot" hidden></div><div class="still">{still}</div></div>{_caption(record, note)}'
        f"{basin_table(record) if isinstance(record, Topology) else ''}</figure>"
    )


def _caption(record: Record, note: str) -> str:
    said = " ".join(part for part in (note, reading(record), sure(record)) if part)
    fine = "".join(f"<li>{escape(line)}</li>" for line in [record.message, *footer(record)])
    return (
        f'<figcaption><p class="found">{chip(record)} {escape(record.summary)}</p>'
        f'<p>{escape(said)}</p><ul class="fine">{fine}</ul></figcaption>'
    )


def _picture(record: Record, theme: Theme) -> str:
    return "data:image/png;base64," + base64.b64encode(render(record, "png", theme, dpi=120)).decode()
