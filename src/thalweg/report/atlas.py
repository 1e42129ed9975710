"""The atlas: one self-contained page from records, readable without JavaScript and without the network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files as packaged
from string import Template

from thalweg import __version__
from thalweg.plot.style import DARK, LIGHT, THEMES, Theme
from thalweg.records import Record, Surface
from thalweg.report.figures import figure, interactive
from thalweg.report.inventory import inventory
from thalweg.report.section import Section, checked
from thalweg.report.verdicts import verdict_table


def page(
    subject: str,
    sections: Sequence[Section],
    *,
    lead: str | None = None,
    files: Mapping[str, str] | None = None,
    created: datetime | None = None,
) -> str:
    """The HTML of an atlas. Every name in it is escaped; a section is one call with its records.

    The page holds plotly's script once, the figures as JSON, and each figure as a picture in light and dark
    for readers without JavaScript and for print. ``lead`` replaces the sentence under the title; ``files``
    says where each record lies, by its name; ``created`` is now unless given.

    Raises
    ------
    InputError
        If there is no record to show, or two sections have one name.
    """
    shown = checked(sections)
    named = [(s, name, record) for s in shown for name, record in s.records.items()]
    body = [_wrapped(s.name, s.title, s.question, _figures(s)) for s in shown]
    table = verdict_table([(s.question, name, record) for s, name, record in named])
    asked = "What was answered, how sure it is, what it cost, and where it comes from."
    body.append(_wrapped("verdicts", "Verdicts", asked, table))
    kept = inventory([(name, record) for _, name, record in named], files or {})
    body.append(_wrapped("records", "Records", "What is kept, to be read again without computing it again.", kept))
    titles = [(s.name, s.title) for s in shown] + [("verdicts", "Verdicts"), ("records", "Records")]
    records = [record for _, _, record in named]
    drawn = {s.key(name): interactive(record) for s, name, record in named}
    state = {"themes": {name: theme.colours for name, theme in THEMES.items()}, "figures": drawn}
    return Template(_asset("page.html")).substitute(
        version=escape(__version__),
        title=escape(subject),
        css=Template(_asset("page.css")).substitute(light=_variables(LIGHT), dark=_variables(DARK)),
        lead=escape(_lead(records) if lead is None else lead),
        facts=_facts(records),
        tabs="".join(_tab(name, title, first=i == 0) for i, (name, title) in enumerate(titles)),
        sections="\n".join(body),
        created=(created or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        plotly=_plotly(),
        state=_json(state),
        js=_asset("page.js"),
    )


def _figures(section: Section) -> str:
    return "".join(
        figure(section.key(name), record, section.captions.get(name, "")) for name, record in section.records.items()
    )


def _lead(records: Sequence[Record]) -> str:
    surface = next((r for r in records if isinstance(r, Surface)), records[0])
    return surface.summary


def _facts(records: Sequence[Record]) -> str:
    p = records[0].provenance
    surface = next((r for r in records if isinstance(r, Surface)), None)
    facts = {} if surface is None else {"loss at the centre": f"{surface.center_loss:.4g}"}
    facts |= {"records": str(len(records)), "work": f"{sum(r.cost.units for r in records):,.0f} gradients"}
    facts |= {"rows": f"{p.rows:,}", "numerics": f"{p.dtype}, {p.device}", "seed": p.seed.partition("/")[0]}
    if p.statistics:
        facts["statistics"] = p.statistics
    facts["fingerprint"] = p.fingerprint.shapes[:8]
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())


def _tab(name: str, title: str, first: bool) -> str:
    selected, index = ("true", "0") if first else ("false", "-1")
    return (
        f'<button type="button" role="tab" id="tab-{name}" aria-controls="{name}" '
        f'aria-selected="{selected}" tabindex="{index}">{escape(title)}</button>'
    )


def _wrapped(name: str, title: str, question: str, inner: str) -> str:
    return (
        f'<section id="{name}" role="tabpanel" aria-labelledby="tab-{name}">'
        f'<h2>{escape(title)}</h2><p class="question">{escape(question)}</p>{inner}</section>'
    )


def _variables(theme: Theme) -> str:
    names = ("paper", "wash", "ink", "quiet", "faint", "accent", "good", "fair", "plain")
    return f"color-scheme: {theme.name}; " + " ".join(f"--{name}: {getattr(theme, name)};" for name in names)


def _json(value: object) -> str:
    """JSON that no text inside can end early: a script element ends at ``</``, a comment begins at ``<!--``."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _asset(name: str) -> str:
    return packaged("thalweg.report").joinpath(name).read_text(encoding="utf-8")
