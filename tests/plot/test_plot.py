"""Figures as data: nothing transposed, nothing hidden, everything that must be known written on them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.patches import Rectangle

from tests.plot import made
from thalweg import plot
from thalweg.errors import InputError
from thalweg.plot import DARK, LIGHT, interactive, save, static
from thalweg.plot.curves import rise_of
from thalweg.plot.scale import scale_of
from thalweg.records import Mark, Record, SpectrumStatus, Surface

HARD = "$a_{ <b>名\n\x1b[31m</script>%{x}"

KINDS: dict[str, Record] = {
    "run": made.run(),
    "path": made.surface(),
    "plane": made.surface(trajectory=False, marks=(Mark("seed 0", (0.0, 0.0), 0.02),), labels=("d1", "d2")),
    "line": made.profile(names=("seed 0",)),
    "pair": made.profile(),
    "spectrum": made.spectrum(),
    "basins": made.topology(error=0.005),
}
ODD: dict[str, Record] = {
    "pole": made.surface(lambda a, b: 1 / (a + 1) ** 2 + 0 * b),
    "nan": made.surface(lambda a, b: np.where(a > 1, np.nan, a * b)),
    "nothing finite": made.surface(lambda a, b: np.nan * a),
    "constant": made.surface(lambda a, b: 2.0 + 0 * a),
    "zeros": made.surface(lambda a, b: np.maximum(a, 0) ** 4 * (1 + b**2)),
    "huge": made.surface(lambda a, b: np.exp(300 * a**2 + b)),
    "two by two": made.surface(n=(2, 2)),
    "diverged": made.run(diverged=True),
    "many": made.run(b=9, names=("seed 0",)),
    "gap": made.profile(loss=np.where(np.arange(31) == 12, np.nan, 1.0 + np.arange(31.0) % 7)),
    "infinite end": made.profile(loss=np.where(np.arange(31) == 0, np.inf, 1.0 + np.arange(31.0))),
    "no eigenvalue": made.spectrum(values=()),
    "nan eigenvalue": made.spectrum(values=(np.nan, np.nan), status=SpectrumStatus.NONFINITE),
    "zero eigenvalues": made.spectrum(values=(0.0, 0.0)),
    "hard names": made.surface(marks=(Mark(HARD, (0.0, 0.0), 1.0),), labels=(HARD, HARD), trajectory=False),
    "hard profile": made.profile(names=(HARD, HARD)),
    "basins of a line": made.topology(made.profile()),
    "basins of a zero": made.topology(made.profile(loss=np.abs(np.arange(31.0) % 9 - 4))),
    "basins with holes": made.topology(made.surface(lambda a, b: np.where(np.abs(a - 0.3) < 0.2, np.nan, a * b))),
    "no basin": made.topology(made.surface(lambda a, b: np.nan * a)),
    "basins of hard names": made.topology(
        made.surface(made.wells, marks=(Mark(HARD, (0.0, 0.0), 1.0), Mark(HARD, (1.0, 0.0), 1.0)), labels=(HARD, HARD))
    ),
    "hard run": made.run(names=(HARD, HARD)),
}


@pytest.fixture(scope="module")
def lopsided() -> Surface:
    """F = a + 10 b on 4 x 3 points: not symmetric in shape, in range or in slope."""
    return made.surface(lambda a, b: a + 10 * b, n=(4, 3), trajectory=False)


def test_the_second_direction_runs_up_the_page(lopsided: Surface) -> None:
    for view in interactive.views(lopsided):
        trace = view["data"][0]
        assert len(trace["x"]) == 4 and len(trace["y"]) == 3 and np.shape(trace["z"]) == (3, 4)
        for row, b in zip(trace["z"], trace["y"], strict=True):
            assert row == pytest.approx([a + 10 * b for a in trace["x"]])
        axes = view["layout"].get("scene", view["layout"])
        assert axes["xaxis"]["title"]["text"] == "PC 1" and axes["yaxis"]["title"]["text"] == "PC 2"


def test_the_second_direction_runs_up_the_picture(lopsided: Surface) -> None:
    axes = static.draw(lopsided).axes[0]
    assert axes.get_xlabel() == "PC 1" and axes.get_ylabel() == "PC 2"
    assert axes.get_xlim() == (-1, 1.5) and axes.get_ylim() == (-1, 1)
    filled = axes.collections[0]
    assert filled.levels[0] == -11 and filled.levels[-1] == 11.5  # type: ignore[attr-defined]
    # The highest band is where the second coordinate is 1: its vertices lie in the upper half.
    band = filled.get_paths()[-1].vertices
    assert band[:, 1].min() > 0.5 and band[:, 0].min() < 0.5


def test_the_path_lies_where_training_was_at_its_true_loss() -> None:
    record = made.surface()
    solid, above = interactive.views(record)[:2]
    path, losses = record.data["path"], record.data["path_loss"]
    line = next(t for t in solid["data"] if t.get("name") == "training")
    for given, true in zip((line["x"], line["y"], line["z"]), (path[:, 0], path[:, 1], losses), strict=True):
        assert given == pytest.approx(true.tolist())
    flat = [t for t in above["data"] if t.get("name") == "training"]
    assert all(t["x"] == line["x"] and t["y"] == line["y"] for t in flat)
    drawn = [line for line in static.draw(record).axes[0].lines if line.get_label() == "training"]
    assert np.allclose(drawn[0].get_xydata(), path)


@pytest.mark.parametrize("name", [*KINDS, *ODD])
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_record_has_both_kinds_of_figure(name: str, theme: plot.Theme) -> None:
    record = {**KINDS, **ODD}[name]
    assert static.render(record, "png", theme, dpi=40).startswith(b"\x89PNG")
    for view in interactive.views(record, theme):
        assert json.loads(json.dumps(view, allow_nan=False)) == view
        go.Figure(data=view["data"], layout=view["layout"])  # plotly refuses names that it does not know


@pytest.mark.parametrize("ending", [".png", ".pdf", ".svg"])
def test_the_same_record_gives_the_same_file(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"figure{ending}"
    save(KINDS["path"], file, DARK)
    first = file.read_bytes()
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "font.family": ["serif"]}):
        save(KINDS["path"], file, DARK)
    assert file.read_bytes() == first


def test_another_ending_or_kind_is_refused(tmp_path: Path) -> None:
    class Strange(type(KINDS["run"])):  # type: ignore[misc]
        record_type = "strange"

    run = KINDS["run"]
    strange = Strange(**{f.name: getattr(run, f.name) for f in dataclasses.fields(run)})
    with pytest.raises(InputError, match=r"\.gif|gif"):
        save(run, tmp_path / "x.gif")
    with pytest.raises(InputError, match="strange"):
        static.draw(strange)
    with pytest.raises(InputError, match="strange"):
        interactive.views(strange)
    with pytest.raises(InputError, match="From above"):
        interactive.figure(KINDS["plane"], "from below")
    assert interactive.figure(KINDS["plane"], "From above")["data"][0]["type"] == "contour"


def test_footers_say_what_must_be_known() -> None:
    words = {
        "plane": [
            "13×9 points over [−1, 1.5] × [−1, 1]; centre between points",
            "random, each filter scaled to theta's",
            "norms 14.7, 14.2",
            "cosines 5.6e-11",
            "guarantee: sampled",
            "1,797 rows",
            "float64",
            "seed 0/plane",
            "117 forwards in 2.50 s",
            "note: one reservation",
        ],
        "line": ["31 points over [0, 1]; centre at index (0)", "between points"],
        "path": ["explained 92%, 7%", "up to 0.4 off the plane", "start 0.4", "statistics freeze"],
        "spectrum": ["guarantee: certified", "101 products", "slack 4.5e-05"],
        "run": ["guarantee: sampled", "seed 0/descent"],
    }
    for name, expected in words.items():
        text = "\n".join(static.footer(KINDS[name]))
        assert all(word in text for word in expected), text
        assert static.draw(KINDS[name]).get_supxlabel().split() == text.split()


def test_what_is_not_finite_is_counted_hatched_and_left_open() -> None:
    record = ODD["nan"]
    assert isinstance(record, Surface) and record.nonfinite == 27
    assert "27 of 117 points are NaN or infinite (hatched" in "\n".join(static.footer(record))
    hatched = [p for p in static.draw(record).axes[0].patches if isinstance(p, Rectangle)]
    assert hatched[0].get_hatch() and hatched[0].get_zorder() == 0
    for view in interactive.views(record)[:2]:
        assert sum(value is None for row in view["data"][0]["z"] for value in row) == 27
    assert "recorded losses" not in "\n".join(static.footer(KINDS["run"]))
    assert "22 of 62 recorded losses" in "\n".join(static.footer(ODD["diverged"]))


def test_scales_are_logarithmic_only_when_positive_and_wide() -> None:
    assert scale_of(np.array([1e-3, 1.0])).log and not scale_of(np.array([0.0, 1.0])).log
    assert not scale_of(np.array([1.0, 2.0])).log and not scale_of(np.array([-1.0, 1e6])).log
    flat = scale_of(np.array([2.0, 2.0]))
    assert flat.low < 2.0 < flat.high and (np.diff(flat.levels()) > 0).all()
    zeros = scale_of(np.array([0.0, 1e-3, 1.0, np.inf]))
    assert zeros.log and zeros.name == "log scale, 1 zero drawn at 0.001"
    assert zeros.shown(np.array([0.0, 1.0, np.inf]))[:2].tolist() == [1e-3, 1.0]


@pytest.mark.parametrize(("low", "high"), [(0.037, 18.5), (1e-9, 3e5), (0.0311, 1.0), (-3.0, 7.5), (2.3025, 2.3026)])
def test_ticks_are_round_and_within_the_range(low: float, high: float) -> None:
    scale = scale_of(np.array([low, high]))
    ticks = scale.ticks(6)
    assert 3 <= len(ticks) <= 8 and all(low <= t <= high for t in ticks)
    assert all(float(f"{t:.6g}") == pytest.approx(t, rel=1e-9) for t in ticks)


def test_a_log_surface_colours_by_logarithm_and_labels_by_loss() -> None:
    record = made.surface(lambda a, b: 10 ** (2 * a) + 0 * b, n=(6, 3), trajectory=False)
    solid, above = (view["data"][0] for view in interactive.views(record))
    assert solid["z"][0][0] == pytest.approx(0.01) and solid["surfacecolor"][0][0] == pytest.approx(-2)
    assert above["z"][0][0] == pytest.approx(-2) and above["customdata"][0][0] == pytest.approx(0.01)
    places = solid["colorbar"]["tickvals"]
    assert [10**p for p in places] == pytest.approx([float(t) for t in solid["colorbar"]["ticktext"]])
    assert "log scale" in solid["colorbar"]["title"]["text"]
    bar = static.draw(record).axes[1]
    assert "log scale" in bar.get_ylabel()


def test_the_rise_is_measured_from_the_straight_line() -> None:
    t = np.linspace(0, 1, 31)
    record = made.profile(loss=10 * t + np.where(np.arange(31) == 6, 3.0, 0.0))
    rise = rise_of(record)
    assert rise is not None and rise.at == pytest.approx(0.2) and rise.height == pytest.approx(record.barrier) == 3
    assert rise_of(made.profile(names=("seed 0",))) is None and rise_of(made.profile(peak=0.0)) is None
    written = [note["text"] for note in interactive.views(record)[0]["layout"]["annotations"]]
    assert any("rises 3 above" in text for text in written)
    assert any("rises 3 above" in text.get_text() for text in static.draw(record).axes[0].texts)


def test_names_stay_text() -> None:
    for name in ("hard names", "hard profile", "hard run"):
        for view in interactive.views(ODD[name]):
            text = json.dumps(view, ensure_ascii=False)
            assert "<b>" not in text and "</script" not in text and "\x1b" not in text
            assert "%{x}<" not in text.replace("%{x}<extra", "")
    label = static.draw(ODD["hard names"]).axes[0].get_xlabel()
    assert r"\$" in label and "\n" not in label


def test_themes_share_their_colours_one_by_one() -> None:
    assert len(set(LIGHT.colours)) == len(LIGHT.colours) == len(DARK.colours)
    dark = interactive.views(KINDS["pair"], DARK)[0]
    assert dark["data"][0]["line"]["color"] == DARK.lines[0] and dark["layout"]["paper_bgcolor"] == DARK.paper
    left = [c for c in LIGHT.colours if c not in DARK.colours and c in json.dumps(dark)]
    assert not left, left


def test_nothing_that_draws_is_loaded_before_a_figure() -> None:
    code = (
        "import sys, thalweg.plot, thalweg.report; "
        "print([m for m in ('matplotlib', 'plotly', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_pyplot_is_never_touched() -> None:
    code = "import sys; from tests.plot import made; from thalweg.plot import draw; draw(made.surface()); "
    code += "print('matplotlib.pyplot' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
