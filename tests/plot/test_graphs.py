"""Figures of graphs of minima and of instability: joints at the tree's levels, stairs by hand, both themes."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.plot.made import provenance
from thalweg.plot import DARK, LIGHT, Theme, interactive, static
from thalweg.plot.graphs import joints, stairs
from thalweg.plot.scale import scale_of
from thalweg.records import Cost, GraphStatus, Instability, InstabilityStatus, MinimaGraph, Record
from thalweg.report.captions import reading


def graph(n: int = 4) -> MinimaGraph:
    """Minima at 0, 1, 2, … joined in a row at 3, 4, 5, …; the last one by nothing."""
    values = np.arange(n, dtype=float)
    edges = np.array([(i, i + 1) for i in range(n - 2)] + [(n - 2, n - 1)])
    levels = np.append(np.arange(n - 2) + 3.0 + n, np.nan)
    minimax = np.full((n, n), np.inf)
    np.fill_diagonal(minimax, values)
    for i in range(n - 1):
        for j in range(i):
            minimax[i, j] = minimax[j, i] = levels[j:i].max()
    return MinimaGraph(
        data={
            "values": values,
            "edges": edges,
            "levels": levels,
            "tree": np.arange(n - 2),
            "minimax": minimax,
        },
        status=GraphStatus.PARTIAL,
        cost=Cost(forwards=5),
        provenance=provenance("MinimaGraph"),
        names=tuple(f"a rather long name of minimum {i} <b>" for i in range(n)),
        connector="AutoNEB",
        guarantees=("adaptive",) * (n - 1),
        why=("disconnected",) * (n - 1),
    )


def instability(forks: tuple[int, ...] = (0, 10, 40, 400), pairs: int = 3) -> Instability:
    alphas = np.linspace(0, 1, 9)
    rise = np.array([0.4 / (1 + k) for k in forks])[:, None, None] * np.linspace(1, 1.5, pairs)[None, :, None]
    return Instability(
        data={"forks": np.array(forks), "alphas": alphas, "errors": 0.05 + rise * np.sin(np.pi * alphas)},
        status=InstabilityStatus.STABLE,
        cost=Cost(backwards=5),
        provenance=provenance("Instability"),
        field="error",
        threshold=0.02,
        steps=500,
        evaluated_on="test",
    )


RECORDS: dict[str, Record] = {
    "graph": graph(),
    "many": graph(30),
    "instability": instability(),
    "one fork": instability((0,), 1),
    "no fork": instability((), 1),
}


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_both_kinds_of_figure_are_drawn(name: str, theme: Theme) -> None:
    assert static.render(RECORDS[name], "png", theme, dpi=40).startswith(b"\x89PNG")
    for view in interactive.views(RECORDS[name], theme):
        assert json.loads(json.dumps(view, allow_nan=False)) == view and "<b>" not in json.dumps(view)
        go.Figure(data=view["data"], layout=view["layout"])
    assert reading(RECORDS[name])


def test_joints_lie_at_the_levels_and_between_their_branches() -> None:
    record = graph()
    at, found = joints(record)
    assert at == {0: 0.0, 1: 1.0, 2: 2.0, 3: 3.0}
    assert [j.level for j in found] == [7.0, 8.0]
    assert found[0].left == (0.0, 0.0) and found[0].right == (1.0, 1.0)
    assert found[1].left == (0.5, 7.0) and found[1].right == (2.0, 2.0)
    np.testing.assert_array_equal(found[0].outline, [(0, 0), (0, 7), (1, 7), (1, 1)])


def test_stairs_count_components() -> None:
    record = graph()
    across, up = stairs(record, scale_of(np.array([0.0, 8.0])))
    assert across.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 2, 2]
    assert up[:-1].tolist() == [0, 1, 1, 2, 2, 3, 3, 7, 7, 8, 8] and up[-1] > 8


def test_instability_says_where_it_becomes_stable() -> None:
    record = instability()
    assert record.mean[0] == pytest.approx(0.5) and record.stable_from == 40
    assert np.isnan(instability((0,), 1).noise).all() and instability((), 1).stable_from is None
