"""Directions of curvature, and directions kept: bit for bit what they were, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import thalweg as tw
from thalweg.core.directions import Dense
from thalweg.core.evaluate import Evaluator, Inline, Outcome, Plan
from thalweg.core.rng import Stream
from thalweg.curvature import Lanczos
from thalweg.errors import CheckpointError, InputError
from thalweg.plot import static
from thalweg.records import Guarantee
from thalweg.slices import (
    Line,
    Plane,
    RandomDirections,
    directions_of,
    eigen_directions,
    load_directions,
    principal,
    save_directions,
)


def saddle(size: int = 200) -> tuple[tw.Function, torch.Tensor]:
    """½ xᵀAx + Σ x⁴ / 100 with eigenvalues −4, −1, then 0 to 3, then 7 and 20, and its eigenvectors as rows."""
    values = torch.cat([torch.tensor([-4.0, -1.0]), torch.linspace(0, 3, size - 4), torch.tensor([7.0, 20.0])]).double()
    rows = torch.linalg.qr(torch.randn(size, size, generator=Stream(0).torch(), dtype=torch.float64)).Q
    matrix = rows.T @ (values.unsqueeze(1) * rows)
    return tw.Function(lambda x: x @ matrix @ x / 2 + x.pow(4).sum() / 100, size), rows


def test_eigenvectors_are_those_of_the_dense_hessian() -> None:
    function, rows = saddle()
    for which, wanted in (("LA", (-1, -2)), ("SA", (0, 1)), ("BE", (-1, 0)), ("LM", (-1, -2))):
        found = eigen_directions(function, function.initial, 2, lanczos=Lanczos(which=which, tol=1e-9))  # type: ignore[arg-type]
        dense = found.dense()
        for row, i in zip(dense, wanted, strict=True):
            assert abs(float(row @ rows[i])) == pytest.approx(1, rel=1e-12)
            assert float(row[row.abs().argmax()]) > 0  # the sign is arbitrary, and always the same
        np.testing.assert_allclose(found.recipe["eigenvalues"], [(-4, -1, 7, 20)[i] for i in wanted])
    assert found.summary().norms == pytest.approx((1, 1)) and abs(found.summary().cosines[0]) < 1e-12


def test_f_along_an_eigenvector_curves_by_its_eigenvalue_and_the_record_counts_the_products() -> None:
    function, _ = saddle()
    plain = Line(steps=3, half_width=1e-3)(function, function.initial)
    record = Line(steps=3, half_width=1e-3, directions=Lanczos(tol=1e-9))(function, function.initial)
    curvature = (record.loss[0] - 2 * record.loss[1] + record.loss[2]) / 1e-6
    assert curvature == pytest.approx(20, rel=1e-5) and record.directions.labels == ("eigenvector, λ = 20",)
    assert record.cost.products > 10 and plain.cost.products == 0
    assert record.provenance.method["directions"]["name"] == "Lanczos"
    both = Plane(steps=3, half_width=1e-3, directions=Lanczos(which="BE", tol=1e-9))(function, function.initial)
    across = (both.loss[1, 0] - 2 * both.loss[1, 1] + both.loss[1, 2]) / 1e-6
    assert across == pytest.approx(-4, rel=1e-5)


def test_what_lanczos_does_not_know_is_noted_on_the_picture() -> None:
    twice = tw.Function(lambda x: 3 * (x[0] ** 2 + x[1] ** 2) + (x[2:] ** 2).sum(), 5)
    record = Plane(steps=3, directions=Lanczos())(twice, twice.initial)
    assert record.provenance.notes == (
        "eigenvalues 6 and 6 cannot be told apart: the plane is theirs, its axes are not",
    )
    function, _ = saddle()
    hurried = Line(steps=3, directions=Lanczos(max_products=3, basis=30))(function, function.initial)
    assert "budget of products, gradients or seconds ended" in hurried.provenance.notes[0]
    assert any("budget of products" in line for line in static.footer(hurried))
    settled = Line(steps=3, directions=Lanczos())(function, function.initial)
    assert not settled.provenance.notes and settled.guarantee is Guarantee.SAMPLED


def test_what_has_no_eigenvectors_is_refused() -> None:
    function, _ = saddle()
    for k in (0, 201):
        with pytest.raises(InputError, match=f"k={k}"):
            eigen_directions(function, function.initial, k)
    broken = tw.Function(lambda x: (x - 1).abs().sqrt().sum() * torch.nan, 3)
    with pytest.raises(InputError, match="nothing is claimed"):
        eigen_directions(broken, broken.initial, 1)


def cases() -> dict[str, tuple[Plane | Line, int]]:
    """Methods whose record's recipe is enough, and how many points each is given."""
    return {
        "random": (Plane(steps=2), 1),
        "random line": (Line(steps=2, norm="layer", biases="scale"), 1),
        "as drawn": (Plane(steps=2, norm=None, orthogonal=False), 1),
        "whole": (Plane(steps=2, norm="whole"), 1),
        "eigen": (Plane(steps=2, directions=Lanczos(which="BE")), 1),
        "two points": (Plane(steps=2), 2),
        "segment": (Line(steps=2), 2),
        "three points": (Plane(steps=2), 3),
    }


@pytest.fixture(scope="module", params=[torch.float32, torch.float64], ids=["float32", "float64"])
def nets(request: pytest.FixtureRequest) -> list[tw.EmpiricalRisk]:
    inputs = torch.randn(12, 2, 5, 5, generator=Stream(0).torch())
    found = []
    for seed in range(3):
        torch.manual_seed(seed)
        conv, head = nn.Conv2d(2, 4, 3, groups=2), nn.Linear(4 * 9, 3)
        model = nn.Sequential(conv, nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), head)
        risk = tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), (inputs, torch.arange(12) % 3))
        found.append(risk.to(request.param))
    return found


class Watching(Evaluator):
    """Sees along which directions a plan is evaluated, by their digest."""

    digest = ""

    def __call__(self, plan: Plan) -> Outcome:
        self.digest = plan.settings["directions"]
        return Inline()(plan)


@pytest.mark.parametrize("name", cases())
def test_a_records_recipe_and_both_files_give_the_directions_bit_for_bit(
    name: str, nets: list[tw.EmpiricalRisk], tmp_path: Path
) -> None:
    method, many = cases()[name]
    risk, points = nets[0], [net.initial for net in nets[:many]]
    watching = Watching()
    record = method(risk, *points, rng=5, evaluate=watching)
    made = directions_of(record, risk, *points)
    assert watching.digest == made.digest() and made.labels == record.directions.labels
    assert made.summary().norms == pytest.approx(record.directions.norms, rel=1e-12)
    for file in (tmp_path / "d.json", tmp_path / "d.safetensors"):
        found = load_directions(save_directions(made, file), risk, *points)
        assert found.digest() == made.digest() and found.labels == made.labels and found.recipe == made.recipe
    assert (tmp_path / "d.json").stat().st_size < 2_000
    if name != "as drawn":  # Gaussian directions are the same at every point
        with pytest.raises(InputError, match=r"made at point|at \d points"):
            directions_of(record, risk, *(nets[2].initial for _ in points))


WORDS = {
    "random": "random, each filter scaled to theta's, biases at zero, orthogonalised; norms ",
    "random line": "random, each layer scaled to theta's, biases scaled; norms ",
    "as drawn": "random, Gaussian as drawn, biases at zero, independent; norms ",
    "whole": "random, scaled to the norm of theta, biases at zero, orthogonalised; norms ",
    "eigen": "eigenvectors of the Hessian, eigenvalues ",
    "two points": "between points, and random, each filter scaled to theta's, biases at zero; norms ",
    "segment": "between points; norms ",
    "three points": "between points; norms ",
}


@pytest.mark.parametrize("name", cases())
def test_the_figure_says_what_its_directions_are(name: str, nets: list[tw.EmpiricalRisk]) -> None:
    method, many = cases()[name]
    record = method(nets[0], *(net.initial for net in nets[:many]), rng=5)
    text = "\n".join(static.footer(record))
    assert f"directions: {WORDS[name]}" in text and "guarantee: sampled" in text and str(record.cost) in text
    assert f"seed 5/{'line' if record.loss.ndim == 1 else 'plane'}" in text
    for cosine in record.directions.cosines:
        assert f"{cosine:.1e}" in text
    for norm in record.directions.norms:
        assert f"{norm:.3g}" in text
    assert ("(residuals at most " in text) == (name == "eigen")
    assert ("centre at index" in text) == (record.center is not None)


def test_gaussian_directions_belong_to_no_point(nets: list[tw.EmpiricalRisk]) -> None:
    record = Plane(steps=2, norm=None)(nets[0], nets[0].initial)
    here = directions_of(record, nets[0], nets[0].initial)
    assert (
        here.digest()
        == directions_of(record, nets[1], nets[1].initial).digest()
        == directions_of(record, nets[0]).digest()
    )


def test_the_same_point_in_another_precision_is_the_same_point() -> None:
    risk = tw.zoo.digits()
    record = Plane(steps=2)(risk, risk.initial)
    double = risk.to(torch.float64)
    found = directions_of(record, double, double.initial).dense()
    torch.testing.assert_close(found.float(), directions_of(record, risk, risk.initial).dense(), rtol=1e-6, atol=1e-9)


def test_another_network_or_point_is_refused(tmp_path: Path) -> None:
    risk, other = tw.zoo.digits(), tw.zoo.polynomial()
    for ending in ("json", "safetensors"):
        made = RandomDirections(risk.space, risk.initial.theta, 2, Stream(0))
        file = save_directions(made, tmp_path / f"d.{ending}")
        with pytest.raises(InputError, match="other networks"):
            load_directions(file, other, other.initial)
        with pytest.raises(InputError, match="made at point"):
            load_directions(file, risk, risk.initial.theta + 1e-3)
        with pytest.raises(InputError, match="at 1 points, 0 were given"):
            load_directions(file, risk)
    with pytest.raises(InputError, match="make them for this objective"):
        Plane(steps=2, directions=made)(other, other.initial)
    with pytest.raises(InputError, match="2 directions were given: 1 is needed"):
        Line(steps=2, directions=made)(risk, risk.initial)


def test_two_networks_can_be_drawn_along_the_same_directions_and_the_record_says_whose() -> None:
    risk, other = tw.zoo.digits(), tw.zoo.digits(seed=1).initial
    made = RandomDirections(risk.space, risk.initial.theta, 2, Stream(0))
    here, there = (Plane(steps=2, directions=made)(risk, point) for point in (risk.initial, other))
    assert here.directions == there.directions and not here.provenance.notes and not made.notes
    (note,) = there.provenance.notes
    assert note == f"the directions were made at another point ({risk.space.digest(risk.initial.theta)})"


def test_vectors_are_kept_by_value_and_go_with_any_point(tmp_path: Path) -> None:
    risk = tw.zoo.digits(dtype=torch.float64)
    rows = torch.randn(2, risk.space.size, generator=Stream(0).torch(), dtype=torch.float64)
    given = Dense(risk.space, rows, labels=("mine", "yours"))
    with pytest.raises(InputError, match="no recipe's"):
        save_directions(given, tmp_path / "d.json")
    with pytest.raises(InputError, match=r"\.json \(recipe\) or \.safetensors"):
        save_directions(given, tmp_path / "d.pt")
    file = save_directions(given, tmp_path / "d.safetensors")
    assert load_file(file)["0.weight"].shape == (2, 32, 64)  # any reader finds them by the parameter's name
    found = load_directions(file, risk, risk.initial.theta + 1)
    assert torch.equal(found.dense(), rows) and found.labels == ("mine", "yours")
    record = Plane(steps=2, directions=found)(risk, risk.initial)
    with pytest.raises(InputError, match="'given' cannot be made from a recipe"):
        directions_of(record, risk, risk.initial)
    line = principal(risk.space, torch.stack([risk.initial.theta, risk.initial.theta + rows[0], rows[1]]), rows[1])
    again = load_directions(save_directions(line, file), risk)
    assert again.explained == line.explained and again.digest() == line.digest()
    assert Plane(steps=2, directions=again)(risk, risk.initial).directions.explained == line.explained


def test_a_spectrum_gives_its_eigenvectors_and_only_at_its_point() -> None:
    risk = tw.zoo.digits(dtype=torch.float64)
    spectrum = Lanczos(k=3)(risk, risk.initial)
    found = directions_of(spectrum, risk, risk.initial, k=2)
    direct = eigen_directions(risk, risk.initial, 2)
    assert torch.equal(found.dense() @ direct.dense().T > 0.99, torch.eye(2, dtype=torch.bool))
    with pytest.raises(InputError, match="it is of another point"):
        directions_of(spectrum, risk, risk.initial.theta * 1.5)
    with pytest.raises(InputError, match="keeps 3 eigenvectors: 4 are needed"):
        directions_of(spectrum, risk, risk.initial, k=4)
    run = tw.descent.Descent(steps=2)(risk, risk.initial)
    with pytest.raises(InputError, match="run record has no directions"):
        directions_of(run, risk, risk.initial)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    risk = tw.zoo.digits()
    made = RandomDirections(risk.space, risk.initial.theta, 2, Stream(0))
    good = json.loads(save_directions(made, tmp_path / "good.json").read_text())
    values = save_directions(made, tmp_path / "good.safetensors").read_bytes()
    files = {
        "missing.json": None,
        "empty.json": b"",
        "list.json": b"[1, 2]",
        "foreign.json": b'{"a": 1}',
        "short.json": json.dumps({k: v for k, v in good.items() if k != "recipe"}).encode(),
        "cut.safetensors": values[: len(values) // 2],
        "binary.json": bytes(range(256)),
    }
    for name, content in files.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=name) as raised:
            load_directions(tmp_path / name, risk, risk.initial)
        assert "\n" not in str(raised.value)
    for changed, word in (
        ({**good, "recipe": {**good["recipe"], "seed": 1}}, "the directions are others"),
        ({**good, "recipe": {k: v for k, v in good["recipe"].items() if k != "seed"}}, "recipe is incomplete"),
    ):
        (tmp_path / "changed.json").write_text(json.dumps(changed))
        with pytest.raises(InputError, match=word):
            load_directions(tmp_path / "changed.json", risk, risk.initial)
