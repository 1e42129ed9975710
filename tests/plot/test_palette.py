"""The palette as those see it who see colours differently, and text against what it stands on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from thalweg.plot.style import DARK, LIGHT, SURFACE, THEMES, Theme

# Machado, Oliveira & Fernandes 2009, table 1, severity 1.0: applied to linear RGB.
SEEN = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "ordinary": np.eye(3).tolist(),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(rgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    """Linear RGB [n, 3] to CIELAB (D65)."""
    x = light @ XYZ.T / (XYZ.sum(axis=1))
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=-1)


def seen(colours: list[str] | np.ndarray, how: str) -> np.ndarray:
    """Colours in CIELAB as they are seen."""
    rgb = np.array([to_rgb(c) for c in colours]) if isinstance(colours, list) else colours
    return lab(np.clip(linear(rgb) @ np.array(SEEN[how]).T, 0, 1))


def contrast(first: str, second: str) -> float:
    """The ratio of luminances (WCAG 2.2, §1.4.3)."""
    a, b = sorted(float(linear(np.array(to_rgb(c))) @ XYZ[1]) + 0.05 for c in (first, second))
    return b / a


def nearest(colours: list[str], how: str) -> float:
    found = seen(colours, how)
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(found, 2))


def test_the_instruments_measure_what_they_should() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21, abs=1e-3)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert seen(["#ffffff"], "ordinary")[0] == pytest.approx([100, 0, 0], abs=0.01)
    # red and green of one lightness are what a deuteranope cannot tell apart, and others can
    assert nearest(["#c86400", "#788c00"], "deuteranopia") < 12 < 40 < nearest(["#c86400", "#788c00"], "ordinary")


@pytest.mark.parametrize("how", SEEN)
@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_curves_are_told_apart(theme: Theme, how: str) -> None:
    """A CIELAB distance of 2.3 is just noticed; of thin lines three times that is asked, of the first four more."""
    assert nearest(list(theme.lines), how) > 7
    assert nearest(list(theme.lines[:4]), how) > 12
    assert nearest(list(theme.lines[:2]), how) > 35


@pytest.mark.parametrize("how", SEEN)
def test_the_colours_of_a_surface_keep_their_order(how: str) -> None:
    ramp = colormaps[SURFACE](np.linspace(0, 1, 64))[:, :3]
    assert (np.diff(seen(ramp, how)[:, 0]) > 0).all()
    jet = colormaps["jet"](np.linspace(0, 1, 64))[:, :3]
    assert not (np.diff(seen(jet, how)[:, 0]) > 0).all()


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_text_stands_out_from_its_ground(theme: Theme) -> None:
    for name in ("ink", "quiet", "accent", "good", "fair", "plain"):
        for ground in (theme.paper, theme.wash):
            assert contrast(getattr(theme, name), ground) >= 4.5, (name, ground)
    for i, line in enumerate(theme.lines[:4]):
        assert contrast(line, theme.paper) >= 2.7, i


def test_themes_differ() -> None:
    assert contrast(LIGHT.paper, DARK.paper) > 12
