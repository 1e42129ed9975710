"""A record in the page: its picture for every reader, its caption, and the place where plotly draws."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape

from thalweg.plot.interactive import VIEWS, views
from thalweg.plot.interactive_frame import View
from thalweg.plot.static import FIGURES, render
from thalweg.plot.style import DARK, LIGHT, THEMES, Theme
from thalweg.records import Audit, Record, Topology
from thalweg.report.audit import audit_table
from thalweg.report.basins import basin_table
from thalweg.report.card import card
from thalweg.report.told import Told
from thalweg.report.verdicts import chip

DPI = 120
"""Of the pictures, which are shown without JavaScript and on paper."""


def interactive(record: Record) -> list[View]:
    """The record's interactive views; none for a kind that has no figure."""
    return views(record) if record.record_type in VIEWS else []


def figure(key: str, record: Record, told: Told) -> str:
    """The HTML of one record, called ``key`` in the page; a kind without a figure is shown as a card."""
    if isinstance(record, Audit):
        return f"<figure>{audit_table(record)}{_caption(told)}</figure>"
    if record.record_type not in FIGURES:
        return f'<figure><pre class="card">{escape(card(record, 100))}</pre>{_caption(told)}</figure>'
    pictures = {theme.name: _picture(record, theme) for theme in THEMES.values()}
    below = basin_table(record) if isinstance(record, Topology) else ""
    return framed(key, interactive(record), pictures, told.summary, _caption(told), below)


def framed(key: str, choices: list[View], pictures: Mapping[str, str], said: str, caption: str, below: str = "") -> str:
    """A figure: its views, its picture by theme as an address, what both are in a sentence, and HTML under them."""
    buttons = "".join(
        f'<button type="button" data-view="{i}" aria-pressed="{str(i == 0).lower()}">{v["name"]}</button>'
        for i, v in enumerate(choices)
    )  # names of views are escaped by the room that made them
    switch = f'<div class="views needs-js" role="group" aria-label="View">{buttons}</div>' if len(choices) > 1 else ""
    light, dark = (pictures[theme.name] for theme in (LIGHT, DARK))
    still = (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img alt="{escape(said)}" src="{light}"></picture>'
    )
    return (
        f'<figure data-figure="{escape(key)}"><div class="canvas">{switch}'
        f'<div class="plot" role="group" aria-label="{escape(said)}" hidden></div>'
        f'<div class="still">{still}</div></div>'
        f"{caption}{below}</figure>"
    )


def _caption(told: Told) -> str:
    said = " ".join(part for part in (told.note, told.reading, told.sure) if part)
    fine = "".join(f"<li>{escape(line)}</li>" for line in [told.message, *told.fine])
    return (
        f'<figcaption><p class="found">{chip(told)} {escape(told.summary)}</p>'
        f'<p>{escape(said)}</p><ul class="fine">{fine}</ul></figcaption>'
    )


def _picture(record: Record, theme: Theme) -> str:
    return inlined(render(record, "png", theme, dpi=DPI))


def inlined(png: bytes) -> str:
    """A picture as an address, with a palette of 256 colours: a third of the size, and no difference that is seen."""
    from PIL import Image

    found, file = Image.open(io.BytesIO(png)).convert("RGB"), io.BytesIO()
    found.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
