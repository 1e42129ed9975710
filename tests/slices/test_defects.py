"""What goes wrong in tools that draw loss surfaces, each on an input that shows it: none of it may happen here.

Every test carries its control: the mistake made on purpose, so that the input is seen to show it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import thalweg as tw
from thalweg.core.directions import Dense
from thalweg.core.objective import CHUNK_BYTES
from thalweg.core.recorded import Recorded
from thalweg.core.rng import Stream
from thalweg.core.space import ParameterSpace
from thalweg.core.subspace import Subspace
from thalweg.curvature import Lanczos
from thalweg.records import SliceStatus
from thalweg.slices import Line, Plane, RandomDirections, TrajectoryPlane, directions_of, grid, principal
from thalweg.store import Directory


class Normalised(nn.Module):
    """Two hidden layers with BatchNorm and dropout between them, as one trains them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.drop = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)
        self.two = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.drop(torch.relu(self.norm(self.one(x)))))


def trained(mode: bool = False) -> tuple[Normalised, tuple[Tensor, Tensor]]:
    """With running statistics that are not those of the start."""
    torch.manual_seed(0)
    model, x = Normalised().double(), 3 + torch.randn(24, 4, dtype=torch.float64)
    model.train()
    for _ in range(5):
        model(x)
    return model.train(mode), (x, torch.arange(24) % 3)


def spread(rows: Tensor, own: Tensor) -> tuple[float, float]:
    """The least and the largest ratio of norms, filter by filter, of [n, m] groups."""
    ratio = rows.norm(dim=1) / own.norm(dim=1)
    return float(ratio.min()), float(ratio.max())


@pytest.mark.parametrize("seed", range(3))
def test_the_plane_is_no_line(seed: int) -> None:
    """1. Orthogonal directions have a cosine of zero, not of ±1."""
    risk = tw.zoo.digits(dtype=torch.float64)
    for norm in (None, "filter"):
        record = Plane(steps=3, norm=norm)(risk, risk.initial, rng=seed)  # type: ignore[arg-type]
        assert abs(record.directions.cosines[0]) < 1e-12
    a, b = RandomDirections(risk.space, risk.initial.theta, 2, Stream(seed), None, orthogonal=False).dense()
    undivided = b - (a @ b) * a  # the projection without division by ‖a‖²
    assert abs(float(undivided @ a / undivided.norm() / a.norm())) > 0.99


def test_equal_calls_give_equal_values_and_none_is_replaced() -> None:
    """2. No noise on the maximum, no mean for NaN, no maximum for infinity."""

    def rough(x: Tensor) -> Tensor:
        return torch.where(x[0] > 0.7, torch.nan, 1 / (x[1] - 1).abs()) + x.square().sum()

    function = tw.Function(rough, 2)
    records = [Plane(steps=5)(function, function.initial) for _ in range(3)]
    for record in records:
        assert np.isnan(record.loss[4]).all() and np.isposinf(record.loss[:4, 4]).all()
        assert record.status is SliceStatus.NONFINITE and record.nonfinite == 9
        assert record.loss.tobytes() == records[0].loss.tobytes() and record.loss_max == records[0].loss_max
    finite = [float(rough(torch.tensor([a, b]))) for a in (-1, -0.5, 0, 0.5) for b in (-1, -0.5, 0, 0.5)]
    assert records[0].loss_max == max(finite)


@pytest.mark.parametrize("steps", range(2, 14))
def test_coordinates_reach_both_edges_and_mirror_each_other(steps: int) -> None:
    """3. The edge is ±half_width for any number of steps, and a centre is claimed only where there is one."""
    function = tw.Function(lambda x: x[0] + 10 * x[1], 2)
    record = Plane(steps=steps, half_width=0.7)(function, function.initial)
    for axis in record.axes:
        assert axis[0] == -0.7 and axis[-1] == 0.7 and np.array_equal(axis, -axis[::-1])
        np.testing.assert_allclose(np.diff(axis), 1.4 / (steps - 1), rtol=1e-12)
    assert record.center == ((steps // 2, steps // 2) if steps % 2 else None)
    a, b = record.data["coordinates"][..., 0], record.data["coordinates"][..., 1]
    np.testing.assert_allclose(record.loss, a + 10 * b, rtol=1e-12, atol=1e-15)  # where the values were had


def test_the_default_scales_filter_by_filter_and_the_record_says_so() -> None:
    """4. What a release normalises by is in its records, and two directions are two."""
    risk = tw.zoo.digits(dtype=torch.float64)
    record = Plane(steps=3)(risk, risk.initial)
    assert record.directions.recipe["norm"] == "filter" and record.provenance.versions["thalweg"] == tw.__version__
    assert record.loss.ndim == 2 and record.cost.forwards == 10  # nine points and F at the point itself
    rows, own = directions_of(record, risk, risk.initial), risk.space.unravel(risk.initial.theta)
    for name in ("0.weight", "2.weight", "4.weight"):
        low, high = spread(rows.block(name)[0], own[name])
        assert low == pytest.approx(1, rel=1e-12) and high == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("steps", [5, 6, (5, 6)])
def test_rows_are_not_shifted_against_each_other(steps: int | tuple[int, int]) -> None:
    """5. Every row has the same second coordinates, and the middle of the array is the point."""
    function = tw.Function(lambda x: x[1] + 0 * x[0], 2)
    record = Plane(steps=steps)(function, function.initial)
    assert (record.loss == record.loss[0]).all() and (np.diff(record.loss[0]) > 0).all()
    other = tw.Function(lambda x: x[0] + 0 * x[1], 2)
    turned = Plane(steps=steps)(other, other.initial).loss
    assert (turned == turned[:, :1]).all()
    if record.center is not None:
        assert record.loss[record.center] == record.center_loss == float(function.losses(torch.zeros(1, 2))[0])


def test_random_directions_have_no_common_part() -> None:
    """6. Gaussian, of mean zero: two are nearly orthogonal as drawn, and a bias's part is not the bias."""
    risk = tw.zoo.digits(dtype=torch.float64)
    theta = risk.initial.theta
    a, b = RandomDirections(risk.space, theta, 2, Stream(0), None, "scale", orthogonal=False).dense()
    ones = torch.ones_like(a)
    bound = 5 / risk.space.size**0.5  # five standard deviations of the cosine of two Gaussian vectors
    for one, two in ((a, b), (a, ones), (b, ones)):
        assert abs(float(one @ two / one.norm() / two.norm())) < bound
    positive = [torch.rand(risk.space.size, generator=Stream(i).torch(), dtype=torch.float64) for i in (0, 1)]
    assert float(positive[0] @ positive[1] / positive[0].norm() / positive[1].norm()) > 0.7  # the control
    scaled = RandomDirections(risk.space, theta, 2, Stream(0), biases="scale").block("0.bias")
    bias = theta[risk.space["0.bias"].span]
    assert not torch.allclose(scaled[0].abs(), bias.abs()) and not torch.allclose(scaled[0], scaled[1])
    torch.testing.assert_close(scaled.norm(dim=1), bias.norm().expand(2))


@pytest.mark.parametrize("mode", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("method", [Plane(steps=3), Line(steps=3), Plane(steps=3, directions=Lanczos())])
def test_the_users_model_is_left_as_it_was(method: Plane | Line, mode: bool) -> None:
    """7, 10. Bit for bit, buffers too, requiring gradients, and in the mode it was in."""
    model, data = trained(mode)
    before = copy.deepcopy(model.state_dict())
    handles = [p.data_ptr() for p in model.parameters()]
    risk = tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), data)
    record = method(risk, risk.initial)
    after = model.state_dict()
    assert all(after[name].numpy().tobytes() == value.numpy().tobytes() for name, value in before.items())
    assert [p.data_ptr() for p in model.parameters()] == handles
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert {m.training for m in model.modules()} == {mode}
    # and F is that of the network as it predicts, whatever mode it came in
    with torch.no_grad():
        expected = float(nn.functional.cross_entropy(copy.deepcopy(model).eval()(data[0]), data[1]))
    assert record.center_loss == pytest.approx(expected, rel=1e-12)


def test_a_line_between_two_points_begins_at_the_first_and_ends_at_the_second() -> None:
    """7. Neither end is left out."""
    one, two = (tw.zoo.digits(seed=i, dtype=torch.float64) for i in (0, 1))
    record = Line(steps=4)(one, one.initial, two.initial)
    ends = [float(one.losses(r.initial.theta[None])[0]) for r in (one, two)]
    assert record.loss[0] == ends[0] and record.loss[-1] == pytest.approx(ends[1], rel=1e-12)
    assert record.data["coordinates"][[0, -1]].tolist() == [0.0, 1.0]


def test_running_statistics_are_no_direction() -> None:
    """8, 14. A variance that is moved becomes negative and the picture NaN; only parameters are moved."""
    model, data = trained()
    risk = tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), data)
    assert set(risk.space.names) == {name for name, _ in model.named_parameters()}
    record = Plane(steps=9)(risk, risk.initial)
    assert record.nonfinite == 0 and record.provenance.statistics.startswith("freeze")
    moved = copy.deepcopy(model)
    with torch.no_grad():
        moved.norm.running_var -= 2 * moved.norm.running_var  # the control: what −2·d does to it
        assert bool(moved(data[0]).isnan().any())
    # curvature's directions are of parameters, too, and one-dimensional kernels are scaled by filter
    assert Plane(steps=3, directions=Lanczos())(risk, risk.initial).status is SliceStatus.COMPLETE
    conv = ParameterSpace.of_module(nn.Conv1d(2, 5, 3))
    theta = torch.randn(conv.size, generator=Stream(0).torch())
    block = RandomDirections(conv, theta, 1, Stream(1)).block("weight")[0]
    low, high = spread(block.flatten(1), theta[conv["weight"].span].reshape(5, -1))
    assert low == pytest.approx(1, rel=1e-6) and high == pytest.approx(1, rel=1e-6)


def test_what_is_drawn_is_what_the_moved_network_gives() -> None:
    """9. The perturbation is applied: no constant surface, and each value is that of a network so moved."""
    model, data = trained()
    risk = tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), data)
    record = Plane(steps=3)(risk, risk.initial)
    assert record.loss.std() > 1e-2
    rows = directions_of(record, risk, risk.initial).dense()
    moved = copy.deepcopy(model)
    for i, j in itertools.product(range(3), range(3)):
        c = torch.tensor(record.data["coordinates"][i, j])
        moved.load_state_dict({**model.state_dict(), **risk.space.unravel(risk.initial.theta + c @ rows)})
        with torch.no_grad():
            expected = float(nn.functional.cross_entropy(moved(data[0]), data[1]))
        assert record.loss[i, j] == pytest.approx(expected, rel=1e-12)


KINDS = {
    "linear": (nn.Linear(12, 6), lambda w: w),
    "conv2d": (nn.Conv2d(3, 6, 3), lambda w: w),
    "transposed": (nn.ConvTranspose2d(4, 6, 3), lambda w: w.transpose(0, 1)),
}
"""A layer, and its weight with the outputs along the first axis (a view)."""


@pytest.mark.parametrize("kind", KINDS)
def test_one_big_filter_does_not_set_the_scale_of_the_others(kind: str) -> None:
    """10, 11. Per filter where it says per filter; per tensor only under that name."""
    module, rows = KINDS[kind]
    space = ParameterSpace.of_module(copy.deepcopy(module).double())
    weight = torch.randn(space["weight"].shape, generator=Stream(0).torch(), dtype=torch.float64)
    rows(weight)[0] *= 30
    theta = space.ravel({"weight": weight, "bias": torch.ones(6, dtype=torch.float64)})
    by_filter, by_layer = (
        RandomDirections(space, theta, 1, Stream(1), norm).block("weight")[0]
        for norm in ("filter", "layer")  # type: ignore[arg-type]
    )
    low, high = spread(rows(by_filter).flatten(1), rows(weight).flatten(1))
    assert low == pytest.approx(1, rel=1e-12) and high == pytest.approx(1, rel=1e-12)
    low, high = spread(rows(by_layer).flatten(1), rows(weight).flatten(1))  # the control, and what norm="layer" means
    assert low < 0.6 and high > 4


def test_a_convolutions_filter_is_all_of_one_outputs_weights() -> None:
    """12, 13. Neither one fibre of it (finer) nor what one input goes through (across filters)."""
    space = ParameterSpace.of_module(nn.Conv2d(5, 4, 3, bias=False).double())
    weight = torch.randn(4, 5, 3, 3, generator=Stream(0).torch(), dtype=torch.float64) ** 3
    block = RandomDirections(space, weight.reshape(-1), 1, Stream(1)).block("weight")[0]
    for axes, equal in (((1, 2, 3), True), ((1,), False), ((0,), False), ((0, 2, 3), False)):
        ratio = torch.linalg.vector_norm(block, dim=axes) / torch.linalg.vector_norm(weight, dim=axes)
        assert bool(torch.allclose(ratio, torch.ones_like(ratio), rtol=1e-12)) is equal


def test_rows_of_a_linear_layer_and_not_columns() -> None:
    """13. On a layer with one big input: an input's weights belong to as many filters as there are outputs."""
    space = ParameterSpace.of_module(nn.Linear(8, 5, bias=False).double())
    weight = torch.randn(5, 8, generator=Stream(0).torch(), dtype=torch.float64)
    weight[:, 3] *= 30
    block = RandomDirections(space, weight.reshape(-1), 1, Stream(1)).block("weight")[0]
    torch.testing.assert_close(block.norm(dim=1), weight.norm(dim=1))
    assert float((block.norm(dim=0) / weight.norm(dim=0))[3]) < 0.9


def test_components_of_a_long_vector_take_no_square_of_its_length() -> None:
    """12. Six points in 400,000 dimensions: a covariance matrix of the variables would take 1.3 TB."""
    space = ParameterSpace.of_vector(400_000, torch.float32)
    walk = torch.randn(6, space.size, generator=Stream(0).torch()).cumsum(0)
    rows = principal(space, walk, walk[-1]).dense().double()
    torch.testing.assert_close(rows @ rows.T, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-5)
    left = torch.linalg.svdvals((walk - walk[-1]).double())
    kept = ((walk - walk[-1]).double() @ rows.T).square().sum(0)
    torch.testing.assert_close(kept, left[:2].square(), rtol=1e-4, atol=0)


def test_three_directions_are_orthogonal_and_an_even_grid_is_uniform() -> None:
    """14. Each projection is divided by ‖d‖²; no node is moved to make a centre."""
    risk = tw.zoo.digits(dtype=torch.float64)
    cosines = RandomDirections(risk.space, risk.initial.theta, 3, Stream(0)).summary().cosines
    assert len(cosines) == 3 and max(map(abs, cosines)) < 1e-12
    for steps in (4, 10, 50):
        gaps = np.diff(grid.axis(-1.0, 1.0, steps).numpy())
        np.testing.assert_allclose(gaps, gaps[0], rtol=1e-12)


def test_the_components_of_a_path_are_of_its_parameters() -> None:
    """14. With BatchNorm: the plane of a path has the network's parameters and not its buffers."""
    model, data = trained()
    risk = tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), data)
    generator = Stream(0).torch()
    path = risk.initial.theta + 0.1 * torch.randn(5, risk.space.size, generator=generator, dtype=torch.float64).cumsum(
        0
    )
    record = TrajectoryPlane(steps=4)(risk, path)
    assert record.nonfinite == 0
    spanned = principal(risk.space, path, path[-1]).dense()
    assert spanned.shape[1] == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (2, 7)])
def test_a_grid_that_is_not_square_is_filled_in_its_own_order(shape: tuple[int, int]) -> None:
    """15. F tells the axes apart, so that a transposed or reshaped fill is seen."""
    risk = tw.zoo.digits(dtype=torch.float64)
    one, two = RandomDirections(risk.space, risk.initial.theta, 2, Stream(0)).dense()
    record = Plane(steps=shape, directions=torch.stack([one, 3 * two]))(risk, risk.initial)
    assert record.loss.shape == shape and record.data["coordinates"].shape == (*shape, 2)
    for i, a in enumerate(np.linspace(-1, 1, shape[0])):
        for j, b in enumerate(np.linspace(-1, 1, shape[1])):
            expected = float(risk.losses((risk.initial.theta + a * one + 3 * b * two)[None])[0])
            assert record.loss[i, j] == pytest.approx(expected, rel=1e-12)
    wrong = record.loss.T.reshape(shape)
    assert abs(wrong - record.loss).max() > 1e-2  # the control


@pytest.mark.parametrize("steps", [(3, 4, 5), (3,), (3, 1), 2.5, True])
def test_steps_that_make_no_plane_are_refused(steps: object) -> None:
    with pytest.raises(tw.errors.InputError, match="steps"):
        Plane(steps=steps)  # type: ignore[arg-type]


def test_one_sided_ranges_hold_both_their_ends() -> None:
    """15. A range that begins at zero is a range."""
    axis = grid.axis(0.0, 1.0, 51)
    assert axis[0] == 0 and axis[-1] == 1 and len(axis) == 51
    function = tw.Function(lambda x: x[0] - 2 * x[1], 2)
    record = Plane(steps=(3, 5), margin=0.0)(function, *torch.eye(3, 2, dtype=torch.float64))
    assert record.axes[0].tolist() == [0, 0.5, 1] and record.center == (0, 0)


def test_repeats_differ_by_their_seeds_and_by_nothing_else() -> None:
    """15, 17, 18. The same seed gives the same picture, whatever was drawn in between; 0 is a seed like any other."""
    risk = tw.zoo.digits()
    first = Plane(steps=3)(risk, risk.initial, rng=0)
    torch.manual_seed(123)
    torch.randn(5)
    again = Plane(steps=3)(risk, risk.initial, rng=0)
    assert first.loss.tobytes() == again.loss.tobytes() and first.directions == again.directions
    seen = [directions_of(Plane(steps=2)(risk, risk.initial, rng=i), risk, risk.initial).dense()[0] for i in range(4)]
    for one, two in itertools.combinations(seen, 2):
        assert abs(float(one @ two / one.norm() / two.norm())) < 0.2
    free = RandomDirections(risk.space, risk.initial.theta, 2, Stream(0), biases="scale")
    assert not torch.allclose(free.block("0.bias")[0], free.block("0.bias")[1])


class Negative:
    """Values below zero, zero and NaN; every point that is asked for is written down, and some call is the last."""

    def __init__(self, until: int = 10**9) -> None:
        self.seen: list[tuple[float, ...]] = []
        self.until = until

    def __call__(self, x: Tensor) -> Tensor:
        if len(self.seen) >= self.until:
            raise KeyboardInterrupt
        self.seen.append(tuple(x.tolist()))
        return torch.where(x[0] > 0.9, torch.nan, x[0] + x[1].clamp(max=0))


def plane_of(fn: Negative, folder: Path) -> np.ndarray:
    """Its plane of 5 × 5 points, kept in a folder point by point."""
    function = tw.Function(fn, 2).with_backend("loop")
    fn.seen.clear()
    directory = Directory.open(folder, {"command": "plane"}, resume=folder.exists())
    evaluate = Recorded("plane", directory.ledger, directory.sink, task_size=1)
    return Plane(steps=5)(function, function.initial, evaluate=evaluate).loss


def test_a_value_below_zero_counts_as_computed_and_so_does_nan(tmp_path: Path) -> None:
    """15. Resuming asks for no point of the grid twice, whatever F was there."""
    whole = plane_of(Negative(), tmp_path / "whole")
    assert np.isnan(whole).sum() == 5 and (whole[:4] < 0).any() and (whole[:4] == 0).any() and (whole[:4] > 0).any()
    ticks = np.linspace(-1, 1, 5).tolist()
    others = set(itertools.product(ticks, ticks)) - {(0.0, 0.0)}  # the centre is F at the point, had every time
    for until in (9, 24):
        first, rest = Negative(until), Negative()
        with pytest.raises(KeyboardInterrupt):
            plane_of(first, tmp_path / f"{until}")
        assert plane_of(rest, tmp_path / f"{until}").tobytes() == whole.tobytes()
        one, two = set(first.seen) & others, set(rest.seen) & others
        assert one and two and not one & two and one | two == others


@pytest.mark.parametrize("cosine", [0.0, 0.75, -0.99])
def test_projections_are_right_along_any_directions(cosine: float) -> None:
    """16. Least squares, not inner products divided once: directions of other lengths, and slanted."""
    space = ParameterSpace.of_module(nn.Linear(9, 5).double())
    generator = Stream(0).torch()
    a, b = torch.linalg.qr(torch.randn(space.size, 2, generator=generator, dtype=torch.float64)).Q.T
    rows = torch.stack([3 * a, 0.1 * (cosine * a + (1 - cosine**2) ** 0.5 * b)])
    offsets = torch.randn(4, space.size, generator=generator, dtype=torch.float64)
    found = Dense(space, rows).project(offsets)
    torch.testing.assert_close(found, torch.linalg.lstsq(rows.T, offsets.T).solution.T, rtol=1e-10, atol=1e-10)
    on = torch.tensor([[0.3, -2.0]], dtype=torch.float64)
    torch.testing.assert_close(Dense(space, rows).project(on @ rows), on, rtol=1e-10, atol=1e-12)
    once = offsets @ rows.T / rows.norm(dim=1)
    assert not torch.allclose(found, once, rtol=0.1)  # the control
    with pytest.raises(tw.errors.InputError, match="linearly dependent"):
        Dense(space, torch.stack([a, 2 * a])).project(offsets)


def test_points_lie_where_the_plane_through_them_says() -> None:
    """16. The directions through three points are neither orthogonal nor of length one, and F agrees at all three."""
    risks = [tw.zoo.digits(seed=i, dtype=torch.float64) for i in range(3)]
    record = Plane(steps=(3, 3), margin=0.0)(risks[0], *(r.initial for r in risks))
    assert abs(record.directions.cosines[0]) > 0.3
    for mark, index in zip(record.marks, ((0, 0), (2, 0), (0, 2)), strict=True):
        assert record.loss[index] == pytest.approx(mark.loss, rel=1e-12)


@pytest.fixture
def formed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many bytes of points were formed at once."""
    sizes: list[int] = []
    points = Subspace.points

    def watched(self: Subspace, coefficients: Tensor) -> Tensor:
        found = points(self, coefficients)
        sizes.append(found.numel() * found.element_size())
        return found

    monkeypatch.setattr(Subspace, "points", watched)
    yield sizes


def test_a_grid_does_not_hold_every_point(formed: list[int]) -> None:
    """17. A hundred points of 200,000 numbers would be 160 MB; a chunk is formed at a time."""
    function = tw.Function(lambda x: x.square().mean(), 200_000)
    directions = torch.eye(2, 200_000, dtype=torch.float64)
    Plane(steps=10, directions=directions)(function, function.initial)
    assert sum(formed) >= 100 * 200_000 * 8 and max(formed) <= CHUNK_BYTES < sum(formed)


def test_directions_can_be_got_and_given() -> None:
    """18. What says orthogonal is; what a picture was drawn along is had from its record, and given to another."""
    risk = tw.zoo.digits(dtype=torch.float64)
    record = Plane(steps=3)(risk, risk.initial, rng=7)
    got = directions_of(record, risk, risk.initial)
    a, b = got.dense()
    assert abs(float(a @ b)) < 1e-12 * float(a @ a)
    for given in (got, got.dense()):
        again = Plane(steps=3, directions=given)(risk, risk.initial)
        assert again.loss.tobytes() == record.loss.tobytes()
    free = Plane(steps=3, orthogonal=False)(risk, risk.initial, rng=7)
    assert abs(free.directions.cosines[0]) > 1e-4 and free.directions.recipe["orthogonal"] is False
