"""Curvature at one point as plotly figures that plotly accepts, and outliers as a figure."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.critical import Classify
from thalweg.curvature import Density, Outliers, Sharpness
from thalweg.plot import DARK, interactive, static
from thalweg.records import Outliers as OutliersRecord
from thalweg.records import Record
from thalweg.report.captions import reading


@pytest.fixture(scope="module")
def records() -> dict[str, Record]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    rows = torch.randn(40, 3).double(), torch.randint(0, 3, (40,))
    objective = tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), rows)
    methods = (Density(probes=2, steps=10), Classify(), Sharpness(draws=4), Outliers(k=8))
    made = [method(objective, objective.initial) for method in methods]
    return {record.record_type: record for record in made}


def test_every_record_of_curvature_at_a_point_has_views_that_plotly_takes(records: dict[str, Record]) -> None:
    for name, record in records.items():
        for view in interactive.views(record, DARK):
            figure = go.Figure({"data": view["data"], "layout": view["layout"]})
            assert figure.data and figure.layout.xaxis.title.text, name
        assert reading(record), name


def test_views_hold_what_the_records_hold(records: dict[str, Record]) -> None:
    bounds = interactive.figure(records["density"], "Distribution")["data"]
    assert [line["y"][-1] for line in bounds][1] == pytest.approx(1)
    dots = interactive.figure(records["classification"])["data"]
    assert sum(len(trace["x"]) for trace in dots) == records["classification"].data["eigenvalues"].size
    outliers = records["outliers"]
    assert isinstance(outliers, OutliersRecord)
    above, *_ = interactive.figure(outliers)["data"]
    assert len(above["x"]) == outliers.count
    axes = static.draw(outliers).axes
    assert axes[0].get_yscale() == "log" and len(axes[1].patches) == outliers.data["eigenvalues"].size
