"""The certified rate, both conditions, shares of starts and critical points, small; probabilities by simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thalweg.errors import InputError
from thalweg.plot.static_reproduction import reproduction
from thalweg.plot.style import DARK, LIGHT
from thalweg.records import ReproductionStatus
from thalweg.reproductions import build
from thalweg.reproductions.arora_2019 import _probability


def test_small_settings_agree_and_are_drawn() -> None:
    record = build(
        "arora_2019", steps=2000, draws=2000, width=5, depths=(2, 6), trained=300, eigenvalues=3, dimension=20
    )()
    rows = {row.claim: row for row in record.rows}
    assert record.status is ReproductionStatus.AGREES
    assert rows["promises_broken"].ours == 0 and rows["claim_4"].ours > 12 and rows["claim_5"].ours >= 0.5
    assert rows["claim_4_control"].ours < 1e-6 and rows["claim_5_control"].ours < 1e-6
    assert rows["balanced_share[6]"].ours > rows["layerwise_share[6]"].ours
    assert (record.data["loss"] <= record.data["certified"] * (1 + 1e-12)).all()
    inside = (record.data["share.low"] <= record.data["probability"]) & (
        record.data["probability"] <= record.data["share.high"]
    )
    assert inside.all()
    order = np.argsort(record.data["value"])
    assert record.data["index3.points"][order[0]] == 0 == record.data["index2.points"][order[0]]
    for theme in (LIGHT, DARK):
        figure = reproduction(record, theme)
        titles = {axes.get_title() for part in figure.subfigs for axes in part.axes if axes.get_visible()}
        assert titles >= {panel.title for panel in record.panels}
        assert not any("first network" in text.get_text() for part in figure.subfigs for text in part.texts)


@pytest.mark.parametrize("scale", [0.01, 0.2, 1.0])
def test_the_probability_of_a_margin(scale: float) -> None:
    phi = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    w = scale * torch.randn(200_000, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    share = float(((w - phi).norm(dim=1) < 1).double().mean())
    assert _probability(scale, 3) == pytest.approx(share, abs=4 * 0.5 / 200_000**0.5)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="steps=0"):
        build("arora_2019", steps=0)
    with pytest.raises(InputError, match=r"depths=\[1\]"):
        build("arora_2019", depths=[1])
