"""The page of reproductions: what is kept of a run, and the page as the generator makes it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thalweg.errors import InputError
from thalweg.reproductions import REPRODUCTIONS
from thalweg.reproductions.command import reproduce
from thalweg.reproductions.page import BYTES, _save, keep, render

PAGE = Path(__file__).parents[2] / "docs" / "reproductions.md"


def test_the_page_is_what_the_generator_makes_of_the_runs_beside_it() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(PAGE), "run python -m thalweg.reproductions.page PAGE"


@pytest.mark.parametrize("name", sorted(REPRODUCTIONS))
def test_every_reproduction_stands_on_the_page_with_the_rows_of_its_run(name: str) -> None:
    text, kept = PAGE.read_text(encoding="utf-8"), PAGE.with_suffix("") / f"{name}.json"
    section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
    (line,) = [line for line in text.splitlines() if line.startswith(f"| [{name}](#{name}) |")]
    if not kept.exists():
        assert "| not run |" in line
        return
    found = json.loads(kept.read_text(encoding="utf-8"))
    assert "| not run |" not in line
    assert found["rows"] and all(f"\n| {row['claim']} |" in section for row in found["rows"])
    assert set(found["settings"]) <= set(REPRODUCTIONS[name].__dataclass_fields__)  # type: ignore[attr-defined]


def test_nothing_that_was_written_or_drawn_is_left_off_the_page() -> None:
    stems = {path.stem for path in [*PAGE.with_suffix("").iterdir(), *(PAGE.parent / "images" / PAGE.stem).iterdir()]}
    assert stems <= set(REPRODUCTIONS)


def test_no_figure_is_larger_than_is_allowed_and_one_of_many_pixels_is_made_smaller(tmp_path: Path) -> None:
    figures = list((PAGE.parent / "images" / PAGE.stem).iterdir())
    assert figures and max(path.stat().st_size for path in figures) <= BYTES
    noise = np.random.default_rng(0).integers(0, 256, (900, 1400, 3), dtype=np.uint8)
    _save(Image.fromarray(noise), tmp_path / "noise.png")
    with Image.open(tmp_path / "noise.png") as image:
        assert image.size[0] < 1400


def test_a_run_is_kept_and_shown_with_what_was_written_about_it(tmp_path: Path) -> None:
    page, run = tmp_path / "page.md", tmp_path / "run"
    reproduce("saxe_2014", {}, out=str(run))
    assert keep(page, run) == "saxe_2014"
    (tmp_path / "page" / "saxe_2014.md").write_text("    thalweg reproduce saxe_2014 --set layers=3\n\nMore.\n")
    text = render(page)
    section = text.split("\n## saxe_2014\n")[1].split("\n## ")[0]
    assert "| agrees? |" in section and "images/page/saxe_2014.png" in section and "seed 0" in section
    assert section.rstrip().endswith("    thalweg reproduce saxe_2014 --set layers=3\n\nMore.")
    assert "| not run |" in text  # the others
    agrees = [row["agrees"] for row in json.loads((tmp_path / "page" / "saxe_2014.json").read_text())["rows"]]
    assert f"| {agrees.count(True)} of {len([a for a in agrees if a is not None])} |" in text


def test_runs_of_other_settings_are_refused(tmp_path: Path) -> None:
    reproduce("saxe_2014", {"layers": 3}, out=str(tmp_path / "run"))
    with pytest.raises(InputError, match="layers"):
        keep(tmp_path / "page.md", tmp_path / "run")
    reproduce("saxe_2014", {}, out=str(tmp_path / "seeded"), seed=2)
    with pytest.raises(InputError, match="seed"):
        keep(tmp_path / "page.md", tmp_path / "seeded")
