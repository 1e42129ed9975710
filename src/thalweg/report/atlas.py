"""The atlas: one self-contained page from records, readable without JavaScript and without the network."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from string import Template

from thalweg import __version__
from thalweg.plot.interactive import views
from thalweg.plot.static import draw, footer
from thalweg.plot.style import DARK, LIGHT, Theme
from thalweg.records import Record, Surface
from thalweg.report.verdicts import verdict_table


@dataclass(frozen=True)
class Section:
    """One section of a page: its id, title, the question it answers, and the records that answer it, by name."""

    name: str
    title: str
    question: str
    records: dict[str, Record]


def page(subject: str, sections: Sequence[Section]) -> str:
    """The HTML of an atlas. Every name in it is escaped; a section is one call with its records.

    The page holds plotly's script once, the figures as JSON, and each figure as a picture in light and dark
    for readers without JavaScript and for print.
    """
    shown = [*sections]
    figures = {name: views(record) for section in shown for name, record in section.records.items()}
    body = [_section(section, first=i == 0) for i, section in enumerate(shown)]
    table = verdict_table([(s.question, name, record) for s in shown for name, record in s.records.items()])
    body.append(
        _wrapped(
            "verdicts", "Verdicts", "What was answered, how sure it is, what it cost, and where it comes from.", table
        )
    )
    titles = [(s.name, s.title) for s in shown] + [("verdicts", "Verdicts")]
    records = [record for section in shown for record in section.records.values()]
    return Template(_asset("page.html")).substitute(
        version=escape(__version__),
        title=escape(subject),
        css=_asset("page.css"),
        lead=escape(_lead(records)),
        facts=_facts(records),
        tabs="".join(_tab(name, title, first=i == 0) for i, (name, title) in enumerate(titles)),
        sections="\n".join(body),
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        plotly=_plotly(),
        figures=_json(figures),
        js=_asset("page.js"),
    )


def _lead(records: Sequence[Record]) -> str:
    surface = next((r for r in records if isinstance(r, Surface)), None)
    spent = sum(r.cost.units for r in records)
    said = surface.summary if surface is not None else records[0].summary
    return f"{said} {len(records)} records, {spent:,.0f} full-data gradients' worth of work."


def _facts(records: Sequence[Record]) -> str:
    p = records[0].provenance
    surface = next((r for r in records if isinstance(r, Surface)), None)
    facts = {"rows": f"{p.rows:,}", "dtype": p.dtype, "device": p.device, "seed": p.seed.partition("/")[0]}
    if surface is not None:
        facts = {"loss at the centre": f"{surface.center_loss:.4g}", **facts}
    if p.statistics:
        facts["statistics"] = p.statistics
    facts["fingerprint"] = p.fingerprint.shapes[:8]
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())


def _tab(name: str, title: str, first: bool) -> str:
    selected, index = ("true", "0") if first else ("false", "-1")
    return (
        f'<button type="button" role="tab" id="tab-{escape(name)}" aria-controls="{escape(name)}" '
        f'aria-selected="{selected}" tabindex="{index}">{escape(title)}</button>'
    )


def _section(section: Section, first: bool) -> str:
    figures = "".join(_figure(name, record) for name, record in section.records.items())
    return _wrapped(section.name, section.title, section.question, figures)


def _wrapped(name: str, title: str, question: str, inner: str) -> str:
    return (
        f'<section id="{escape(name)}" role="tabpanel" aria-labelledby="tab-{escape(name)}">'
        f'<h2>{escape(title)}</h2><p class="question">{escape(question)}</p>{inner}</section>'
    )


def _figure(name: str, record: Record) -> str:
    choices = views(record)
    buttons = "".join(
        f'<button type="button" data-view="{i}" aria-pressed="{str(i == 0).lower()}">{escape(v["name"])}</button>'
        for i, v in enumerate(choices)
    )
    switch = f'<div class="views needs-js" role="group" aria-label="View">{buttons}</div>' if len(choices) > 1 else ""
    still = (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{_picture(record, DARK)}">'
        f'<img alt="{escape(record.summary)}" src="{_picture(record, LIGHT)}"></picture>'
    )
    guarantee = record.guarantee.value if record.guarantee is not None else "none"
    fine = "<br>".join(escape(line) for line in footer(record))
    return (
        f'<figure data-figure="{escape(name)}"><div class="canvas">{switch}'
        f'<div class="plot" hidden></div><div class="still">{still}</div></div>'
        f'<figcaption><p>{escape(record.summary)} <span class="chip {guarantee}">{guarantee}</span></p>'
        f'<p>{escape(record.message)}</p><p class="fine">{fine}</p></figcaption></figure>'
    )


def _picture(record: Record, theme: Theme) -> str:
    file = io.BytesIO()
    draw(record, theme).savefig(file, format="png", dpi=110, facecolor=theme.paper, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _json(value: object) -> str:
    """JSON that no text inside can end early: a script element ends at ``</``, a comment begins at ``<!--``."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _asset(name: str) -> str:
    return files("thalweg.report").joinpath(name).read_text(encoding="utf-8")
