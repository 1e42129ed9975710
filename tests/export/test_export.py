"""Files for other programs: every array bit for bit, every refusal one line, nothing half-written."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import thalweg as tw
from tests.export import made as mine
from tests.export.vtk_reader import read
from tests.plot import made
from tests.store.conftest import HARMS
from thalweg.errors import InputError, StoreError
from thalweg.export import FORMATS, load, save, to_xarray
from thalweg.export.plane import along, principal
from thalweg.export.vtk import image
from thalweg.records import Record, pack

RECORDS = mine.every()


def same(one: Record, other: Record) -> None:
    first, second = pack(one), pack(other)
    assert first[0] == second[0] and set(first[1]) == set(second[1])
    for name, array in first[1].items():
        assert array.dtype == second[1][name].dtype
        np.testing.assert_array_equal(array, second[1][name])


@pytest.mark.parametrize("name", RECORDS)
def test_an_npz_file_is_read_back_to_an_equal_record(name: str, tmp_path: Path) -> None:
    record, file = RECORDS[name], tmp_path / "record.npz"
    assert tw.export.save(record, file) == file
    same(record, load(file))
    with np.load(file) as held:  # NumPy alone reads it too
        for key, array in record.data.items():
            np.testing.assert_array_equal(held[key], array)
        assert json.loads(held["thalweg.json"])["kind"] == record.record_type
    assert (tmp_path / "again.npz").write_bytes(save(record, tmp_path / "two.npz").read_bytes())
    assert file.read_bytes() == (tmp_path / "two.npz").read_bytes()


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_any_grid_survives_npz_and_vti(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    n = data.draw(st.tuples(st.integers(2, 6), st.integers(2, 6)))
    values = data.draw(hnp.arrays(np.float64, n, elements=st.floats(width=64)))
    record = made.surface(lambda a, b: values, n=n, trajectory=False)
    folder = tmp_path_factory.mktemp("grid")
    same(record, load(save(record, folder / "a.npz")))
    found = read(save(record, folder / "a.vti").read_bytes())
    np.testing.assert_array_equal(found.point_data["loss"].reshape(n[::-1]).T, record.loss)


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_npz_file_is_refused_in_one_line(harm: str, tmp_path: Path) -> None:
    file = save(made.surface(), tmp_path / "record.npz")
    HARMS[harm](file)
    with pytest.raises(StoreError) as error:
        load(file)
    assert "record.npz" in str(error.value) and "\n" not in str(error.value)


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", x=np.zeros(3))
    with pytest.raises(StoreError, match=r"no member thalweg\.json"):
        load(tmp_path / "plain.npz")
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as file:
        file.writestr("thalweg.json", json.dumps({"kind": "poem", "schema": 1, "fields": {}}))
    with pytest.raises(StoreError, match="'poem' is unknown"):
        load(tmp_path / "odd.npz")
    pickled = tmp_path / "pickled.npz"
    record = made.spectrum()
    save(record, pickled)
    with zipfile.ZipFile(pickled, "a") as file, file.open("evil.npy", "w") as member:
        np.lib.format.write_array(member, np.array([object()], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match="allow_pickle"):
        load(pickled)
    with pytest.raises(StoreError, match=r"give an \.npz, or \.h5"):
        load(tmp_path / "x.txt")


@pytest.mark.parametrize("name", ["surface", "plane", "holes", "topology", "profile"])
def test_an_image_holds_every_array_of_its_grid(name: str, tmp_path: Path) -> None:
    record = RECORDS[name]
    found = read(save(record, tmp_path / "grid.vti").read_bytes())
    main = "values" if name == "topology" else "loss"
    shape = record.data[main].shape
    assert found.kind == "ImageData" and found.extent[1::2] == [n - 1 for n in (*shape, 1, 1)[:3]]
    held = {k for k, a in record.data.items() if a.shape == shape and k != "coordinates"}
    assert set(found.point_data) == held and main in held
    for key in held:
        np.testing.assert_array_equal(found.point_data[key].reshape(shape[::-1]).T, record.data[key])
    origin, spacing = (np.array(found.attributes[k].split(), dtype=float) for k in ("Origin", "Spacing"))
    index = np.indices(shape).reshape(len(shape), -1).T
    places = record.data["coordinates"].reshape(len(index), -1)
    np.testing.assert_allclose(origin[: len(shape)] + index * spacing[: len(shape)], places, atol=1e-12)
    assert json.loads(found.strings["thalweg"])["fields"]["provenance"]["seed"] == record.provenance.seed
    assert found.strings["summary"] == record.summary and found.strings["guarantee"] == "sampled"


def test_a_volume_keeps_its_order() -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    vectors = np.stack([values, -values, values**2], axis=-1)
    content = image((2, 3, 4), (0, 0, 0), (1, 1, 1), {"f": values, "v": vectors, "ok": values > 3}, {}, "f")
    found = read(content)
    x, y, z = 1, 2, 3
    assert found.point_data["f"][x + 2 * (y + 3 * z)] == values[x, y, z]
    assert found.point_data["v"][x + 2 * (y + 3 * z)].tolist() == vectors[x, y, z].tolist()
    assert found.point_data["ok"].dtype == np.uint8 and found.extent == [0, 1, 0, 2, 0, 3]
    with pytest.raises(InputError, match="complex128: VTK holds real numbers"):
        image((2, 3, 4), (0, 0, 0), (1, 1, 1), {"f": values * 1j}, {}, "f")


def test_a_surface_is_a_mesh_raised_by_its_loss_with_path_and_marks(tmp_path: Path) -> None:
    record = made.surface()
    found = read(save(record, tmp_path / "surface.vtp").read_bytes())
    n, path, marks = record.loss.size, record.data["path"], record.marks
    assert len(found.points) == n + len(path) + len(marks)
    assert found.cells["Lines"] == [list(range(n, n + len(path)))]
    assert found.cells["Verts"] == [[n + len(path) + i] for i in range(len(marks))]
    assert len(found.cells["Polys"]) == (record.loss.shape[0] - 1) * (record.loss.shape[1] - 1)
    np.testing.assert_array_equal(found.points[:n, :2], record.data["coordinates"].reshape(n, 2))
    loss, warp = found.point_data["loss"], float(found.strings["warp"])
    np.testing.assert_array_equal(loss[:n], record.loss.reshape(-1))
    np.testing.assert_array_equal(loss[n : n + len(path)], record.data["path_loss"])
    np.testing.assert_allclose(found.points[:, 2], (loss - loss.min()) * warp)
    assert np.ptp(found.points[:, 2]) == pytest.approx(0.5 * 2.5)
    assert found.point_data["part"].tolist() == [0] * n + [1] * len(path) + [2] * len(marks)
    for corners in found.cells["Polys"]:  # each is a grid cell, walked around
        at = found.points[corners, :2]
        area = 0.5 * np.sum(at[:, 0] * np.roll(at[:, 1], -1) - at[:, 1] * np.roll(at[:, 0], -1))
        assert area == pytest.approx((2.5 / 12) * (2 / 8))


def test_every_run_on_a_plane_is_a_line_of_its_own(tmp_path: Path) -> None:
    record = made.surface()
    owner = (np.arange(len(record.data["path"])) >= 5).astype(int)
    both = dataclasses.replace(record, data={**record.data, "path_run": owner}, runs=("a", "b"))
    n = record.loss.size
    lines = read(save(both, tmp_path / "both.vtp").read_bytes()).cells["Lines"]
    assert lines == [[n + i for i in range(5)], [n + i for i in range(5, len(owner))]]


def test_cells_that_touch_a_hole_are_left_out(tmp_path: Path) -> None:
    record = RECORDS["holes"]
    found = read(save(record, tmp_path / "holes.vtp").read_bytes())
    finite = np.isfinite(record.loss)
    whole = finite[1:, 1:] & finite[1:, :-1] & finite[:-1, 1:] & finite[:-1, :-1]
    assert len(found.cells["Polys"]) == whole.sum() < whole.size
    assert np.isfinite(found.points).all() and np.isnan(found.point_data["loss"]).sum() == record.nonfinite


@pytest.mark.parametrize("count", [2, 3])
def test_a_simplex_is_a_triangle_or_a_line_raised_by_its_loss(count: int, tmp_path: Path) -> None:
    record = simplex(count)
    found = read(save(record, tmp_path / "mixtures.vtp").read_bytes())
    np.testing.assert_array_equal(found.point_data["loss"], record.loss)
    np.testing.assert_array_equal(
        np.stack([found.point_data[f"w{i + 1}"] for i in range(count)], axis=1), record.weights
    )
    finite = np.isfinite(record.loss)
    rise = (record.loss - record.loss[finite].min()) * float(found.strings["warp"])
    np.testing.assert_allclose(found.points[finite, 2], rise[finite], atol=1e-12)
    if count == 2:
        assert [len(line) for line in found.cells["Lines"]] == [5]
        return
    corners = found.points[[int(cell[0]) for cell in found.cells["Verts"]], :2]
    np.testing.assert_allclose(found.points[:, :2], record.weights @ corners[[0, 1, 2]], atol=1e-12)
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    np.testing.assert_allclose(sides, 1.0)
    used = np.concatenate(found.cells["Polys"])
    assert not (~finite)[used].any() and len(found.cells["Polys"]) == 16 - 6  # the lattice less those at the hole


def test_a_simplex_is_a_table_of_its_weights(tmp_path: Path) -> None:
    rows = _rows(save(record := simplex(4), tmp_path / "mixtures.csv"))
    for name, column in (("loss", record.loss), *((f"w{i + 1}", record.weights[:, i]) for i in range(4))):
        np.testing.assert_array_equal([float(row[name]) for row in rows], column)
    with pytest.raises(InputError, match="4 points has no height"):
        save(record, tmp_path / "mixtures.vtp")


@pytest.mark.parametrize("curve", ["polyline", "bezier"])
def test_a_path_is_a_line_at_its_losses(curve: str, tmp_path: Path) -> None:
    record = mine.path(curve)
    found = read(save(record, tmp_path / "path.vtp").read_bytes())
    assert found.cells["Lines"] == [list(range(13))]
    np.testing.assert_array_equal(found.point_data["loss"], record.data["loss"])
    np.testing.assert_array_equal(found.point_data["accuracy"], record.data["accuracy"])
    ends, _ = principal(record.data["knots"])
    np.testing.assert_allclose(found.points[[0, -1], :2], ends[[0, -1]], atol=1e-12)
    assert json.loads(found.strings["methods"]) == ["string"] and sum(json.loads(found.strings["explained"])) <= 1


def test_curves_between_knots_are_those_of_the_room_of_paths() -> None:
    import torch

    from thalweg.paths.curve import Bezier, Polyline

    knots, t = np.random.default_rng(0).normal(size=(5, 3)), np.linspace(0, 1, 17)
    times = np.array([0, 0.1, 0.4, 0.8, 1.0])
    held = torch.from_numpy(knots)
    line = Polyline(held, torch.from_numpy(times)).theta(t)
    np.testing.assert_allclose(along(knots, t, "polyline", times), line, atol=1e-12)
    np.testing.assert_allclose(along(knots, t, "bezier"), Bezier(held).theta(t), atol=1e-12)


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (2, 3), (1, 4)])
def test_principal_components_keep_what_a_plane_can(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=shape) * np.linspace(3, 1, shape[1])
    places, shares = principal(x)
    u, s, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    total = (s**2).sum()
    for i in range(min(2, len(s))):
        np.testing.assert_allclose(np.abs(places[:, i]), np.abs(u[:, i] * s[i]), atol=1e-7)
        assert shares[i] == pytest.approx(s[i] ** 2 / total if total else 0.0, abs=1e-9)


def test_a_run_and_a_connection_are_a_line_each(tmp_path: Path) -> None:
    record = RECORDS["run"]
    t, b = record.data["loss"].shape
    found = read(save(record, tmp_path / "run.vtp").read_bytes())
    assert [len(line) for line in found.cells["Lines"]] == [t] * b
    for i, line in enumerate(found.cells["Lines"]):
        np.testing.assert_array_equal(found.point_data["loss"][line], record.data["loss"][:, i])
        np.testing.assert_array_equal(found.point_data["step"][line], record.data["steps"])
        assert set(found.point_data["descent"][line]) == {i}
    both = read(save(RECORDS["connection"], tmp_path / "both.vtp").read_bytes())
    assert len(both.cells["Lines"]) == 2 and json.loads(both.strings["methods"]) == ["string", "curve"]


@pytest.mark.parametrize("name", RECORDS)
def test_a_dataset_holds_every_array_with_names_and_provenance(name: str) -> None:
    pytest.importorskip("xarray")
    record = RECORDS[name]
    found = to_xarray(record)
    for key, array in record.data.items():
        if key == "coordinates" and "a" in found.coords:
            continue
        np.testing.assert_array_equal(found[key].values, array)
    assert found.attrs["kind"] == record.record_type and found.attrs["summary"] == record.summary
    assert json.loads(found.attrs["thalweg"])["fields"]["provenance"]["backend"] == "loop"


def test_a_surfaces_axes_are_coordinates_that_say_what_they_are() -> None:
    pytest.importorskip("xarray")
    record = made.surface()
    found = to_xarray(record)
    assert found["loss"].dims == ("a", "b") and found["path"].dims == ("path_point", "path_axis")
    np.testing.assert_array_equal(found["a"], record.axes[0])
    np.testing.assert_array_equal(found["b"], record.axes[1])
    assert found["a"].attrs == {"long_name": "coefficient along PC 1", "units": "1", "direction_norm": 1.0}
    assert float(found["loss"].sel(a=1.5, b=-1.0)) == record.loss[-1, 0]
    assert to_xarray(made.run())["loss"].dims == ("step", "descent")
    assert to_xarray(made.topology())["births"].dims == ("basin",)


@pytest.mark.parametrize("name", RECORDS)
def test_netcdf_gives_the_arrays_back(name: str, tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    record = RECORDS[name]
    save(record, tmp_path / "record.nc")
    with xarray.open_dataset(tmp_path / "record.nc") as found:
        for key in set(found.data_vars) & set(record.data):
            np.testing.assert_array_equal(found[key].values, record.data[key])
        assert json.loads(found.attrs["thalweg"])["kind"] == record.record_type


def test_netcdf_renames_what_it_would_take_for_a_group(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    record = made.surface(trajectory=False)
    named = dataclasses.replace(record, data={**record.data, "acc/train": record.loss + 1})
    with xarray.open_dataset(save(named, tmp_path / "a.nc")) as found:
        np.testing.assert_array_equal(found["acc_train"].values, record.loss + 1)
    both = {**record.data, "acc/train": record.loss, "acc_train": record.loss}
    with pytest.raises(InputError, match="no longer told apart"):
        save(dataclasses.replace(record, data=both), tmp_path / "b.nc")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nc"]


def test_xarray_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(InputError, match=r"pip install 'thalweg\[xarray\]'"):
        to_xarray(made.surface())


def test_tables_are_read_back_bit_for_bit(tmp_path: Path) -> None:
    record = made.surface()
    rows = _rows(save(record, tmp_path / "a.csv"))
    assert list(rows[0])[:3] == ["a", "b", "loss"] and len(rows) == record.loss.size
    assert [float(r["loss"]) for r in rows] == record.loss.reshape(-1).tolist()
    assert [float(r["b"]) for r in rows] == record.data["coordinates"][..., 1].reshape(-1).tolist()
    basins = _rows(save(RECORDS["topology"], tmp_path / "b.csv"))
    assert basins[0]["death"] == "" and len(basins) == RECORDS["topology"].count  # type: ignore[attr-defined]
    assert [float(r["birth"]) for r in basins] == RECORDS["topology"].data["births"].tolist()
    run = _rows(save(RECORDS["run"], tmp_path / "c.csv"))
    assert len(run) == RECORDS["run"].data["loss"].size and {"step", "descent", "loss"} <= set(run[0])
    assert len(_rows(save(made.spectrum(), tmp_path / "d.csv"))) == 6
    assert len(_rows(save(mine.path(), tmp_path / "e.csv"))) == 13
    assert [r["method"] for r in _rows(save(mine.connection(), tmp_path / "f.csv"))] == ["string", "curve"]


def test_pictures_and_pages(tmp_path: Path) -> None:
    record = made.topology()
    for ending, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        assert save(record, tmp_path / f"a.{ending}").read_bytes().startswith(start)
    html = save(record, tmp_path / "a.html").read_text()
    assert "Content-Security-Policy" in html and record.summary.split(";")[0] in html
    assert save(record, tmp_path / "figure", format="png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    surface = made.surface()
    uneven = dataclasses.replace(surface, data={**surface.data, "coordinates": _uneven(surface)})
    for record, name, said in (
        (surface, "a.obj", "'obj' is unknown: choose png, svg"),
        (surface, "plain", "has no ending"),
        (made.spectrum(), "a.vti", "spectrum record lies on no grid"),
        (made.spectrum(), "a.vtp", "no shape in space"),
        (uneven, "a.vti", "axis 1 are not equally spaced"),
    ):
        with pytest.raises(InputError, match=said):
            save(record, tmp_path / name)
    with pytest.raises(StoreError, match="is a folder"):
        save(surface, tmp_path, format="csv")
    with pytest.raises(StoreError, match=r"nowhere/a\.csv cannot be written"):
        save(surface, tmp_path / "nowhere" / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_the_room_loads_neither_torch_nor_what_draws() -> None:
    code = (
        "import sys, thalweg as t; t.export.FORMATS; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'matplotlib', 'plotly', 'xarray', 'h5py', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert set(FORMATS) == {"png", "svg", "pdf", "html", "vti", "vtp", "npz", "nc", "csv"}


def simplex(count: int) -> Record:
    """A polynomial's values at the mixtures of unit vectors, with a hole inside where there is an inside."""
    function = tw.Function(lambda x: (x * torch.arange(1.0, count + 1)).square().sum(), count)
    record = tw.slices.Simplex(steps=5)(function, *torch.eye(count, dtype=torch.float64))
    hole = (record.weights == np.array([0.5, *[0.25] * 2, *[0.0] * (count - 3)])[:count]).all(axis=1) & (count == 3)
    loss = np.where(hole, np.nan, record.loss)
    return dataclasses.replace(record, data={**record.data, "loss": loss})


def _uneven(record: Record) -> np.ndarray:
    found = np.array(record.data["coordinates"])
    found[3, :, 0] += 0.05
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
