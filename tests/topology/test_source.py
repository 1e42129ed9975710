"""What basins are measured against when no error is given: what the record states of itself."""

from __future__ import annotations

import dataclasses
from statistics import NormalDist

import numpy as np
import pytest

import thalweg as tw
from tests.export import made as mine
from tests.plot import made
from thalweg.errors import InputError
from thalweg.records import Topology
from thalweg.slices import Plane, Refine, Sample
from thalweg.topology import Basins, simultaneous, sublevel


def test_a_path_is_a_line_of_its_points() -> None:
    record = Basins()(mine.path())
    path = mine.path()
    assert record.source == "path" and record.connectivity == 2 and record.axes == ("t",)
    assert record.data["births"].tolist() == sublevel(path.data["loss"]).births.tolist()
    np.testing.assert_array_equal(record.data["coordinates"][:, 0], path.data["t"])
    assert record.marks == path.provenance.points == ("seed 0",)
    accuracy = Basins(field="accuracy")(path)
    assert accuracy.basins[0]["birth"] == path.data["accuracy"].min()


def test_two_ends_of_a_path_hold_together_at_its_maximum() -> None:
    ends = made.provenance("String", ("a", "b"))
    path = mine.path()
    record = Basins()(dataclasses.replace(path, provenance=ends))
    (pair,) = record.joined
    assert record.marks == ("a", "b") and pair[:3] == (0, 1, path.data["loss"].max())


def test_what_was_interpolated_is_as_sure_as_its_estimated_error() -> None:
    f = tw.Function(lambda x: (3 * x[0]).sin() * (2 * x[1]).cos(), 2)
    plane = Plane(steps=33, fill=Refine(tolerance=0.02))(f, np.zeros(2))
    assert plane.evaluated < plane.points
    record = Basins()(plane)
    assert record.error_source == "interpolation" and record.error >= plane.interpolation_error  # type: ignore[operator]
    inside = np.asarray(plane.data["evaluated"], dtype=bool)
    assert (record.data["errors"][inside] < 1e-9).all() and (record.data["errors"][~inside] > 0).all()
    assert "estimated error of interpolation" in record.summary
    assert Basins(error=0.0)(plane).error_source == "given"


def test_a_sampled_slice_is_measured_against_intervals_that_hold_at_all_cells_at_once() -> None:
    risk = tw.zoo.digits()
    plane = Plane(steps=9, fill=Sample(rows=200))(risk, risk.initial)
    record = Basins()(plane)
    assert record.error_source == "intervals" and "the error of sampling, at most" in record.summary
    half = (plane.data["upper"] - plane.data["lower"]) / 2
    level = plane.sampling.level  # type: ignore[union-attr]
    expected = simultaneous(half / NormalDist().inv_cdf((1 + level) / 2))
    np.testing.assert_allclose(record.data["errors"], expected, rtol=1e-9)
    known = half > 0
    assert (record.data["errors"][known] > half[known]).all()  # 81 cells at once cost more than one


def test_an_interpolated_metric_needs_an_error() -> None:
    risk = tw.zoo.digits()
    plane = Plane(steps=17, fill=Refine(tolerance=0.05))(risk, risk.initial)
    assert plane.evaluated < plane.points
    with pytest.raises(InputError, match="'accuracy' was interpolated without an error estimate: give error="):
        Basins(field="accuracy")(plane)
    assert isinstance(Basins(field="accuracy", error=0.01)(plane), Topology)


def test_other_records_are_refused() -> None:
    with pytest.raises(InputError, match="not on a spectrum record"):
        Basins()(made.spectrum())  # type: ignore[arg-type]
