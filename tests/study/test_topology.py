"""Basins and exported files from the command line: of a subject, of a study, of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from tests.export import made as mine
from tests.plot import made
from tests.study.test_cli import answer, refused, run
from thalweg.records import Surface
from thalweg.store import Directory, read_record
from thalweg.topology import sublevel

Print = pytest.CaptureFixture[str]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with a rippled plane, a profile and a run."""
    marks = made.topology().marks
    plane = made.surface(made.wells, n=(31, 27), trajectory=False)
    with Directory.open(tmp_path / "study", {"command": "made"}, resume=False) as directory:
        directory.save_record("plane", plane)
        directory.save_record("run", made.run())
        directory.finish()
    assert len(marks) == 2
    return tmp_path / "study"


def test_a_subject_is_evaluated_and_both_records_are_kept(capsys: Print, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = answer(capsys, "topology", "polynomial", "--steps", 9, "--half-width", 1.5, "--norm", "none", "--out", out)
    plane = read_record(out / "records" / "plane.zarr")
    assert isinstance(plane, Surface) and plane.loss.shape == (9, 9) and plane.data["coordinates"].max() == 1.5
    tree = sublevel(plane.loss)
    assert [b["birth"] for b in found["basins"]] == tree.births.tolist()
    assert [b["area"] for b in found["basins"]] == tree.areas.tolist()
    assert found["basins"][0]["death"] is None and set(found["basins"][0]) >= {"birth", "death", "persistence", "area"}
    assert found["connectivity"] == 4 and found["error_source"] == "rounding" and found["source"] == "surface"
    assert found["guarantee"] == "sampled" and Path(found["record"]).is_dir() and found["nonfinite"] == 0
    assert (out / "topology.png").stat().st_size > 10_000
    again = answer(
        capsys, "topology", "polynomial", "--steps", 9, "--half-width", 1.5, "--norm", "none", "--out", out, "--resume"
    )
    assert again["basins"] == found["basins"]


def test_a_line_of_a_subject(capsys: Print) -> None:
    found = answer(capsys, "topology", "digits", "--line", "--steps", 7, "--field", "accuracy")
    assert found["source"] == "profile" and found["connectivity"] == 2 and found["field"] == "accuracy"
    risk = tw.zoo.digits(test=297)  # which commands hold out
    record = tw.slices.Line(steps=7)(risk, risk.initial)
    assert found["basins"][0]["birth"] == record.data["accuracy"].min()


def test_a_study_is_read_and_left_as_it_is(capsys: Print, study: Path, tmp_path: Path) -> None:
    before = sorted(str(p) for p in study.rglob("*"))
    plane = read_record(study / "records" / "plane.zarr")
    for source in (study, study / "records" / "plane.zarr"):  # of its two records one has basins
        found = answer(capsys, "topology", source)
        assert [b["death"] for b in found["basins"]][1:] == sublevel(plane.data["loss"]).deaths[1:].tolist()
    eight = answer(capsys, "topology", study, "--connectivity", 8, "--error", 0.05, "--out", tmp_path / "out")
    assert eight["connectivity"] == 8 and eight["error"] == 0.05 and eight["error_source"] == "given"
    assert eight["surviving"] == sum(b["survives"] for b in eight["basins"]) < len(eight["basins"])
    assert read_record(tmp_path / "out" / "records" / "topology.zarr").data["births"].size == len(eight["basins"])
    again = answer(
        capsys, "topology", study, "--connectivity", 8, "--error", 0.05, "--out", tmp_path / "out", "--resume"
    )
    assert again["basins"] == eight["basins"]
    assert sorted(str(p) for p in study.rglob("*")) == before


def test_the_text_has_the_table(capsys: Print, study: Path) -> None:
    code, out, _ = run(capsys, "topology", study)
    assert code == 0 and "More than the error" in out and "never" in out and "nothing was kept" in out


def test_a_file_is_a_source_too(capsys: Print, tmp_path: Path) -> None:
    file = tw.export.save(made.surface(made.wells, n=(31, 27), trajectory=False), tmp_path / "plane.npz")
    assert answer(capsys, "topology", file)["basins"] == made.topology().basins
    path = tw.export.save(mine.path(), tmp_path / "path.npz")
    assert answer(capsys, "topology", path)["source"] == "path"


def test_what_does_not_fit_is_refused_in_one_line(capsys: Print, study: Path, tmp_path: Path) -> None:
    for arguments, said in (
        ((study, "--steps", 5), "evaluated already: leave steps out"),
        ((study, "--line"), "leave line out"),
        ((study, "--checkpoint", "a.pt"), "leave checkpoints out"),
        ((study, "--record", "line"), "holds no record 'line': it has plane, run"),
        ((study, "--record", "run"), "run is a run record: basins are found on profiles, surfaces and paths"),
        ((study, "--connectivity", 6), "not of a 2-D grid: choose 4 or 8"),
        ((study, "--field", "accuracy"), "is not on this surface"),
        ((study, "--error", -1), "error=-1"),
        (("digits", "--record", "plane"), "digits is a subject"),
        (("polynomial", "--field", "accuracy"), "--field accuracy: a plane of polynomial has loss"),
        ((tmp_path, "--error", 0), "holds no record"),
    ):
        assert said in refused(capsys, "topology", *arguments)


@pytest.mark.parametrize("ending", ["png", "vti", "vtp", "npz", "csv", "html"])
def test_a_record_of_a_study_is_exported(ending: str, capsys: Print, study: Path, tmp_path: Path) -> None:
    file = tmp_path / f"out.{ending}"
    found = answer(capsys, "export", study, file, "--record", "plane")
    assert found["file"] == str(file) and found["bytes"] == file.stat().st_size > 1000 and found["kind"] == "surface"
    if ending == "npz":
        np.testing.assert_array_equal(
            tw.export.load(file).data["loss"], read_record(study / "records" / "plane.zarr").data["loss"]
        )


def test_exports_that_cannot_be_are_refused(capsys: Print, study: Path, tmp_path: Path) -> None:
    for arguments, said in (
        ((study, tmp_path / "a.png"), "holds 2 records (plane, run): name one by --record"),
        ((study, tmp_path / "a.obj", "--record", "plane"), "'obj' is unknown: choose png"),
        ((tmp_path / "no", tmp_path / "a.png"), "holds no record"),
        ((study, tmp_path / "a.vti", "--record", "run"), "lies on no grid"),
    ):
        assert said in refused(capsys, "export", *arguments)
    assert not list(tmp_path.glob("a.*"))


def test_the_page_shows_the_basins_of_the_plane(capsys: Print, tmp_path: Path) -> None:
    found = answer(capsys, "atlas", "digits", "--steps", 5, "--train-steps", 5, "--out", tmp_path / "atlas")
    assert found["sections"].index("basins") > found["sections"].index("between")
    html = (tmp_path / "atlas" / "index.html").read_text()
    assert 'id="basins"' in html and "More than the error" in html
    record = read_record(tmp_path / "atlas" / "records" / "basins-plane.zarr")
    plane = read_record(tmp_path / "atlas" / "records" / "plane.zarr")
    np.testing.assert_array_equal(record.data["values"], plane.data["loss"])
    between = read_record(tmp_path / "atlas" / "records" / "basins-joining.zarr")
    assert between.marks == ("seed 0", "seed 1") and between.joined[0][2] >= between.data["values"].min()


def test_a_volume_of_a_subject_and_its_file(capsys: Print, tmp_path: Path) -> None:
    found = answer(capsys, "topology", "digits", "--volume", "--steps", 4, "--out", tmp_path / "out")
    assert found["source"] == "volume" and found["connectivity"] == 6 and sum(b["area"] for b in found["basins"]) >= 64
    file = answer(capsys, "export", tmp_path / "out", tmp_path / "grid.vti", "--record", "volume")
    assert file["kind"] == "volume" and b'WholeExtent="0 3 0 3 0 3"' in (tmp_path / "grid.vti").read_bytes()
    assert "--line and --volume" in refused(capsys, "topology", "digits", "--volume", "--line")
    assert "--margin" in refused(capsys, "topology", "digits", "--volume", "--margin", 0.5)


def test_a_file_is_shown(capsys: Print, tmp_path: Path) -> None:
    file = tw.export.save(made.topology(), tmp_path / "basins.npz")
    shown = answer(capsys, "show", file)
    assert shown["kind"] == "topology" and shown["basins"] == made.topology().basins
    assert "or a file .npz, .h5, .hdf5" in refused(capsys, "show", tmp_path / "none")
