"""The page in a real browser: alive, quiet, usable by keyboard, and asking the network for nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
GL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
NAMES = ["training", "surface", "profiles", "spectrum", "verdicts", "records"]
EYE = "() => document.querySelector('#surface .plot')._fullLayout.scene._scene.getCamera().eye"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def launch() -> Iterator[Callable[[list[str]], Any]]:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync.sync_playwright() as playwright:
        yield lambda flags: playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *flags])


@pytest.fixture(scope="module")
def browser(launch: Callable[[list[str]], Any]) -> Iterator[Any]:
    chromium = launch(GL)
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def file(html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("atlas") / "index.html"
    path.write_text(html, encoding="utf-8")
    return path


class Watched:
    """A tab with the page that remembers what was requested and what was complained about."""

    def __init__(self, browser: Any, file: Path, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.tab = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.tab.on("request", lambda r: self.requests.append(r.url))
        self.tab.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.tab.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.tab.on("dialog", lambda d: self.complaints.append(f"dialog {d.message}"))
        self.tab.goto(file.as_uri())

    def close(self) -> None:
        self.tab.wait_for_timeout(200)
        self.context.close()
        assert not self.complaints
        assert [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.fixture
def opened(browser: Any, file: Path) -> Iterator[Any]:
    watched = Watched(browser, file, accept_downloads=True)
    yield watched.tab
    watched.close()


def shown(tab: Any) -> list[str]:
    return [name for name in NAMES if tab.locator(f"#{name}").is_visible()]


def wait_for_surface(tab: Any) -> None:
    tab.wait_for_function("() => document.querySelector('#surface .plot')?._fullLayout?.scene?._scene?.glplot")
    tab.wait_for_timeout(600)


def settled(tab: Any) -> dict[str, float]:
    """The camera's place once it has stopped gliding."""
    last, now = None, tab.evaluate(EYE)
    while last != now:
        tab.wait_for_timeout(400)
        last, now = now, tab.evaluate(EYE)
    return now


def test_tabs_work_by_mouse_and_keyboard(opened: Any, tmp_path: Path) -> None:
    tabs = opened.locator("[role=tab]")
    assert tabs.count() == len(NAMES)
    for i, name in enumerate(NAMES):
        tabs.nth(i).click()
        assert shown(opened) == [name] and tabs.nth(i).get_attribute("aria-selected") == "true"
        if i < 4:
            opened.wait_for_selector(f"#{name} .plot .main-svg, #{name} .plot canvas")
            assert not opened.locator(f"#{name} picture").first.is_visible()
        opened.screenshot(path=tmp_path / f"{name}.png")
    tabs.nth(5).press("ArrowRight")
    assert shown(opened) == ["training"]
    focused = "() => document.activeElement.id"
    assert opened.evaluate(focused) == "tab-training"
    opened.keyboard.press("ArrowLeft")
    assert shown(opened) == ["records"] and opened.evaluate(focused) == "tab-records"
    opened.keyboard.press("Home")
    opened.keyboard.press("ArrowRight")
    assert shown(opened) == ["surface"] and opened.url.endswith("#surface")
    opened.keyboard.press("End")
    assert shown(opened) == ["records"]
    assert (
        opened.evaluate("() => [...document.querySelectorAll('[role=tab]')].filter(t => t.tabIndex === 0).length") == 1
    )
    opened.locator("#tab-profiles").focus()
    opened.keyboard.press("Space")
    assert shown(opened) == ["profiles"]
    opened.evaluate("() => { location.hash = '#spectrum' }")
    opened.wait_for_function("() => !document.getElementById('spectrum').hidden")
    assert shown(opened) == ["spectrum"]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_opens_at_its_top_and_a_section_below_the_bar(browser: Any, file: Path, width: int) -> None:
    for name in ("", "profiles"):
        watched = Watched(browser, file, viewport={"width": width, "height": 700})
        tab = watched.tab
        if name:
            tab.goto("about:blank")
            tab.goto(f"{file.as_uri()}#{name}")
        tab.wait_for_selector(f"#{name or 'training'} .plot .main-svg")
        bar, head = (tab.locator(x).bounding_box() for x in (".bar", f"#{name or 'training'} h2"))
        assert head["y"] >= bar["y"] + bar["height"], "the bar covers the name of the section"
        assert name or (tab.evaluate("() => scrollY") == 0 and tab.url == file.as_uri())
        watched.close()


def test_the_surface_turns_and_keeps_its_camera(opened: Any, tmp_path: Path) -> None:
    opened.locator("#tab-surface").click()
    wait_for_surface(opened)
    before = opened.evaluate(EYE)
    box = opened.locator("#surface .plot").bounding_box()
    middle = box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5
    opened.mouse.move(*middle)
    opened.mouse.down()
    opened.mouse.move(middle[0] + 160, middle[1] + 30, steps=8)
    opened.mouse.up()
    after = settled(opened)
    assert abs(after["x"] - before["x"]) + abs(after["y"] - before["y"]) > 0.1
    opened.locator("#tw-theme").click()
    opened.wait_for_timeout(400)
    assert opened.evaluate("() => document.documentElement.dataset.theme") == "dark"
    assert opened.evaluate(EYE) == pytest.approx(after)
    opened.screenshot(path=tmp_path / "turned.png")
    # leaving the tab gives the 3-D context back; coming again finds the surface as it was left
    opened.locator("#tab-verdicts").click()
    assert opened.locator("#surface .plot canvas").count() == 0
    opened.locator("#tab-surface").click()
    wait_for_surface(opened)
    assert opened.evaluate(EYE) == pytest.approx(after)
    opened.locator("#surface .views button").nth(1).click()
    opened.wait_for_selector("#surface .plot .contourlayer")
    assert opened.locator("#surface .views button").nth(1).get_attribute("aria-pressed") == "true"


def test_the_theme_changes_page_and_figures(opened: Any) -> None:
    paper = "() => [getComputedStyle(document.documentElement).backgroundColor, "
    paper += "document.querySelector('#training .plot')._fullLayout.paper_bgcolor, "
    paper += "document.querySelector('#training .plot')._fullData[0].line.color]"
    opened.wait_for_selector("#training .plot .main-svg")
    assert opened.evaluate(paper) == ["rgb(255, 255, 255)", "#ffffff", "#0072B2"]
    opened.locator("#tw-theme").click()
    opened.wait_for_timeout(300)
    assert opened.evaluate(paper) == ["rgb(20, 24, 31)", "#14181f", "#56B4E9"]
    opened.locator("#tab-profiles").click()
    opened.wait_for_selector("#profiles .plot .main-svg")
    assert opened.evaluate(paper.replace("training", "profiles"))[1] == "#14181f"


def test_names_are_shown_as_they_are(opened: Any) -> None:
    opened.wait_for_selector("#training .plot .legendtext")
    assert opened.locator("#training .plot .legendtext").first.text_content().startswith("</script><script>")
    assert opened.locator("svg a").count() == 0


def test_a_figure_can_be_kept_as_a_file(opened: Any) -> None:
    opened.locator("#training .plot").hover()
    with opened.expect_download() as download:
        opened.locator("#training .modebar-btn[data-title*='ownload']").click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("scripts", [True, False], ids=["js", "no-js"])
@pytest.mark.parametrize("width", [390, 800, 1400])
def test_nothing_is_wider_than_the_screen(browser: Any, file: Path, width: int, scripts: bool, tmp_path: Path) -> None:
    watched = Watched(browser, file, viewport={"width": width, "height": 844}, java_script_enabled=scripts)
    tab = watched.tab
    for name in NAMES if scripts else NAMES[:1]:
        if scripts:
            tab.locator(f"#tab-{name}").click()
            tab.wait_for_timeout(300)
            assert tab.evaluate("() => document.documentElement.scrollWidth") <= width, name
            tab.screenshot(path=tmp_path / f"{name}.png")
    assert tab.locator("main").bounding_box()["width"] <= width
    watched.close()


def test_without_javascript_every_section_shows_its_picture(browser: Any, file: Path, tmp_path: Path) -> None:
    watched = Watched(browser, file, java_script_enabled=False, color_scheme="dark")
    tab = watched.tab
    pictures = tab.locator("picture img")
    assert pictures.count() == 6 and all(pictures.nth(i).is_visible() for i in range(6))
    assert all(pictures.nth(i).bounding_box()["height"] > 200 for i in range(6))
    assert shown(tab) == NAMES
    assert not tab.locator("#tw-theme").is_visible() and tab.locator("[role=tab]").count() == 0
    # the names of the sections are links to them
    assert tab.locator(".tabs a").count() == len(NAMES) and tab.locator("#tab-spectrum").is_visible()
    tab.locator("#tab-spectrum").click()
    assert tab.url.endswith("#spectrum") and abs(tab.locator("#spectrum").bounding_box()["y"]) < 100
    tab.screenshot(path=tmp_path / "still.png", full_page=True)
    watched.close()


def test_on_paper_every_section_is_a_light_picture(opened: Any, tmp_path: Path) -> None:
    opened.locator("#tw-theme").click()
    opened.emulate_media(media="print")
    opened.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert shown(opened) == NAMES and opened.locator("picture img").first.is_visible()
    assert not opened.locator(".plot").first.is_visible() and opened.locator("details:not([open])").count() == 0
    light = re.findall(r'src="(data:image/png;base64,.{200})', opened.content())[0]
    assert opened.evaluate("() => document.querySelector('picture img').currentSrc").startswith(light)
    opened.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert opened.locator("details[open]").count() == 0


def test_without_webgl_the_surface_is_shown_from_above(launch: Any, file: Path, tmp_path: Path) -> None:
    browser = launch(["--disable-3d-apis"])
    watched = Watched(browser, file)
    tab = watched.tab
    tab.locator("#tab-surface").click()
    tab.wait_for_selector("#surface .plot .contourlayer")
    assert tab.locator("#surface .views button").first.is_disabled()
    assert "WebGL" in tab.locator("#surface .why").inner_text()
    tab.screenshot(path=tmp_path / "no-webgl.png")
    watched.close()
    browser.close()
