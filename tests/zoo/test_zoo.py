"""The zoo's facts hold, its files are read as they are, and damaged ones are refused."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.core.test_objectives import dense_hessian
from thalweg.zoo.datasets import load_both
from thalweg.zoo.idx import images, read_idx

FUNCTIONS = {"scalar_factorisation": 0, "scalar_chain": 0, "single_neuron": 0}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_facts_are_true(name: str) -> None:
    objective = tw.zoo.build(name)
    for point in objective.facts.critical_points:
        theta = torch.tensor(point.theta, dtype=torch.float64)
        value, gradient = objective.value_and_grad(theta[None])
        assert abs(float(value) - point.value) < 1e-14 and float(gradient.norm()) < 1e-14, point
        eigenvalues = torch.linalg.eigvalsh(dense_hessian(objective, theta))
        assert int((eigenvalues < -1e-12).sum()) == point.index, (point, eigenvalues)
        nearby = theta + 1e-2 * torch.randn(4000, len(theta), generator=torch.Generator().manual_seed(0))
        lowest = float(objective.losses(nearby).min())
        if point.kind == "global minimum":
            assert point.value == objective.facts.infimum
        if point.kind == "local minimum":
            assert lowest >= point.value - 1e-12 and point.value > objective.facts.infimum
        if "saddle" in point.kind:
            assert lowest < point.value, f"{point.name} of {name} has nothing below it nearby"


def test_deep_linear_is_half_the_mean_of_squared_norms() -> None:
    risk = tw.zoo.deep_linear(widths=(3, 2, 4), rows=7, noise=0.1)
    first, second = risk.space.unravel(risk.initial.theta).values()
    x, y = risk.table.inputs, risk.table.targets
    expected = 0.5 * ((x @ (second @ first).T - y) ** 2).sum(1).mean()
    torch.testing.assert_close(risk.losses(risk.initial.theta[None])[0], expected)


def test_polynomial_targets_and_openness() -> None:
    risk = tw.zoo.polynomial(coefficients=(0, 3, -10, 8), activation="tanh", biases=False, loss="absolute", rows=5)
    x = risk.table.inputs
    torch.testing.assert_close(risk.table.targets, 8 * x**3 - 10 * x**2 + 3 * x)
    assert risk.space.size == 4 + 16 + 4
    with pytest.raises(tw.errors.InputError, match="'cubic'"):
        tw.zoo.polynomial(loss="cubic")


def test_seeds_give_different_networks_on_the_same_digits() -> None:
    a, b = tw.zoo.digits(seed=0), tw.zoo.digits(seed=1)
    assert a.space.size == 64 * 32 + 32 + 32 * 32 + 32 + 32 * 10 + 10
    assert torch.equal(a.table.inputs, b.table.inputs) and not torch.equal(a.initial.theta, b.initial.theta)
    assert a.row_count == 1797 and torch.equal(a.initial.theta, tw.zoo.digits(seed=0).initial.theta)


def write_idx(path: Path, array: np.ndarray) -> Path:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    body = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(body) if path.suffix == ".gz" else body)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split, rows in (("train", 30), ("t10k", 11)):
        write_idx(tmp_path / f"{split}-images-idx3-ubyte.gz", rng.integers(0, 256, (rows, 4, 5)))
        write_idx(tmp_path / f"{split}-labels-idx1-ubyte", rng.integers(0, 3, rows))
    return tmp_path


def test_idx_files_are_found_by_their_ending_gzipped_or_not(folder: Path) -> None:
    pixels, labels = images(folder)
    assert pixels.shape == (30, 20) and float(pixels.min()) >= 0 and float(pixels.max()) <= 1
    assert images(folder, "test")[1].shape == (11,)
    risk = tw.zoo.mnist(str(folder), rows=8)
    assert risk.row_count == 8 and risk.metrics == ("accuracy",)
    for split in ("train", "t10k"):
        (folder / f"{split}-images-idx3-ubyte.gz").rename(folder / f"{split}-x")
    write_idx(folder / "images-idx3-ubyte.gz", np.zeros((30, 2, 2)))
    assert images(folder)[0].shape == (30, 4)


def test_of_a_single_pair_the_last_rows_are_held_out(folder: Path, tmp_path: Path) -> None:
    """Control: beside a test split the training rows are whole."""
    assert load_both("mnist", str(folder), test=4)[0].labels.shape == (30,)
    single = tmp_path / "single"
    single.mkdir()
    write_idx(single / "images-idx3-ubyte.gz", np.arange(12)[:, None, None] * np.ones((12, 2, 2)))
    write_idx(single / "labels-idx1-ubyte.gz", np.arange(12) % 10)
    images, held = load_both("mnist", str(single), test=4)
    assert images.labels.tolist() == list(range(8)) and held is not None and held.labels.tolist() == [8, 9, 0, 1]
    assert held.inputs[:, 0, 0, 0].mul(255).round().tolist() == [8, 9, 10, 11]
    assert len(load_both("mnist", str(single), rows=3, test=4)[0].labels) == 3
    with pytest.raises(tw.errors.InputError, match="mnist has 12 rows in all"):
        load_both("mnist", str(single), test=12)


def test_damaged_and_missing_files_are_refused(folder: Path) -> None:
    with pytest.raises(tw.errors.DataError, match="no such directory"):
        images(folder / "nowhere")
    with pytest.raises(tw.errors.DataError, match="--data"):
        tw.zoo.mnist()
    path = folder / "train-labels-idx1-ubyte"
    whole = path.read_bytes()
    for body, words in (
        (whole[:-3], "truncated"),
        (whole + b"x", "holds more"),
        (b"PK" + whole, "no IDX file"),
        (struct.pack(">HBBI", 0, 8, 1, 2**31 + 1), "header is damaged"),
        (b"", "cannot be read"),
    ):
        path.write_bytes(body)
        with pytest.raises(tw.errors.DataError, match=words):
            read_idx(path)
    write_idx(path, np.zeros(29))
    with pytest.raises(tw.errors.DataError, match="30 images and 29 labels"):
        images(folder)
    path.unlink()
    with pytest.raises(tw.errors.DataError, match=r"found: t10k-labels"):
        images(folder)


def test_unknown_names_and_parameters_are_refused() -> None:
    with pytest.raises(tw.errors.SubjectError, match="did you mean digits"):
        tw.zoo.build("digit")
    with pytest.raises(tw.errors.InputError, match="no parameter 'width'"):
        tw.zoo.build("digits", width=3)
    with pytest.raises(tw.errors.InputError, match="widths"):
        tw.zoo.build("deep_linear", widths=[3])


def test_test_rows_are_brought_where_they_are_asked_for() -> None:
    with pytest.raises(tw.errors.InputError, match="1,797 rows"):
        tw.zoo.digits(test=1797)
    with pytest.raises(tw.errors.InputError, match="test=-1"):
        tw.zoo.digits(test=-1)
    plain, held = tw.zoo.digits(), tw.zoo.digits(test=297)
    assert plain.test is None and plain.row_count == 1797
    assert held.test is not None and (held.row_count, held.test.row_count) == (1500, 297)
    assert torch.equal(torch.cat([held.table.inputs, held.test.table.inputs]), plain.table.inputs)
    conv = tw.zoo.resnet(rows=1600, test=297)
    assert conv.test is not None and (conv.row_count, conv.test.row_count) == (1500, 297)
    assert tw.zoo.resnet(rows=100, test=20).row_count == 100
