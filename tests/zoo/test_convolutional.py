"""Image networks as subjects: normalised at the start, one value by every backend, data by name."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
from tests.conftest import TOLERANCE
from tests.zoo.test_cifar import write_cifar
from tests.zoo.test_zoo import write_idx
from thalweg.core.statistics import Recalibrate
from thalweg.zoo import networks
from thalweg.zoo.cifar import CIFAR10, CIFAR100

SMALL = dict(rows=24, width=0.25, dtype=torch.float64)


@pytest.mark.parametrize("norm", ["batch", "layer", "group", None])
@pytest.mark.parametrize("skip", [True, False])
def test_every_backend_gives_the_values_of_the_loop(norm: str | None, skip: bool) -> None:
    risk = tw.zoo.resnet(norm=norm, skip=skip, **SMALL)
    generator = torch.Generator().manual_seed(0)
    thetas = risk.initial.theta + 0.05 * torch.randn(3, risk.space.size, generator=generator, dtype=torch.float64)
    expected = risk.with_backend("loop").evaluate(thetas)
    for backend in ("vmap", "stacked"):
        other = risk.with_backend(backend)
        found = other.evaluate(thetas)
        assert other.backend[0] == backend
        for name, values in expected.items():
            torch.testing.assert_close(found[name], values, **TOLERANCE[torch.float64])
    assert float(expected["loss"].std()) > 1e-6


def test_the_densenet_too() -> None:
    risk = tw.zoo.densenet(10, 3, rows=24, dtype=torch.float64)
    thetas = torch.stack([risk.initial.theta, 0.9 * risk.initial.theta])
    expected = risk.with_backend("loop").evaluate(thetas)["loss"]
    for backend in ("vmap", "stacked"):
        other = risk.with_backend(backend)
        torch.testing.assert_close(other.evaluate(thetas)["loss"], expected, **TOLERANCE[torch.float64])
        assert other.backend[0] == backend


@pytest.mark.parametrize("name", ["resnet", "densenet"])
@pytest.mark.parametrize("norm", ["batch", "layer", "group", None])
def test_the_first_loss_is_near_that_of_guessing(name: str, norm: str | None) -> None:
    risk = tw.zoo.build(name, norm=norm, rows=200)
    assert abs(float(risk.losses(risk.initial.theta[None])) - math.log(10)) < 0.3


def test_running_statistics_are_those_of_the_rows_at_the_start() -> None:
    """Frozen, they give what the rows' own statistics give; torch's zeros and ones would not."""
    risk = tw.zoo.resnet(20, rows=100, width=0.25, dtype=torch.float64)
    theta = risk.initial.theta[None]
    frozen = float(risk.losses(theta))
    recalibrated = float(risk.with_statistics(Recalibrate()).losses(theta))
    assert math.isclose(frozen, recalibrated, rel_tol=1e-12)
    bare = networks.resnet(20, channels=1, width=0.25, dtype=torch.float64)
    assert torch.equal(nn.utils.parameters_to_vector(bare.parameters()), theta[0])
    untouched = tw.EmpiricalRisk(bare, nn.CrossEntropyLoss(), (risk.table.inputs, risk.table.targets))
    assert abs(float(untouched.losses(theta)) - frozen) > 0.1


def test_without_skips_the_point_is_the_same_and_the_landscape_is_not() -> None:
    risk, plain = (tw.zoo.resnet(norm="layer", skip=skip, **SMALL) for skip in (True, False))
    assert torch.equal(risk.initial.theta, plain.initial.theta)
    gap = risk.outputs(risk.initial) - plain.outputs(plain.initial)
    assert float(gap.abs().max()) > 0.1


def test_products_are_second_derivatives_of_the_loss() -> None:
    """Hv of a smooth ResNet against differences of gradients, under frozen statistics."""
    risk = tw.zoo.resnet(activation="softplus", **SMALL)
    theta = risk.initial.theta
    vector = torch.randn(len(theta), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = risk.linearized(theta[None]).hvp(vector[None, None])[0, 0]
    _, gradients = risk.value_and_grad(torch.stack([theta + 1e-5 * vector, theta - 1e-5 * vector]))
    expected = (gradients[0] - gradients[1]) / 2e-5
    assert float((found - expected).norm()) < 1e-6 * float(expected.norm())


def test_digits_keep_their_pixels() -> None:
    flat, images = tw.zoo.digits(), tw.zoo.resnet()
    assert images.table.inputs.shape == (1797, 1, 8, 8) and images.row_count == 1797
    assert torch.equal(images.table.inputs.flatten(1), flat.table.inputs)
    assert torch.equal(images.table.targets, flat.table.targets)


def test_data_sets_by_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 6, 5))
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", pixels)
    write_idx(tmp_path / "train-labels-idx1-ubyte", rng.integers(0, 10, 30))
    for name in ("mnist", "fashion_mnist"):
        risk = tw.zoo.build("resnet", dataset=name, data=str(tmp_path), rows=20, width=0.25)
        torch.testing.assert_close(risk.table.inputs, torch.from_numpy(pixels[:20, None] / 255).float())
    for file in CIFAR10.train:
        write_cifar(tmp_path / file, CIFAR10, 4)
    write_cifar(tmp_path / "train.bin", CIFAR100, 5)
    ten = tw.zoo.build("resnet", dataset="cifar10", data=str(tmp_path), width=0.25)
    assert ten.table.inputs.shape == (20, 3, 32, 32)
    fine = tw.zoo.build("densenet", dataset="cifar100", data=str(tmp_path), depth=10, growth=2)
    assert fine.outputs(fine.initial).shape == (5, 100)


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    build = tw.zoo.build
    with pytest.raises(tw.errors.InputError, match=r"depth=12: .* 8 or 14"):
        build("resnet", depth=12)
    with pytest.raises(tw.errors.InputError, match="dataset='cifar' is unknown: choose 'digits'"):
        build("resnet", dataset="cifar")
    with pytest.raises(tw.errors.InputError, match="digits come with scikit-learn"):
        build("resnet", data=str(tmp_path))
    with pytest.raises(tw.errors.InputError, match="digits have one split"):
        build("densenet", split="test")
    with pytest.raises(tw.errors.DataError, match="cifar10 reads files that you provide"):
        build("resnet", dataset="cifar10")
    with pytest.raises(tw.errors.InputError, match="no parameter 'hidden'"):
        build("resnet", hidden=(3,))
    write_idx(tmp_path / "images-idx3-ubyte", np.zeros((3, 4, 4)))
    write_idx(tmp_path / "labels-idx1-ubyte", np.array([0, 1, 46]))
    with pytest.raises(tw.errors.DataError, match="label 46 is beyond the 10 classes of mnist"):
        build("mnist", data=str(tmp_path))
    write_idx(tmp_path / "images-idx3-ubyte", np.zeros((3, 4)))
    with pytest.raises(tw.errors.DataError, match=r"shape \[3, 4\]"):
        build("mnist", data=str(tmp_path))
