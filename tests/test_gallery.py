"""Every picture of the gallery is made by its example, on small settings here, and the page shows no other."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import matplotlib.image
import pytest

import thalweg as tw

ROOT = Path(__file__).parents[1]
EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples" / "gallery").glob("[a-z]*.py"))}
IMAGES = ROOT / "docs" / "images" / "gallery"
SMALL = {
    "bad_minimum": {"steps": 9},
    "bad_regions": {"cells": 5, "steps": 20},
    "connections": {"hidden": (4,), "budget": 150, "training": 40},
    "critical_points": {"steps": 9},
    "digits_path": {"steps": 5, "training": 60},
    "disconnectivity": {"minima": 3, "most": 3, "training": 200, "scale": 0.002},
    "edge_of_stability": {"steps": 300, "points": 5},
    "escape_race": {"gaps": (0.3, 0.9), "starts": 2},
    "factorisation": {"steps": 9},
    "index_and_loss": {"inputs": 4, "rank": 1, "starts": 4, "steps": 10},
    "mode_connectivity": {"steps": 3, "training": 20, "fit": 20},
    "modified_networks": {"grid": 5, "steps": 100},
    "skips": {"depths": (8, 14), "grid": 3, "steps": 2},
    "spectral_density": {"hidden": (4,), "probes": 2, "steps": 6},
    "string_sampling": {"depth": 2, "starts": 3, "max_steps": 50},
    "tangent_kernel": {"width": 8, "steps": 30},
    "two_trajectories": {"steps": 9},
    "valleys_and_basins": {"points": 61, "steps": 33},
    "widths": {"widths": (1, 2), "grid": 3, "steps": 2},
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_draws_its_picture(name: str, tmp_path: Path) -> None:
    example = runpy.run_path(str(EXAMPLES[name]))
    found = example["record"](**SMALL[name])
    tw.plot.save(found, tmp_path / "a.png", view=example.get("VIEW"))
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_ends_with_its_own_picture(name: str) -> None:
    code = EXAMPLES[name].read_text(encoding="utf-8").split('"""', 2)[2]
    body = code.partition("def record(")[2].partition("\n\n\n")[0].splitlines()[1:]
    assert len(body) <= 12 and "matplotlib" not in code
    assert re.search(rf'tw\.plot\.save\(record\(\), "{name}\.png"(, view=VIEW)?\)\n\Z', code)
    assert ("VIEW = " in code) == ("view=VIEW" in code)


def test_the_page_shows_every_picture_and_no_other() -> None:
    shown = re.findall(r"^```\{picture\} (\w+)$", (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8"), re.M)
    assert sorted(shown) == sorted(EXAMPLES)
    assert {path.name for path in IMAGES.iterdir()} == {f"{n}{end}.png" for n in EXAMPLES for end in ("", "-dark")}


def test_pictures_are_small_enough_for_a_page() -> None:
    sizes = {path.name: path.stat().st_size for path in IMAGES.iterdir()}
    assert max(sizes.values()) <= 200_000, sizes
    assert sum(sizes.values()) <= 3_000_000


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_dark_picture_is_dark(name: str) -> None:
    light, dark = (matplotlib.image.imread(IMAGES / f"{name}{end}.png") for end in ("", "-dark"))
    assert light[-1, -1, :3].mean() > 0.8 and dark[-1, -1, :3].mean() < 0.2
