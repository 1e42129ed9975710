"""Pages with hostile names: element for element the page with harmless ones, and quiet in a browser."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from tests.export import made as more
from tests.plot import made
from thalweg.core.checkpoints import load_points
from thalweg.core.risk import EmpiricalRisk
from thalweg.curvature import Lanczos
from thalweg.export import save
from thalweg.records import Audit, Check, Guarantee, Mark, Record, Verdict, VerdictStatus
from thalweg.report import Section, card, page
from thalweg.report import figures as figures_module
from thalweg.slices import Line
from thalweg.theory import audit

HOSTILE = (
    "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)><!-- </style></title></textarea>"
    "<svg/onload=alert(3)>\u2028\u2029 ]]> <a href='javascript:alert(4)'>x</a> ${css} $title &lt;b&gt; %{x} $a_{ \\"
)
HARMLESS = "n" * 20
PSEUDO = {"b", "i", "br", "sub", "sup", "extra", "em"}
"""Elements that plotly makes of texts and this program writes; a link is none of them."""
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


class Tree(HTMLParser):
    """The elements of a page with the names of their attributes, its scripts, and its comments."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.scripts: list[str] = []
        self.comments: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def poisoned(value: Any, text: str) -> Any:
    """A record's part with every free text in it replaced."""
    if isinstance(value, str):
        return text
    if isinstance(value, dict):
        return {key: poisoned(item, text) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(poisoned(item, text) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: poisoned(getattr(value, f.name), text) for f in fields(value)})
    return value


def named(record: Record, text: str) -> Record:
    """The record with its provenance, labels, marks and metrics called so."""
    given: dict[str, Any] = {"provenance": poisoned(record.provenance, text)}
    if hasattr(record, "directions"):
        given["directions"] = replace(record.directions, labels=(text, *record.directions.labels[1:]))
    if getattr(record, "marks", ()):
        given["marks"] = tuple(poisoned(mark, text) for mark in record.marks)
    return replace(record, **given)


def network(text: str, folder: Path) -> dict[str, Record]:
    """Records of a network whose class, parameters, metric and checkpoint are called so."""
    torch.manual_seed(0)
    name = text.replace(".", "").replace("/", "")  # torch and the file system allow the rest
    cls = type(name, (torch.nn.Sequential,), {})
    model = cls()
    model.add_module(name, torch.nn.Linear(2, 2))
    data = torch.randn(5, 2), torch.randint(2, (5,))
    metrics = {name: lambda outputs, targets: (outputs.argmax(1) == targets).double()}
    objective = EmpiricalRisk(model.double(), torch.nn.CrossEntropyLoss(), (data[0].double(), data[1]), metrics=metrics)
    torch.save(model.state_dict(), folder / f"{name}.pt")
    point = load_points(objective, folder / f"{name}.pt")[0]
    unmet = Verdict(text, VerdictStatus.HYPOTHESIS_UNMET, (Check.at_most(text, 2.0, 1.0),), text)
    holds = Verdict(text, VerdictStatus.HOLDS, (Check.given(text, True),), text, guarantee=Guarantee.EXACT)
    judged = audit(objective, point)
    assert isinstance(judged, Audit)
    return {
        "line": Line(steps=5, half_width=0.5)(objective, point),
        "spectrum": Lanczos(k=1)(objective, point),
        "audit": replace(judged, verdicts=(unmet, holds)),
    }


def records(text: str, folder: Path) -> dict[str, Record]:
    marked = made.surface(marks=(Mark(text, (0.2, -0.1), 0.3),))
    return {**{name: named(r, text) for name, r in {**more.every(), "marked": marked}.items()}, **network(text, folder)}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Record]]:
    return {text: records(text, tmp_path_factory.mktemp("names")) for text in (HOSTILE, HARMLESS)}


@pytest.fixture(scope="module")
def pages(both: dict[str, dict[str, Record]]) -> dict[str, str]:
    """The page of every record in both namings, its still pictures left out."""
    drawn = figures_module._picture
    figures_module._picture = lambda record, theme: "data:image/png;base64,"
    try:
        return {text: composed(text, held) for text, held in both.items()}
    finally:
        figures_module._picture = drawn


def composed(text: str, held: dict[str, Record]) -> str:
    sections = [
        Section(f"s{i}", text, text, {f"{name}{text}": record}, {f"{name}{text}": text})
        for i, (name, record) in enumerate(held.items())
    ]
    files = {f"{name}{text}": f"records/{text}" for name in held}
    return page(text, sections, lead=text, files=files, created=WHEN)


def test_hostile_names_make_no_element(pages: dict[str, str]) -> None:
    hostile, harmless = Tree(pages[HOSTILE]), Tree(pages[HARMLESS])
    assert hostile.elements == harmless.elements and len(hostile.elements) > 300
    assert hostile.comments == harmless.comments and len(hostile.scripts) == len(harmless.scripts)
    state = [s.startswith("{") and '"figures"' in s for s in hostile.scripts]
    assert sum(state) == 1
    for one, other, is_state in zip(hostile.scripts, harmless.scripts, state, strict=True):
        assert is_state or one == other  # the names are in the JSON alone
    figures = json.loads(hostile.scripts[state.index(True)])["figures"]
    assert len(figures) == len(json.loads(harmless.scripts[state.index(True)])["figures"]) == 13
    assert not set(hostile.scripts[state.index(True)]) & {"<", "\u2028", "\u2029"}


def test_plotly_is_given_no_element_by_a_name(pages: dict[str, str]) -> None:
    tree = Tree(pages[HOSTILE])
    (state,) = (s for s in tree.scripts if s.startswith("{") and '"figures"' in s)

    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [t for item in value.values() for t in texts(item)]
        if isinstance(value, list):
            return [t for item in value for t in texts(item)]
        return [value] if isinstance(value, str) else []

    held = texts(json.loads(state)["figures"])
    assert any("alert(1)" in text for text in held)
    found = {tag.lower() for text in held for tag in re.findall(r"</?\s*([A-Za-z!][\w-]*)", text)}
    assert found <= PSEUDO


def test_the_comparison_sees_what_it_is_for(pages: dict[str, str]) -> None:
    """The control: one name that is not escaped."""
    escaped = pages[HARMLESS]
    assert Tree(escaped.replace(HARMLESS, HOSTILE, 3)).elements != Tree(escaped).elements


@pytest.mark.parametrize("name", ["marked", "profile", "run", "spectrum", "topology", "connection", "line", "audit"])
def test_hostile_names_in_every_other_format(name: str, both: dict[str, dict[str, Record]], tmp_path: Path) -> None:
    record = both[HOSTILE][name]
    assert not {c for c in card(record) if not c.isprintable() and c != "\n"}
    if name != "audit":
        held = list(ElementTree.parse(save(record, tmp_path / "x.svg")).iter())
        assert len(held) > 20
        assert not {e.tag.rpartition("}")[2] for e in held} & {"script", "img", "a", "foreignObject"}
        assert not [name for element in held for name in element.attrib if name.startswith("on")]
    for ending in {"topology": ("vti",), "marked": ("vti", "vtp")}.get(name, ()):
        head = save(record, tmp_path / f"x.{ending}").read_bytes().partition(b"<AppendedData")[0]
        assert b"<script" not in head and b"<img" not in head and b"onerror" not in re.sub(rb'"[^"]*"', b"", head)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
def test_a_browser_runs_nothing_of_a_name(pages: dict[str, str], tmp_path: Path) -> None:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    # the names of the sections are links within the page, and there is no other
    odd = '[onerror], [onload], a[href]:not(.tabs > a[href^="#"]), svg a, svg script'
    file = tmp_path / "page.html"
    file.write_text(pages[HOSTILE], encoding="utf-8")
    said: list[str] = []
    asked: list[str] = []
    with sync.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking", "--disable-3d-apis"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        tab = browser.new_page()
        tab.on("dialog", lambda dialog: (said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(file.as_uri())
        tabs = tab.locator("[role=tab]")
        for i in range(tabs.count()):
            tabs.nth(i).click()
            tab.wait_for_timeout(50)
        assert tab.locator("[role=tab]").first.text_content() == HOSTILE
        assert tab.evaluate(f"() => document.querySelectorAll('{odd}').length") == 0
        browser.close()
    assert not said and asked and all(url.startswith(("file:", "data:", "blob:")) for url in asked)
