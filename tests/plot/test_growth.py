"""How strings grew, as drawn: beads per depth of one string, and of many at each level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from thalweg.descent import Adam
from thalweg.paths import StringSearch
from thalweg.plot import DARK, LIGHT, static_paths, static_published
from thalweg.report.path_captions import path_reading
from thalweg.reproductions.freeman_bruna import FreemanBruna


def test_bars_count_the_beads_of_every_depth() -> None:
    setting = FreemanBruna(rows=20, level=0.05)
    ends = torch.stack([setting.subject(k).initial.theta for k in (0, 1)])
    found = StringSearch(level=0.4, rule=Adam(1e-2), grid=20, force_first=True)(setting.subject(), *ends)
    depths = found.data["bead_depth"]
    assert (depths > 0).sum() >= 1
    assert "Below, the string of every depth" in path_reading(found)
    plain = {name: array for name, array in found.data.items() if name != "segment_depth"}
    assert "Below" not in path_reading(replace(found, data=plain))
    for theme in (LIGHT, DARK):
        bars = static_paths.path(found, theme).axes[2].patches
        heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in bars}
        assert heights == {d: (depths == d).sum() for d in range(1, int(depths.max()) + 1)}


def test_levels_have_a_line_each_and_the_fit_is_drawn() -> None:
    setting = FreemanBruna(level=[0.1, 0.05, 0.02], pairs=2, rows=20)
    rng = np.random.default_rng(0)
    found = [
        {"length": rng.uniform(1, 2, 2), "beads": np.array([3.0, 4.0]), "failed": np.zeros(2, int),
         "added": np.arange(1.0, 2 + k)}
        for k in range(3)
    ]  # fmt: skip
    record = setting._record(_metered(setting), found, _stream())
    figure = static_published.published(record, LIGHT)
    counts = {line.get_label(): line.get_ydata().tolist() for line in figure.axes[2].lines}
    assert counts == {"0.1": [1, 0], "0.05": [1, 2, 0], "0.02": [1, 2, 3]}
    start, slope = record.data["length.fit"]
    (fit,) = [line for line in figure.axes[0].lines if "ln x" in str(line.get_label())]
    assert np.allclose(fit.get_ydata(), start + slope * np.log([0.02, 0.05, 0.1]))
    assert [row.claim for row in record.rows][-1] == "length_per_ln_level"


def _metered(setting):
    from thalweg.core.metered import Metered

    return Metered(setting.subject(0))


def _stream():
    from thalweg.core.rng import stream

    return stream(0)("test")
