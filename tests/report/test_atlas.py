"""The page: self-contained, escaped, readable without JavaScript, and alive in a real browser."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
import torch

import thalweg as tw
from thalweg.records import Mark
from thalweg.report import Section, card, page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>'


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    risk, other = tw.zoo.digits(), tw.zoo.digits(seed=1)
    run = tw.descent.Descent(steps=20, batch=256)(risk, risk.initial, other.initial)
    path = torch.from_numpy(run.data["thetas"][:, 0].copy())
    plane = tw.slices.TrajectoryPlane(steps=5)(risk, path)
    hostile = dataclasses.replace(plane, marks=(Mark(HOSTILE, (0.0, 0.0), 1.0),))
    line = tw.slices.Line(steps=5)(risk, risk.initial, other.initial)
    spectrum = tw.curvature.Lanczos(k=3)(risk, risk.initial)
    return [
        Section("training", "Training", "How?", {"train": run}),
        Section("surface", "Surface <b>", f"What {HOSTILE}?", {"plane": hostile}),
        Section("profiles", "Profiles", "Where?", {"line": line}),
        Section("spectrum", "Spectrum", "How curved?", {"spectrum": spectrum}),
    ]


@pytest.fixture(scope="module")
def html(sections: list[Section]) -> str:
    return page(f"a subject {HOSTILE}", sections)


def without_library(html: str) -> str:
    """The page without plotly's own script, which is searched for nothing."""
    scripts = re.findall(r"<script>.*?</script>", html, flags=re.S)
    return html.replace(max(scripts, key=len), "")


def test_hostile_names_stay_text(html: str) -> None:
    rest = without_library(html)
    assert HOSTILE not in rest and "<img src=x" not in rest and "<b>" not in rest
    assert "&lt;script&gt;" in rest and "\\u003c/script>" in rest
    assert html.count("<script") == 4  # the class on the root, plotly, the figures, the page's own


def test_the_policy_forbids_the_network_and_nothing_asks_for_it(html: str) -> None:
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy.startswith("default-src 'none'") and "http" not in policy and "connect-src" not in policy
    rest = without_library(html)
    assert not re.search(r'(src|href|srcset|action)\s*=\s*"(?!data:)', rest)
    assert "@import" not in rest and "url(" not in rest


def test_pictures_are_there_without_javascript(html: str, sections: list[Section]) -> None:
    figures = sum(len(s.records) for s in sections)
    assert html.count('<img alt="') == figures == html.count('prefers-color-scheme: dark)" srcset')


def test_every_verdict_carries_guarantee_cost_and_provenance(html: str, sections: list[Section]) -> None:
    table = html[html.index("<table>") : html.index("</table>")]
    for section in sections:
        for name, record in section.records.items():
            assert f"<code>{name}</code>" in table and record.provenance.seed in table
    assert table.count('class="chip') == table.count("<details>") == sum(len(s.records) for s in sections)


def test_cards_are_plain_lines(sections: list[Section]) -> None:
    text = card(sections[0].records["train"])
    assert "guarantee  sampled" in text and "gradients' worth" in text and "seed 0/descent" in text


@pytest.fixture(scope="module")
def browser():  # type: ignore[no-untyped-def]
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    sync = pytest.importorskip("playwright.sync_api")
    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    with sync.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags + quiet)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, html: str, tmp_path: Path):  # type: ignore[no-untyped-def]
    """A tab with the page, and what it requested and complained about; both are checked at the end."""
    file = tmp_path / "index.html"
    file.write_text(html, encoding="utf-8")
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    requests, complaints = [], []
    tab.on("request", lambda r: requests.append(r.url))
    tab.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda e: complaints.append(str(e)))
    tab.on("dialog", lambda d: complaints.append(f"dialog {d.message}"))
    tab.goto(file.as_uri())
    yield tab
    tab.wait_for_timeout(200)
    assert not complaints
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    tab.close()


@pytest.mark.browser
def test_tabs_work_by_mouse_and_keyboard(opened, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    names = ["training", "surface", "profiles", "spectrum", "verdicts"]
    tabs = opened.locator("[role=tab]")
    assert tabs.count() == len(names)
    for i, name in enumerate(names):
        tabs.nth(i).click()
        shown = [n for n in names if opened.locator(f"#{n}").is_visible()]
        assert shown == [name] and tabs.nth(i).get_attribute("aria-selected") == "true"
        if name != "verdicts":
            opened.wait_for_selector(f"#{name} .plot .main-svg, #{name} .plot canvas")
            assert not opened.locator(f"#{name} picture").first.is_visible()
        opened.screenshot(path=tmp_path / f"{name}.png")
    tabs.nth(4).press("ArrowRight")
    assert opened.locator("#training").is_visible()
    tabs.nth(0).press("End")
    assert opened.locator("#verdicts").is_visible()


@pytest.mark.browser
def test_the_surface_rotates_and_keeps_its_camera_through_the_theme(opened, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    opened.locator("#tab-surface").click()
    plot = opened.locator("#surface .plot")
    opened.wait_for_selector("#surface .plot canvas")
    opened.wait_for_timeout(800)
    eye = "() => document.querySelector('#surface .plot')._fullLayout.scene._scene.getCamera().eye"
    before = opened.evaluate(eye)
    box = plot.bounding_box()
    middle = box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5
    opened.mouse.move(*middle)
    opened.mouse.down()
    opened.mouse.move(middle[0] + 160, middle[1] + 30, steps=8)
    opened.mouse.up()
    opened.wait_for_timeout(500)
    after = opened.evaluate(eye)
    assert abs(after["x"] - before["x"]) + abs(after["y"] - before["y"]) > 0.1
    opened.locator("#theme").click()
    opened.wait_for_timeout(500)
    assert opened.evaluate("() => document.documentElement.dataset.theme") == "dark"
    kept = opened.evaluate(eye)
    assert abs(kept["x"] - after["x"]) < 1e-6
    opened.screenshot(path=tmp_path / "rotated.png")
    opened.locator("#surface .views button").nth(1).click()
    opened.wait_for_selector("#surface .plot .contourlayer, #surface .plot .contour")


@pytest.mark.browser
def test_without_javascript_every_section_shows_its_picture(browser, html: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "index.html"
    file.write_text(html, encoding="utf-8")
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    tab = context.new_page()
    tab.goto(file.as_uri())
    pictures = tab.locator("picture img")
    assert pictures.count() == 4 and all(pictures.nth(i).is_visible() for i in range(4))
    assert not tab.locator("#theme").is_visible() and not tab.locator(".tabs").is_visible()
    width = tab.locator("body").bounding_box()["width"]
    assert width <= 390
    tab.screenshot(path=tmp_path / "still.png", full_page=True)
    context.close()
