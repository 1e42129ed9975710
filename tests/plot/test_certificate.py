"""Figures of certificates: every status is drawn, in both themes, with the bracket at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import thalweg as tw
from thalweg.critical import certify
from thalweg.plot import save
from thalweg.plot.static import draw
from thalweg.plot.style import DARK, LIGHT
from thalweg.records import Certificate


def judged(least: float, **options: object) -> Certificate:
    values = torch.linspace(0.1, 1, 40, dtype=torch.float64)
    values[0] = least
    fn = tw.Function(lambda x: (values * x.square()).sum() / 2 + x.pow(4).sum() / 4, 40)
    return certify(fn, torch.zeros(40), **options)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_certificate_is_drawn(theme, tmp_path: Path) -> None:
    nothing = certify(tw.Function(lambda x: x.log().sum(), 3, initial=torch.ones(3)), -torch.ones(3))
    for i, record in enumerate((judged(-0.2), judged(0.1), judged(0.1, products=4), nothing)):
        save(record, tmp_path / f"{i}.png", theme)
        axes = draw(record, theme).axes
        assert len(axes) == (2 if record.step else 1)
        ends = [x for line in axes[0].lines for x in line.get_xdata()]
        assert record.smallest.upper is None or record.smallest.upper in ends
        assert record.smallest.lower is None or record.smallest.lower in ends
