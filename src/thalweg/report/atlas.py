"""The atlas: one self-contained page from records, readable without JavaScript and without the network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files as packaged
from string import Template

from thalweg import __version__
from thalweg.plot.interactive_frame import View
from thalweg.plot.style import DARK, LIGHT, THEMES, Theme
from thalweg.records.codec import decode
from thalweg.report.figures import figure, interactive
from thalweg.report.inventory import inventory
from thalweg.report.section import Section, checked
from thalweg.report.told import Told
from thalweg.report.twins import leading, telling
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
    told = telling(shown, files or {})
    body = [wrapped(s.name, s.title, s.question, _figures(s, told)) for s in shown]
    table = verdict_table([(s.question, told[s.key(name)]) for s in shown for name in s.records])
    asked = "What was answered, how sure it is, what it cost, and where it comes from."
    body.append(wrapped("verdicts", "Verdicts", asked, table))
    asked = "What is kept, to be read again without computing it again."
    body.append(wrapped("records", "Records", asked, inventory(told.values())))
    titles = [(s.name, s.title) for s in shown] + [("verdicts", "Verdicts"), ("records", "Records")]
    drawn = {s.key(name): interactive(record) for s in shown for name, record in s.records.items()}
    said = leading(told) if lead is None else lead
    return leaf("atlas", subject, said, _facts(told), titles, body, drawn, created)


def leaf(
    kind: str,
    title: str,
    lead: str,
    facts: Mapping[str, str],
    titles: Sequence[tuple[str, str]],
    body: Sequence[str],
    figures: Mapping[str, Sequence[View]],
    created: datetime | None = None,
) -> str:
    """The page around its sections: ``kind`` of page, title, lead, facts, (name, title) of each section, figures."""
    state = {"themes": {name: theme.colours for name, theme in THEMES.items()}, "figures": figures}
    return Template(_asset("page.html")).substitute(
        version=escape(__version__),
        kind=escape(kind),
        title=escape(title),
        css=Template(_asset("page.css")).substitute(light=_variables(LIGHT), dark=_variables(DARK)),
        lead=escape(lead),
        facts="".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items()),
        tabs="".join(f'<a id="tab-{name}" href="#{name}">{escape(text)}</a>' for name, text in titles),
        sections="\n".join(body),
        created=(created or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        plotly=_plotly(),
        state=_json(state),
        js=_asset("page.js"),
    )


def _figures(section: Section, told: Mapping[str, Told]) -> str:
    keys = {section.key(name): record for name, record in section.records.items()}
    return "".join(figure(key, record, told[key]) for key, record in keys.items())


def _facts(told: Mapping[str, Told]) -> dict[str, str]:
    records = list(told.values())
    p = records[0].provenance
    surface = next((one for one in records if one.kind == "surface"), None)
    facts = {} if surface is None else {"loss at the centre": f"{decode(surface.values['center_loss'], float):.4g}"}
    units = sum(one.cost["units"] for one in records)
    facts |= {"records": str(len(records)), "work": f"{units:,.0f} gradients", "rows": f"{p['rows']:,}"}
    facts |= {"numerics": f"{p['dtype']}, {p['device']}", "seed": p["seed"].partition("/")[0]}
    if p["statistics"]:
        facts["statistics"] = p["statistics"]
    return facts | {"fingerprint": p["fingerprint"]["shapes"][:8]}


def wrapped(name: str, title: str, question: str, inner: str) -> str:
    """A section; ``inner`` is HTML, the rest is escaped."""
    return (
        f'<section id="{name}" aria-labelledby="head-{name}">'
        f'<h2 id="head-{name}">{escape(title)}</h2><p class="question">{escape(question)}</p>{inner}</section>'
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
