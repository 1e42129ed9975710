"""The site builds without a warning and without a network, and each of its links leads to a page and an anchor."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]


class Page(HTMLParser):
    """The anchors, links and loaded files of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("script", "img", "iframe") and "src" in given:
            self.loads.append(given["src"])
        if tag == "link" and "stylesheet" in given.get("rel", ""):
            self.loads.append(given["href"])


def build(source: Path, out: Path, *options: str) -> subprocess.CompletedProcess:
    run = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", *options, str(source), str(out)]
    closed = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return subprocess.run(run, capture_output=True, text=True, env={**os.environ, **closed})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    pytest.importorskip("furo", reason="the extra docs is not installed")
    out = tmp_path_factory.mktemp("site")
    made = build(ROOT / "docs", out)
    assert made.returncode == 0 and not made.stderr.strip(), made.stderr
    return {path: Page(path) for path in sorted(out.rglob("*.html"))}


def broken(pages: dict[Path, Page]) -> list[str]:
    """What leads nowhere: a file that is not there, an anchor that is not on its page, an address without a host."""
    found = []
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https"):
                ok = link in page.links and "." in parts.netloc
            elif parts.scheme:
                ok = parts.scheme == "mailto"
            else:
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                anchor = unquote(parts.fragment)
                ok = target.is_file() and (not anchor or target not in pages or anchor in pages[target].ids)
            if not ok:
                found.append(f"{path.name}: {link}")
    return found


@pytest.mark.slow
def test_every_link_and_anchor_of_the_site_leads_somewhere(site: dict[Path, Page]) -> None:
    assert broken(site) == []
    names = {path.stem for path in site}
    assert {"which-method", "glossary", "bibliography", "claims", "errata", "first-landscape", "slices"} <= names
    assert sum(len(page.links) for page in site.values()) > 5000


@pytest.mark.slow
def test_the_reference_has_every_public_name(site: dict[Path, Page]) -> None:
    import thalweg

    ids = set().union(*(page.ids for path, page in site.items() if path.parent.name == "reference"))
    assert {"thalweg.slices.Plane", "thalweg.records.Surface.axes", "thalweg.EmpiricalRisk"} <= ids
    assert {"thalweg.plot.save", "thalweg.export.load", "thalweg.testing.check_rule", "thalweg.limits.at_most"} <= ids
    for room in ("slices", "paths", "descent", "records", "zoo", "trajectories", "testing", "theory"):
        module = getattr(thalweg, room)
        public = {
            n for n in vars(module) if getattr(getattr(module, n), "__module__", "").startswith(f"thalweg.{room}.")
        }
        for name in public - {n for n in public if n.startswith("_")}:
            found = any(x.endswith(f".{name}") and x.startswith(f"thalweg.{room}") for x in ids)
            assert found, f"thalweg.{room}.{name}"


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p id="x"><a href="b.html#y">1</a><a href="#x">2</a><a href="c.html">3</a>')
    (tmp_path / "b.html").write_text(
        '<p id="z"><a href="a.html#x">1</a><a href="https://nowhere">2</a><script src="https://a.b/c.js">'
    )
    pages = {path: Page(path) for path in tmp_path.glob("*.html")}
    assert sorted(broken(pages)) == [
        "a.html: b.html#y",
        "a.html: c.html",
        "b.html: https://a.b/c.js",
        "b.html: https://nowhere",
    ]


@pytest.mark.parametrize("text", ["[a](nowhere.md)", "[a](#nowhere)", "{py:class}`thalweg.slices.Plan`"])
def test_a_reference_that_leads_nowhere_fails_the_build(text: str, tmp_path: Path) -> None:
    pytest.importorskip("furo", reason="the extra docs is not installed")
    (tmp_path / "index.md").write_text(f"# Title\n\n{text}\n")
    options = ["-C", "-D", "extensions=myst_parser", "-D", "myst_heading_anchors=4"]
    assert build(tmp_path, tmp_path / "out", *options).returncode != 0
