"""HDF5 surface files of the original repository: written here as its own loop writes them, then read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.store.conftest import flip, truncate
from thalweg.errors import InputError, StoreError, ThalwegWarning
from thalweg.export import load, read_surface_file, save
from thalweg.records import Profile, SliceStatus, Surface
from thalweg.topology import Basins

h5py = pytest.importorskip("h5py")


def loss_at(a: float, b: float = 0.0) -> float:
    return 1.0 + a + 10.0 * b


def written(path: Path, nx: int = 5, ny: int | None = 5, until: int | None = None, loss: Callable = loss_at) -> Path:
    """A file as plot_surface.py makes it: coordinates, −1 everywhere, then value after value by flat index."""
    x = np.linspace(-1, 1, nx)
    with h5py.File(path, "w") as file:
        file["dir_file"] = f"{path.parent}/net_weights_xignore=biasbn_xnorm=filter.h5"
        file["xcoordinates"] = x
        if ny is not None:
            file["ycoordinates"] = np.linspace(-1, 2, ny)
        shape = (nx,) if ny is None else (nx, ny)
        losses, accuracies = -np.ones(shape), -np.ones(shape)
        for index in range(losses.size if until is None else until):
            if ny is None:
                value = loss(x[index])
            else:
                across, up = np.meshgrid(x, np.linspace(-1, 2, ny))
                value = loss(across.ravel()[index], up.ravel()[index])
            losses.ravel()[index], accuracies.ravel()[index] = value, 90.0
        file["train_loss"], file["train_acc"] = losses, accuracies
    return path


def directions(folder: Path, pca: bool = False) -> list[np.ndarray]:
    """The file of directions as net_plotter.setup_direction makes it: a group of numbered tensors each."""
    rng = np.random.default_rng(0)
    vectors = []
    with h5py.File(folder / "net_weights_xignore=biasbn_xnorm=filter.h5", "w") as file:
        for name in ("xdirection", "ydirection"):
            group, parts = file.create_group(name), []
            for i, shape in enumerate([(3, 2), (3,), (2, 3), ()] * 3):  # more than ten: '10' sorts before '2'
                tensor = rng.normal(size=shape).astype(np.float32)
                group.create_dataset(str(i), data=tensor)
                parts.append(tensor.reshape(-1).astype(float))
            vectors.append(np.concatenate(parts))
        if pca:
            file["explained_variance_ratio_"] = np.array([0.8, 0.15])
    return vectors


def test_a_square_plane_has_its_axes_in_order(tmp_path: Path) -> None:
    record = load(written(tmp_path / "surf.h5"))
    assert isinstance(record, Surface) and record.metrics == ("train_acc",)
    assert record.center is None and np.isnan(record.center_loss)  # y goes from −1 to 2 in 5 steps and skips 0
    x, y = record.axes
    np.testing.assert_array_equal(record.loss, 1 + x[:, None] + 10 * y[None, :])
    assert record.loss[4, 0] == loss_at(1.0, -1.0) and record.status is SliceStatus.COMPLETE
    assert (record.data["train_acc"] == 90).all() and "accuracies are in percent" in record.provenance.notes
    assert record.provenance.points == ("surf",) and record.provenance.statistics == "freeze"
    assert "tomgoldstein/loss-landscape" in record.provenance.backend


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (2, 9)])
def test_a_plane_that_is_not_square_is_put_into_order_with_a_warning(shape: tuple[int, int], tmp_path: Path) -> None:
    with pytest.warns(ThalwegWarning, match="look at the picture"):
        record = read_surface_file(written(tmp_path / "surf.h5", *shape))
    x, y = record.data["coordinates"][:, 0, 0], record.data["coordinates"][0, :, 1]
    assert record.loss.shape == shape
    np.testing.assert_array_equal(record.loss, 1 + x[:, None] + 10 * y[None, :])
    with h5py.File(tmp_path / "surf.h5") as file:  # neither orientation of what the file holds is right
        held = file["train_loss"][()]
    assert not np.array_equal(held, record.loss) and not np.array_equal(held.reshape(shape), record.loss)


def test_what_was_not_computed_is_a_counted_hole(tmp_path: Path) -> None:
    record = read_surface_file(written(tmp_path / "surf.h5", until=17))
    assert record.nonfinite == 8 and record.status is SliceStatus.NONFINITE
    assert "8 of 25 values of train_loss were not computed" in record.provenance.notes
    # the loop runs through x first: the last line of y is the one that is missing
    assert (
        np.isnan(record.loss[:, 4]).all()
        and np.isnan(record.loss[2:, 3]).all()
        and np.isfinite(record.loss[:2, 3]).all()
    )
    assert Basins()(record).holes == 8


def test_a_loss_of_minus_one_that_has_an_accuracy_is_a_value(tmp_path: Path) -> None:
    file = written(tmp_path / "surf.h5", until=17, loss=lambda a, b: -1.0)
    record = read_surface_file(file)
    assert record.nonfinite == 8 and (record.loss[np.isfinite(record.loss)] == -1).all()
    with h5py.File(file, "a") as held:
        del held["train_acc"]
    assert read_surface_file(file).nonfinite == 25  # nothing tells the two apart


def test_a_curve_and_another_loss(tmp_path: Path) -> None:
    file = written(tmp_path / "curve.h5", nx=11, ny=None)
    with h5py.File(file, "a") as held:
        held["test_loss"], held["min_eig"] = np.arange(11.0), np.where(np.arange(11) < 3, -2.0, 1.0)
    record = read_surface_file(file)
    assert isinstance(record, Profile) and record.center == (5,) and record.center_loss == 1.0
    assert record.metrics == ("min_eig", "test_loss", "train_acc")
    assert np.isnan(record.data["min_eig"][3:]).all() and (record.data["min_eig"][:3] == -2).all()
    assert read_surface_file(file, loss="test_loss").loss.tolist() == list(range(11))
    with pytest.raises(
        InputError, match="no array 'val_loss': choose one of min_eig, test_loss, train_acc, train_loss"
    ):
        read_surface_file(file, loss="val_loss")


@pytest.mark.parametrize("pca", [False, True])
def test_directions_beside_the_file_give_norms_and_cosine(pca: bool, tmp_path: Path) -> None:
    one, two = directions(tmp_path, pca)
    record = read_surface_file(written(tmp_path / "surf.h5"))
    np.testing.assert_allclose(record.directions.norms, [np.linalg.norm(one), np.linalg.norm(two)])
    np.testing.assert_allclose(record.directions.cosines, [one @ two / np.linalg.norm(one) / np.linalg.norm(two)])
    assert record.directions.explained == ((0.8, 0.15) if pca else None)
    with pytest.raises(StoreError, match=r"surf\.h5 is no file of 2 directions"):
        read_surface_file(tmp_path / "surf.h5", directions=tmp_path / "surf.h5")


def test_without_directions_nothing_is_claimed_of_them(tmp_path: Path) -> None:
    record = read_surface_file(written(tmp_path / "surf.h5"))
    assert np.isnan(record.directions.norms).all() and record.directions.cosines == ()


@pytest.mark.parametrize("ending", ["png", "html", "npz", "vti", "vtp", "csv", "nc"])
def test_such_a_record_goes_into_every_format(ending: str, tmp_path: Path) -> None:
    record = read_surface_file(written(tmp_path / "surf.h5", until=20))
    assert save(record, tmp_path / f"out.{ending}").stat().st_size > 100
    if ending == "npz":
        np.testing.assert_array_equal(load(tmp_path / "out.npz").data["loss"], record.loss)


@pytest.mark.parametrize(
    "harm", [flip, truncate, lambda p: p.write_bytes(b""), lambda p: p.write_text("no file"), Path.unlink]
)
def test_a_broken_file_is_one_clear_line_or_still_itself(harm: Callable[[Path], None], tmp_path: Path) -> None:
    file = written(tmp_path / "surf.h5")
    whole = read_surface_file(file)
    harm(file)
    try:
        found = read_surface_file(file)
    except StoreError as error:
        assert "surf.h5" in str(error) and "\n" not in str(error)
    else:  # HDF5 keeps no checksums by itself: a changed bit of a value is a value
        assert harm is flip and found.loss.shape == whole.loss.shape


def test_other_files_are_refused(tmp_path: Path) -> None:
    def made(**arrays: np.ndarray) -> Path:
        with h5py.File(tmp_path / "odd.h5", "w") as file:
            for name, array in arrays.items():
                file[name] = array
        return tmp_path / "odd.h5"

    x = np.linspace(-1, 1, 5)
    with pytest.raises(StoreError, match="no xcoordinates"):
        load(made(train_loss=np.zeros(5)))
    with pytest.raises(StoreError, match="do not increase"):
        load(made(xcoordinates=x[::-1], train_loss=np.zeros(5)))
    with pytest.raises(StoreError, match=r"train_loss has shape \(4,\) and the coordinates \(5,\)"):
        load(made(xcoordinates=x, train_loss=np.zeros(4)))
    with pytest.raises(InputError, match="no array 'train_loss': choose one of none"):
        load(made(xcoordinates=x))


def test_h5py_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"pip install 'thalweg\[hdf5\]'"):
        load(tmp_path / "surf.h5")
