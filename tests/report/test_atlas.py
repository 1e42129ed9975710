"""The page as text: self-contained, escaped, complete without JavaScript."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime
from html import escape
from html.parser import HTMLParser

import pytest

from tests.plot import made
from thalweg.errors import InputError
from thalweg.plot import DARK, LIGHT
from thalweg.records import Run
from thalweg.report import Section, card, page


def without_library(html: str) -> str:
    """The page without plotly's own script, which is searched for nothing."""
    scripts = re.findall(r"<script[^>]*>.*?</script>", html, flags=re.S)
    return html.replace(max(scripts, key=len), "")


class Elements(HTMLParser):
    """Every start tag of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_hostile_names_stay_text(html: str, hostile: str) -> None:
    rest = without_library(html)
    assert hostile not in rest and "<img src=x" not in rest and "<b>S" not in rest and "<!--" not in rest
    assert "&lt;script&gt;" in rest and "\u2028" not in re.findall(r'id="tw-state">(.*?)</script>', rest, flags=re.S)[0]
    tags = Elements(rest).found
    assert sum(tag == "script" for tag, _ in tags) == 3  # the class on the root, the figures, the page's own
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]


def test_the_figures_survive_the_escaping(html: str, hostile: str) -> None:
    (text,) = re.findall(r'id="tw-state">(.*?)</script>', without_library(html), flags=re.S)
    state = json.loads(text)
    keys = {"training/train", "surface/plane", "profiles/line", "profiles/pair", "spectrum/spectrum"}
    assert set(state["figures"]) == keys | {f"spectrum/{hostile}"}
    assert [view["name"] for view in state["figures"]["surface/plane"]] == ["3-D", "From above", "Off the plane"]
    assert len(state["themes"]["light"]) == len(state["themes"]["dark"])


def test_the_policy_forbids_the_network_and_nothing_asks_for_it(html: str) -> None:
    rest = without_library(html)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    rules = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    assert rules["default-src"] == rules["connect-src"] == "'none'" and "http" not in policy and "*" not in policy
    assert rules["script-src"] == "'unsafe-inline'" and "eval" not in policy
    for tag, attributes in Elements(rest).found:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form"), tag
        for name in ("src", "href", "srcset", "action", "poster", "data"):
            here = "#" if tag == "a" else "data:"
            assert (attributes.get(name) or here).startswith(here)
    assert "@import" not in rest and "url(" not in rest and "http://" not in rest and "https://" not in rest


def test_plotly_is_there_once(html: str) -> None:
    assert html.count("* plotly.js v") == 1
    assert len(re.findall(r'<script type="text/plain" id="tw-plotly">.{1000000,}?</script>', html, flags=re.S)) == 1


def test_pictures_are_there_without_javascript(html: str, sections: list[Section]) -> None:
    figures = sum(len(s.records) for s in sections)
    assert html.count('<img alt="') == figures == html.count('prefers-color-scheme: dark)" srcset')
    for name in ("training", "surface", "profiles", "spectrum", "verdicts", "records"):
        assert f'<section id="{name}"' in html and f'href="#{name}"' in html


def test_every_verdict_carries_guarantee_cost_and_provenance(html: str, sections: list[Section]) -> None:
    verdicts, records = html.split('<section id="records"')
    table = verdicts[verdicts.index("<table") :]
    for section in sections:
        for record in section.records.values():
            for word in (record.provenance.seed, "5a5a5a5a5a5a", record.provenance.dtype, f"{record.cost.units:,.4g}"):
                assert escape(word) in table
    assert table.count('class="chip') == table.count("<details>") == sum(len(s.records) for s in sections)
    for word in ("gradients", "forwards", "products", " s</small>", "Adam(lr=0.003)", "one reservation"):
        assert word in table
    assert "float64 [13, 9]" in records and "records/&lt;/script&gt;" in records


def test_themes_of_page_and_figures_are_one(html: str) -> None:
    rest = without_library(html)
    for theme in (LIGHT, DARK):
        assert f"--paper: {theme.paper};" in rest and f"--ink: {theme.ink};" in rest
    assert "$" not in re.findall(r"<style>(.*?)</style>", rest, flags=re.S)[0]


def test_the_same_records_give_the_same_page(sections: list[Section]) -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    assert page("x", sections[:1], created=when) == page("x", sections[:1], created=when)
    assert "My own lead &amp; sentence" in page("x", sections[:1], lead="My own lead & sentence")


def test_a_kind_without_a_figure_is_shown_as_a_card() -> None:
    class Strange(Run):
        record_type = "strange"

    run = made.run()
    strange = Strange(**{f.name: getattr(run, f.name) for f in dataclasses.fields(run)})
    text = without_library(page("x", [Section("new", "New", "What?", {"it": strange})]))
    assert '<pre class="card">' in text and "<img" not in text and "strange, schema 1" in text


@pytest.mark.parametrize("name", ["verdicts", "records", "a b", "1st", 'x" onclick="y', ""])
def test_names_that_are_no_address_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="section name"):
        Section(name, "T", "Q?", {"run": made.run()})


def test_empty_and_doubled_pages_are_refused() -> None:
    one = Section("a", "T", "Q?", {"run": made.run()})
    for sections, word in (
        ([], "at least one record"),
        ([Section("a", "T", "Q?", {})], "one record"),
        ([one, one], "'a'"),
    ):
        with pytest.raises(InputError, match=word):
            page("x", sections)
    with pytest.raises(InputError, match="caption"):
        Section("a", "T", "Q?", {"run": made.run()}, {"other": "?"})


def test_one_record_name_in_two_sections_stays_two_figures() -> None:
    first = Section("a", "A", "?", {"run": made.run(b=1)})
    second = Section("b", "B", "?", {"run": made.run(b=2)})
    (text,) = re.findall(r'id="tw-state">(.*?)</script>', page("x", [first, second]), flags=re.S)
    figures = json.loads(text)["figures"]
    assert [len(figures[key][0]["data"]) for key in ("a/run", "b/run")] == [1, 2]


def test_cards_are_plain_aligned_lines() -> None:
    text = card(made.run())
    assert "guarantee  sampled" in text and "gradients' worth" in text and "seed 0/descent" in text
    narrow = card(made.run(), width=60).splitlines()
    assert len(narrow) > len(text.splitlines()) and all(len(line) <= 60 for line in narrow)
    column = text.splitlines()[0].index("Adam")
    assert all(line[column - 2 : column] == "  " for line in narrow)
    assert "\x1b" not in card(made.run(names=("\x1b[2J", "b"))) and r"\x1b[2J" in card(made.run(names=("\x1b[2J", "b")))
