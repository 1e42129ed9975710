"""The record of a slice's basins: what it says, how it travels, and what it was made from."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

import thalweg as tw
from thalweg import records
from thalweg.errors import InputError
from thalweg.records import Guarantee, Mark, Surface, TopologyStatus
from thalweg.topology import Basins, sublevel


def double_well() -> tw.Function:
    """Minima at (±1, 0), the right one lower; the pass between them near (0, 0) at about 1."""
    return tw.Function(lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2 - 0.1 * x[0], 2)


def surface(steps: int = 41) -> Surface:
    f = double_well()
    return tw.slices.Plane(steps=steps, half_width=2.0)(f, np.zeros(2))


def changed(record: Surface, loss: np.ndarray | None = None, marks: tuple[Mark, ...] | None = None) -> Surface:
    data = {**record.data, "loss": record.loss if loss is None else loss}
    return dataclasses.replace(record, data=data, marks=record.marks if marks is None else marks)


def test_two_wells_of_a_surface() -> None:
    source = surface()
    record = tw.topology.Basins()(source)
    tree = sublevel(source.loss)
    assert record.count == 2 and record.pieces == 1 and record.connectivity == 4 and record.source == "surface"
    first, second = record.basins
    assert list(first) == ["birth", "death", "persistence", "area", "survives"]
    assert first["death"] is None and first["persistence"] is None and first["area"] == 41 * 41
    assert first["birth"] == source.loss_min and second["death"] == tree.deaths[1]
    assert 0 < second["area"] < 41 * 41 and second["persistence"] == second["death"] - second["birth"]
    np.testing.assert_allclose(np.abs(record.data["places"]), [[1, 0], [1, 0]], atol=0.15)
    assert record.data["minima"].shape == record.data["saddles"].shape == (2, 2)
    assert record.data["saddles"][0].tolist() == [-1, -1]
    assert source.loss[tuple(record.data["saddles"][1])] == second["death"]
    assert record.status is TopologyStatus.COMPLETE and record.guarantee is Guarantee.SAMPLED
    assert record.surviving == 2 and record.cost.units == 0
    assert record.provenance.method["name"] == "Basins"
    assert record.provenance.method["of"] == source.provenance.method
    assert record.provenance.fingerprint == source.provenance.fingerprint
    assert "2 basins on 41×41 cells with 4 neighbours" in record.summary


def test_an_error_says_which_basins_survive() -> None:
    source = surface()
    record = Basins(error=0.1)(source)
    assert record.survives.tolist() == [True, True]
    assert [b["survives"] for b in Basins(error=0.6)(source).basins] == [True, False]
    each = Basins(error=np.full((41, 41), 0.1))(source)
    np.testing.assert_allclose(each.data["margins"], record.data["margins"])
    assert each.error == record.error == 0.1 and each.provenance.method["error"] == "array[41, 41]"
    assert record.data["errors"] == 0.1 and each.data["errors"].shape == (41, 41)
    assert "2 more than the error given, 0.1;" in record.summary


def test_without_an_error_rounding_is_no_basin() -> None:
    f = tw.Function(lambda x: 1.0 + 1e-6 * x[0], 2)
    source = tw.slices.Plane(steps=21)(f, np.zeros(2))
    noise = np.random.default_rng(0).uniform(-1, 1, (21, 21)) * source.provenance.tolerance
    loss = source.loss * (1 + noise)
    loss[3, 3] -= 1e-3
    record = Basins()(changed(source, loss))
    assert record.error_source == "rounding" and record.error == source.provenance.tolerance * loss.max()
    assert record.count > record.surviving == 2 and "errors" not in record.data
    first, second = record.data["minima"][record.survives].tolist()
    assert first == [3, 3] and second[0] == 0  # the planted cell, and the low end of the ramp
    flat = Basins()(changed(source, 1 + noise))
    assert flat.count > 20 and flat.surviving == 1 and Basins(error=0.0)(changed(source, 1 + noise)).surviving > 20


def test_a_record_travels_through_json() -> None:
    record = Basins(error=0.1, connectivity=8)(surface(11))
    metadata, arrays = records.pack(record)
    again = records.unpack(json.loads(json.dumps(metadata, allow_nan=False)), arrays)
    assert isinstance(again, records.Topology)
    assert again.basins == record.basins and again.summary == record.summary and again.connectivity == 8
    for name, array in record.arrays().items():
        np.testing.assert_array_equal(again.data[name], array)
    assert json.dumps(record.basins, allow_nan=False)


def test_marked_points_are_joined_by_minimax_paths() -> None:
    source = surface()
    marks = (Mark("left", (-1.0, 0.0), 0.1), Mark("right", (1.02, 0.01), -0.1), Mark("off", (9.0, 0.0), 0.0))
    record = Basins()(changed(source, marks=marks))
    assert record.marks == ("left", "right", "off")
    assert record.data["mark_cells"].tolist()[2] == [-1, -1] and np.isnan(record.data["mark_levels"][2]).all()
    level = record.data["mark_levels"][0, 1]
    assert level == record.data["deaths"][1] == record.data["mark_levels"][1, 0]
    path = record.data["path_0_1"]
    assert max(source.loss[tuple(cell)] for cell in path) == level
    assert path[0].tolist() == record.data["mark_cells"][0].tolist() == [10, 20]
    assert path[-1].tolist() == record.data["mark_cells"][1].tolist() == [30, 20]
    assert "path_0_2" not in record.data


def test_a_line_between_two_points_has_a_path_and_a_level() -> None:
    f = double_well()
    source = tw.slices.Line(steps=21)(f, np.array([-1.0, 0.0]), np.array([1.0, 0.0]))
    record = Basins()(source)
    assert record.connectivity == 2 and record.count == 2 and record.source == "profile"
    assert record.data["mark_levels"][0, 1] == source.loss.max() == record.basins[1]["death"]
    assert record.data["path_0_1"].ravel().tolist() == list(range(21))
    np.testing.assert_allclose(record.data["places"].ravel(), [1, 0])


def test_holes_are_counted_and_cut_the_grid_apart() -> None:
    source = surface()
    loss = np.array(source.loss)
    loss[20] = np.nan
    record = Basins(error=0.1)(changed(source, loss, (Mark("a", (-1.0, 0.0), 0.0), Mark("b", (0.0, 0.0), 0.0))))
    assert record.status is TopologyStatus.HOLES and record.holes == 41 and record.pieces == 2
    assert [b["death"] for b in record.basins] == [None, None] and (record.data["labels"][20] == -1).all()
    assert record.data["mark_cells"][1].tolist() == [-1, -1]  # its cell is a hole
    assert "2 pieces" in record.summary
    nothing = Basins(error=0.1)(changed(source, np.full((41, 41), np.inf)))
    assert nothing.status is TopologyStatus.EMPTY and nothing.guarantee is None and nothing.basins == []
    assert "none of them finite" in nothing.summary


def test_basins_of_a_metric() -> None:
    risk = tw.zoo.digits()
    source = tw.slices.Line(steps=5)(risk, risk.initial)
    record = Basins(field="accuracy")(source)
    assert record.field == "accuracy" and record.basins[0]["birth"] == source.data["accuracy"].min()
    with pytest.raises(InputError, match="field='error' is not on this profile: it has loss, accuracy"):
        Basins(field="error")(source)


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="error=-1"):
        Basins(error=-1.0)
    with pytest.raises(InputError, match="connectivity=6 is not of a 2-D grid: choose 4 or 8"):
        Basins(connectivity=6)(surface(5))
    with pytest.raises(InputError, match=r"error has shape \(2,\)"):
        Basins(error=np.zeros(2))(surface(5))


def test_the_room_loads_no_torch() -> None:
    code = "import sys, thalweg.topology as t; t.sublevel([1.0, 0.0]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
