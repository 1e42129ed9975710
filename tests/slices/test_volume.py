"""Three directions: values against a plain loop, its cuts against planes, basins and files of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.export.vtk_reader import read
from thalweg.errors import InputError
from thalweg.slices import Volume
from thalweg.topology import Basins, sublevel


def wells(x: torch.Tensor) -> torch.Tensor:
    """Two wells, at (±1, 0.2, 0), the one on the left deeper."""
    return (x[0] ** 2 - 1) ** 2 + 0.3 * x[0] + (x[1] - 0.2) ** 2 + x[2] ** 2


def test_values_are_those_of_a_plain_loop() -> None:
    f = tw.Function(wells, 3)
    record = Volume(steps=(5, 4, 3), half_width=1.5)(f, np.zeros(3))
    assert record.record_type == "volume" and record.loss.shape == (5, 4, 3) and record.center is None
    for index in np.ndindex(5, 4, 3):
        at = record.data["coordinates"][index]
        assert record.loss[index] == pytest.approx(float(wells(torch.tensor(at))), rel=1e-12, abs=1e-12)
    assert record.data["coordinates"][4, 0, 2].tolist() == [1.5, -1.5, 1.5]
    assert record.cost.forwards == 61  # the point itself is evaluated once more


def test_directions_of_a_network_are_orthogonal_and_hold_the_rule() -> None:
    risk = tw.zoo.digits().to(torch.float64)
    record = Volume(steps=3)(risk, risk.initial)
    assert record.center == (1, 1, 1) and record.loss[1, 1, 1] == record.center_loss
    assert len(record.directions.cosines) == 3 and np.abs(record.directions.cosines).max() < 1e-12
    directions = tw.slices.directions_of(record, risk, risk.initial)
    thetas = risk.initial.theta + torch.tensor([[1.0, -1.0, 0.0]], dtype=torch.float64) @ directions.dense()
    np.testing.assert_allclose(record.loss[2, 0, 1], float(risk.losses(thetas)[0]), rtol=1e-9)


def test_its_basins_are_found_and_measured(tmp_path: Path) -> None:
    record = Volume(steps=15, half_width=1.5)(tw.Function(wells, 3), np.zeros(3))
    found = Basins()(record)
    assert found.connectivity == 6 and found.source == "volume" and found.count == found.surviving == 2
    np.testing.assert_allclose(found.data["places"], [[-1, 0.2, 0], [1, 0.2, 0]], atol=3 / 14)  # a cell
    assert found.basins[1]["death"] == sublevel(record.loss).deaths[1]
    assert Basins(connectivity=26)(record).basins[1]["death"] <= found.basins[1]["death"]
    tw.plot.save(found, tmp_path / "basins.png")
    image = read(tw.export.save(found, tmp_path / "basins.vti").read_bytes())
    np.testing.assert_array_equal(image.point_data["labels"].reshape(15, 15, 15).T, found.data["labels"])
    assert tw.export.load(tw.export.save(record, tmp_path / "v.npz")).data["loss"].shape == (15, 15, 15)
    assert tw.export.to_xarray(record)["loss"].dims == ("a", "b", "c")


def test_what_is_no_volume_is_refused() -> None:
    with pytest.raises(InputError, match=r"steps=\(3, 3\)"):
        Volume(steps=(3, 3))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least 2 points"):
        Volume(steps=1)
    with pytest.raises(InputError):
        Volume(steps=3)(tw.Function(lambda x: x.sum(), 2), np.zeros(2))
