"""Closed forms of F on a segment against F itself: dense grids, Newton in float64, random architectures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from thalweg.core.exact.polynomial import Polynomial, nodes
from thalweg.core.exact.quartic import cumulative
from thalweg.core.objective import Objective
from thalweg.core.segment import Segment
from thalweg.records import Guarantee

MOST_EXAMPLES = 40


def mlp(widths: Sequence[int], activation: type[nn.Module], biases: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(len(widths) - 1):
        layers.append(nn.Linear(widths[i], widths[i + 1], bias=biases))
        if i < len(widths) - 2:
            layers.append(activation())
    return nn.Sequential(*layers).double()


def risk(model: nn.Module, rows: int, seed: int = 0, loss: object = None, **options: object) -> tw.EmpiricalRisk:
    """Normal inputs and targets for a model whose first and last parameters say their sizes."""
    generator = torch.Generator().manual_seed(seed)
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    x = torch.randn(rows, linear[0].in_features, generator=generator, dtype=torch.float64)
    y = torch.randn(rows, linear[-1].out_features, generator=generator, dtype=torch.float64)
    return tw.EmpiricalRisk(model, loss or nn.MSELoss(), (x, y), **options)  # type: ignore[arg-type]


def ends(objective: Objective, seed: int, layers: Sequence[str] | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Two random points; b differs from a in the tensors of ``layers`` alone, or in all."""
    generator = torch.Generator().manual_seed(seed)
    a, step = (torch.randn(objective.space.size, generator=generator, dtype=torch.float64) for _ in range(2))
    if layers is not None:
        for entry in objective.space.entries:
            if entry.layer not in layers:
                step[entry.span] = 0
    return a, a + step


def values(segment: Segment, ts: np.ndarray) -> np.ndarray:
    """F by the objective itself, in float64."""
    objective = segment.objective.to(torch.float64)
    a, b = segment.a.double(), segment.b.double()
    thetas = a + torch.from_numpy(ts)[:, None] * (b - a)
    return objective.losses(thetas).numpy()


def many(segment: Segment, ts: np.ndarray) -> np.ndarray:
    """As ``values``, thousands of points at a time."""
    a, b = segment.a, segment.b
    with torch.no_grad():
        ats = torch.func.vmap(lambda t: segment.objective.scalar(a + t * (b - a)), chunk_size=4096)
        return ats(torch.from_numpy(ts)).numpy()


def polished(segment: Segment, t: float) -> float:
    """The largest F near t, by Newton on derivatives that autograd takes of the objective in float64."""
    objective = segment.objective.to(torch.float64)
    a, along = segment.a.double(), segment.b.double() - segment.a.double()
    best, x = float(values(segment, np.array([t]))[0]), t
    for _ in range(6):
        value, slope, bend = objective.directional(a + x * along, along, 2).tolist()
        best = max(best, value)
        if bend >= 0:
            break
        x = min(max(x - slope / bend, 0.0), 1.0)
    return max(best, float(values(segment, np.array([x]))[0]))


def interior(make: object, layers: Sequence[str] | None = None) -> Segment:
    """The first random segment of ``make(seed)`` whose maximum lies between its ends."""
    for seed in range(200):
        objective = make(seed)  # type: ignore[operator]
        segment = Segment(objective, *ends(objective, seed, layers))
        if 0.05 < segment.max().t < 0.95:
            return segment
    raise AssertionError("every maximum was at an end")


def deep_linear(seed: int) -> Objective:
    return tw.zoo.deep_linear(seed=seed, widths=(3, 4, 4, 2), rows=20)


def one_hidden(seed: int) -> Objective:
    torch.manual_seed(seed)
    return risk(mlp((2, 6, 2), nn.ReLU), 15, seed)


@pytest.mark.parametrize("make", [deep_linear, one_hidden])
def test_the_maximum_is_that_of_a_dense_grid_polished_by_newton(make: object) -> None:
    segment = interior(make)
    found = segment.max()
    grid = np.linspace(0, 1, 100_001)
    dense = many(segment, grid)
    best = polished(segment, float(grid[dense.argmax()]))
    assert found.guarantee is Guarantee.EXACT and found.bracket.lower == found.value
    assert found.value >= dense.max()
    assert abs(found.value - best) <= 1e-12 * best
    assert found.bracket.upper is not None and found.bracket.upper + found.bracket.slack >= best
    np.testing.assert_allclose(segment.at(grid[::100]), dense[::100], rtol=1e-12)


def test_a_maximum_at_an_end_is_found() -> None:
    objective = deep_linear(0)
    a, b = ends(objective, 0)
    segment = Segment(objective, a, a + 3 * (b - a))
    found = segment.max()
    assert found.t in (0.0, 1.0) and found.value == values(segment, np.array([found.t]))[0]


@settings(max_examples=MOST_EXAMPLES, deadline=None)
@given(
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    rows=st.integers(1, 12),
    biases=st.booleans(),
    reduction=st.sampled_from(["mean", "sum"]),
    scale=st.floats(1e-2, 3),
    seed=st.integers(0, 10_000),
)
def test_nothing_lies_above_the_exact_upper_side_of_a_linear_network(
    widths: list[int], rows: int, biases: bool, reduction: str, scale: float, seed: int
) -> None:
    torch.manual_seed(seed)
    model = mlp(widths, nn.Identity, biases)
    objective = risk(model, rows, seed, nn.MSELoss(reduction=reduction))
    a, b = ends(objective, seed)
    segment = Segment(objective, scale * a, scale * b)
    found = segment.max()
    assert found.method == "polynomial", found.reason
    assert f"degree {2 * (len(widths) - 1)} " in found.reason
    check_bracket(segment, seed)


@settings(max_examples=MOST_EXAMPLES, deadline=None)
@given(
    widths=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 3)),
    rows=st.integers(1, 12),
    block_rows=st.integers(3, 20),
    biases=st.booleans(),
    slope=st.sampled_from([None, 0.01, 0.3]),
    layers=st.sampled_from([None, ["0"], ["2"]]),
    scale=st.floats(1e-2, 3),
    seed=st.integers(0, 10_000),
)
def test_nothing_lies_above_the_exact_upper_side_of_a_relu_network(
    widths: tuple[int, int, int],
    rows: int,
    block_rows: int,
    biases: bool,
    slope: float | None,
    layers: list[str] | None,
    scale: float,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    model = mlp(widths, nn.Identity, biases)
    model[1] = nn.ReLU() if slope is None else nn.LeakyReLU(slope)
    objective = risk(model, rows, seed, block_rows=block_rows)
    a, b = ends(objective, seed, layers)
    segment = Segment(objective, scale * a, scale * b)
    found = segment.max()
    assert found.method == ("polynomial" if layers == ["2"] else "quartic"), found.reason
    check_bracket(segment, seed)


def check_bracket(segment: Segment, seed: int) -> None:
    """No value is above the upper side or off the closed form by more than the slack, and the lower was evaluated."""
    found = segment.max()
    lower, upper, slack = found.bracket.lower, found.bracket.upper, found.bracket.slack
    assert found.guarantee is Guarantee.EXACT and lower is not None and upper is not None
    ts = np.concatenate([np.random.default_rng(seed).random(1500), [0.0, 1.0, found.t]])
    near = found.t + 1e-3 * np.random.default_rng(seed).standard_normal(500)
    ts = np.concatenate([ts, near[(near >= 0) & (near <= 1)]])
    dense = values(segment, ts)
    assert dense.max() <= upper + slack
    assert upper - lower <= slack <= 1e-8 * dense.max()
    assert abs(segment.at(ts) - dense).max() <= slack
    assert abs(values(segment, np.array([found.t]))[0] - lower) <= 1e-14 * lower


def test_the_slack_covers_networks_whose_outputs_are_differences_of_large_numbers() -> None:
    """Inputs far from zero: F carries far more than its usual rounding, which is measured or refuses exactness."""
    exact = 0
    for seed in range(60):
        torch.manual_seed(seed)
        random = np.random.default_rng(seed)
        model = mlp((2, 5, 1), nn.ReLU if seed % 2 else nn.Identity)
        x = torch.randn(10, 2, dtype=torch.float64) + 10 ** random.uniform(2, 7)
        with torch.no_grad():
            y = model(x) + 10 ** random.uniform(-6, 0) * torch.randn(10, 1, dtype=torch.float64)
        objective = tw.EmpiricalRisk(model, nn.MSELoss(), (x, y))
        a = objective.initial.theta
        segment = Segment(objective, a, a + 1e-3 * torch.randn(a.shape, dtype=torch.float64))
        found = segment.max()
        if found.guarantee is not Guarantee.EXACT:
            assert "more than rounding allows" in found.reason
            continue
        exact += 1
        ts = random.random(300)
        gap = np.abs(segment.at(ts) - values(segment, ts)).max()
        assert gap <= found.bracket.slack, (seed, gap, found)
    assert exact >= 40


# --- what is recognised -----------------------------------------------------------------------------


class Residual(nn.Module):
    """Convolution, frozen BatchNorm, dropout, average pooling, a residual addition: linear in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 2, 3, padding=1)
        self.norm = nn.BatchNorm1d(2)
        self.more = nn.Conv1d(2, 2, 1)
        self.drop = nn.Dropout(0.5)
        self.pool = nn.AvgPool1d(2)
        self.head = nn.Linear(6, 2)
        self.norm.running_var.fill_(2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.norm(self.conv(x.unsqueeze(1)))
        h = h + self.drop(self.more(h))
        return self.head(self.pool(h).flatten(1))


class MeanField(nn.Module):
    """outputs = relu(x·wᵀ)·v / m, written without layers."""

    def __init__(self, units: int = 7) -> None:
        super().__init__()
        self.w, self.v = nn.Parameter(torch.randn(units, 3)), nn.Parameter(torch.randn(units))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * (torch.relu(x @ self.w.T) @ self.v) / len(self.v)


class ConvRelu(nn.Module):
    """A convolution, an in-place ReLU and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.head = nn.Conv1d(1, 3, 3), nn.ReLU(inplace=True), nn.Linear(12, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(self.conv(x[:, None])).flatten(1))


class Filling(nn.Module):
    """Writes its outputs into a tensor it has made."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(len(x), 2, dtype=x.dtype)
        out[:, :1] = self.linear(x)[:, :1]
        out += self.linear(x)
        return out


def sized(model: nn.Module, inputs: int, outputs: tuple[int, ...], loss: object = None) -> tw.EmpiricalRisk:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(9, inputs, generator=generator, dtype=torch.float64)
    y = torch.randn(9, *outputs, generator=generator, dtype=torch.float64)
    return tw.EmpiricalRisk(model.double(), loss or nn.MSELoss(), (x, y), block_rows=4)


def cubed(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (z - y) ** 2 + 0.1 * (z - y) ** 4


weights = torch.tensor([1.0, 3.0], dtype=torch.float64)

RECOGNISED = {
    "residual": (lambda: sized(Residual(), 6, (2,)), "polynomial", "degree 8 "),
    "filling": (lambda: sized(Filling(), 6, (2,)), "polynomial", "degree 2 "),
    "mean field": (lambda: sized(MeanField(), 3, ()), "quartic", "kinks"),
    "convolution": (lambda: sized(ConvRelu(), 6, (2,)), "quartic", "kinks"),
    "sum": (lambda: sized(ConvRelu(), 6, (2,), nn.MSELoss(reduction="sum")), "quartic", "kinks"),
    "functional": (lambda: sized(ConvRelu(), 6, (2,), F.mse_loss), "quartic", "kinks"),
    "half squared": (lambda: sized(ConvRelu(), 6, (2,), tw.zoo.regression.half_squared), "quartic", "kinks"),
    "weighted": (lambda: sized(ConvRelu(), 6, (2,), lambda z, y: weights * (z - y) ** 2), "quartic", "kinks"),
    "fourth power": (lambda: sized(Residual(), 6, (2,), cubed), "polynomial", "degree 16 "),
    "formula": (tw.zoo.scalar_chain, "polynomial", "degree 6 "),
    "zoo": (lambda: tw.zoo.polynomial(widths=(1, 5, 1), rows=20), "quartic", "kinks"),
    "float32": (lambda: tw.zoo.polynomial(widths=(1, 5, 1), rows=20, dtype=torch.float32), "quartic", "kinks"),
}


@pytest.mark.parametrize("name", RECOGNISED)
def test_what_has_a_closed_form(name: str) -> None:
    make, kind, words = RECOGNISED[name]
    torch.manual_seed(3)
    objective = make()
    a, b = ends(objective, 3)
    segment = Segment(objective, a.to(objective.space.dtype), b.to(objective.space.dtype))
    found = segment.max()
    assert (found.method, words in found.reason) == (kind, True), found.reason
    check_bracket(segment, 3)


def test_a_frozen_prefix_may_hold_anything() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2)).double()
    objective = risk(model, 10)
    moved = {layers: Segment(objective, *ends(objective, 0, layers)).max() for layers in (("4",), ("2", "4"), ("2",))}
    assert [m.method for m in moved.values()] == ["polynomial", "quartic", "quartic"]
    assert "degree 2 " in moved["4",].reason
    check_bracket(Segment(objective, *ends(objective, 0, ("2", "4"))), 0)


def test_kinks_at_the_ends_and_kinks_that_coincide() -> None:
    torch.manual_seed(0)
    model = mlp((2, 6, 1), nn.ReLU, biases=False)
    x = torch.randn(3, 2, dtype=torch.float64).repeat(4, 1)
    objective = tw.EmpiricalRisk(model, nn.MSELoss(), (x, torch.randn(12, 1, dtype=torch.float64)))
    _, b = ends(objective, 0)
    for first, last in ((torch.zeros_like(b), b), (b, torch.zeros_like(b)), (-b, b)):
        segment = Segment(objective, first, last)
        assert segment.max().method == "quartic"
        check_bracket(segment, 0)
    assert "between 72 kinks" in segment.max().reason  # every unit of every row turns at t = 1/2
    np.testing.assert_allclose(segment._found.form.kinks, 0.5)  # type: ignore[union-attr]


def test_a_segment_of_one_point_is_constant() -> None:
    objective = one_hidden(0)
    a, _ = ends(objective, 0)
    found = Segment(objective, a, a).max()
    assert "degree 0 " in found.reason and found.value == float(objective.losses(a[None])[0])


@pytest.mark.parametrize("make", [deep_linear, one_hidden])
def test_a_polynomial_regulariser_is_part_of_the_closed_form(make: object) -> None:
    torch.manual_seed(2)
    widths, activation = ((3, 4, 2), nn.Identity) if make is deep_linear else ((3, 4, 2), nn.ReLU)

    def decay(named: dict[str, torch.Tensor]) -> torch.Tensor:
        return 0.3 * sum(x.square().sum() for x in named.values())  # type: ignore[return-value]

    plain, decayed = (risk(mlp(widths, activation), 8, 2, regulariser=r) for r in (None, decay))
    a, b = ends(decayed, 2)
    segment = Segment(decayed, a, b)
    assert segment.max().guarantee is Guarantee.EXACT
    check_bracket(segment, 2)
    assert segment.max().value > Segment(plain, a, b).max().value


def test_the_cost_of_a_polynomial_is_counted_and_does_not_grow_with_degree_alone() -> None:
    objective = tw.Metered(deep_linear(0))
    found = Segment(objective, *ends(objective, 0)).max()
    assert found.evaluations == 7 + 3 + 1  # nodes, checks, and the maximum itself
    assert objective.meter.cost.forwards == found.evaluations + 1  # and one pass to see what is computed
    again = tw.Metered(one_hidden(0))
    found = Segment(again, *ends(again, 0)).max()
    assert found.evaluations == 4 and again.meter.cost.forwards == 4 + 1 + 2


# --- what is refused, and why ----------------------------------------------------------------------


class Custom(nn.Module):
    """A function without a trace: torch.jit hides what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.kept = nn.Linear(3, 2), {"scale": torch.ones(2, dtype=torch.float64)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) * torch.from_numpy(np.ones(2))


class Branching(nn.Module):
    """Asks for the value of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) * (2 if x.sum() > 0 else 3)


class Swallowing(nn.Module):
    """Catches whatever is raised inside and goes another way."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.linear(x)
        try:
            z = z.tanh()
        except Exception:
            return z
        return z


class Flooring(nn.Module):
    """Divides and rounds down after the kinks."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.div(self.first(x).relu(), 2.0, rounding_mode="floor"))


class Clipping(nn.Module):
    """Changes a tensor through a second name of its memory."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.linear(x)
        z.data.clamp_(max=1.0)
        return z


class Viewing(nn.Module):
    """Changes a view in place and goes on with what it is a view of."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = torch.zeros(len(x), 2, dtype=x.dtype)
        z[:, 0].add_(self.linear(x).square()[:, 1])
        return z + 0 * self.linear(x)


def deep(activation: type[nn.Module]) -> nn.Sequential:
    torch.manual_seed(0)
    return mlp((3, 5, 5, 2), activation)


def penalty(named: dict[str, torch.Tensor]) -> torch.Tensor:
    return sum(x.abs().sum() for x in named.values())  # type: ignore[return-value]


def mixing(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (z - y).sum(1) ** 2


labels = torch.arange(9) % 2

REFUSED = {
    "tanh": (lambda: risk(mlp((3, 5, 2), nn.Tanh), 9), "tanh in layer '1' is no polynomial"),
    "two hidden": (lambda: risk(deep(nn.ReLU), 9), "layer '1' and layer '3' both have kinks"),
    "absolute": (lambda: risk(mlp((3, 5, 2), nn.ReLU), 9, 0, nn.L1Loss()), "l1_loss in the loss is no polynomial"),
    "mixing": (lambda: risk(mlp((3, 5, 2), nn.ReLU), 9, 0, mixing), "mixes outputs"),
    "fourth power": (lambda: risk(mlp((3, 5, 2), nn.ReLU), 9, 0, cubed), "degree 4 in the outputs, above 2"),
    "penalty": (lambda: risk(mlp((3, 2), nn.ReLU), 9, regulariser=penalty), "abs in the regulariser is no polynomial"),
    "normalised": (
        lambda: risk(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)).double(), 9),
        "layer_norm in layer '1'",
    ),
    "late kinks": (
        lambda: risk(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)).double(), 9),
        "degree 2 in t, above 1",
    ),
    "max pooling": (
        lambda: risk(nn.Sequential(nn.Linear(3, 4), nn.MaxPool1d(2), nn.Linear(2, 2)).double(), 9),
        "max_pool1d in layer '1'",
    ),
    "kinks last": (lambda: risk(nn.Sequential(nn.Linear(3, 2), nn.ReLU()).double(), 9), "no linear layer follows"),
    "foreign tensor": (lambda: risk(Custom().double(), 9), "neither input, parameter nor buffer"),
    "branching": (lambda: risk(Branching().double(), 9), "reads the values"),
    "flooring": (lambda: risk(Flooring().double(), 9), "div in the forward pass"),
    "clipping": (lambda: risk(Clipping().double(), 9), "data in the forward pass shares memory unseen"),
    "viewing": (lambda: risk(Viewing().double(), 9), "after it was changed in place"),
    "swallowing": (lambda: risk(Swallowing().double(), 9), "tanh in the forward pass"),
    "formula": (lambda: tw.Function(lambda x: x.exp().sum(), 3), "exp in fn is no polynomial"),
    "softmax": (
        lambda: tw.EmpiricalRisk(
            mlp((3, 2), nn.ReLU), nn.CrossEntropyLoss(), (torch.randn(9, 3, dtype=torch.float64), labels)
        ),
        "cross_entropy in the loss",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_none_is_refused_with_the_reason(name: str) -> None:
    make, words = REFUSED[name]
    objective = make()
    segment = Segment(objective, *ends(objective, 0))
    with pytest.raises(tw.errors.InputError, match=words):
        segment.max(method="exact")
    found = segment.max()
    assert found.guarantee in (Guarantee.ADAPTIVE, Guarantee.SAMPLED)
    assert found.reason.startswith("not exact because ")


def test_normalising_layers_are_followed_or_refused_by_their_policy() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    objective = risk(model, 9)
    a, b = ends(objective, 0)
    statistics = tw.core.statistics
    assert Segment(objective, a, b).max().method == "polynomial"
    for policy, words in (
        (statistics.Batch(), "batch_norm in layer '1'"),
        (statistics.Recalibrate(), "the policy recalibrate"),
    ):
        with pytest.raises(tw.errors.InputError, match=words):
            Segment(objective.with_statistics(policy), a, b).max(method="exact")


def test_a_closed_form_that_disagrees_with_f_is_refused() -> None:
    """The self-check: a network that rounds to float32 inside is a polynomial only up to that rounding."""

    class Rounding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            big = 1e8 * self.linear.weight.detach()
            return F.linear(x, (self.linear.weight + big) - big, self.linear.bias)

    objective = risk(Rounding().double(), 9)
    with pytest.raises(tw.errors.InputError, match="more than rounding allows"):
        Segment(objective, *ends(objective, 0)).max(method="exact")


# --- the pieces ------------------------------------------------------------------------------------


@settings(max_examples=MOST_EXAMPLES, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30))
def test_a_polynomial_is_bounded_by_its_maximum(coefficients: list[float]) -> None:
    given = np.array(coefficients)
    t = nodes(len(given))
    polynomial = Polynomial.through(np.polynomial.chebyshev.chebval(2 * t - 1, given), 1e-15)
    dense = polynomial.at(np.linspace(0, 1, 5001))
    peak = polynomial.maximum()
    assert peak.value >= dense.max() - polynomial.slack
    assert abs(polynomial.at(np.array([peak.t]))[0] - peak.value) <= polynomial.slack
    np.testing.assert_allclose(polynomial.coefficients, given, atol=1e-12)
    wide = 1e-6 + 100 * polynomial.slack
    assert polynomial.below(peak.value + wide) and not polynomial.below(peak.value - wide)


def test_interpolation_amplifies_errors_by_no_more_than_the_slack_says() -> None:
    dense = np.linspace(-1, 1, 4001)
    for n in range(1, 66):
        basis = 2 / n * np.polynomial.chebyshev.chebvander(2 * nodes(n) - 1, n - 1)
        basis[:, 0] /= 2
        cardinal = np.polynomial.chebyshev.chebvander(dense, n - 1) @ basis.T
        assert np.abs(cardinal).sum(1).max() <= 2 / np.pi * np.log(n) + 1 + 1e-12


def test_cumulative_sums_do_not_lose_what_cancels() -> None:
    generator = np.random.default_rng(0)
    large = 1e12 * generator.standard_normal(20_000)
    x = np.concatenate([large, generator.random(1000), -generator.permutation(large), generator.random(1000)])
    found = cumulative(x)
    assert len(found) == len(x) + 1 and found[0] == 0
    for count in (1, 20_500, 41_000, len(x)):
        exact = math.fsum(x[:count])
        assert abs(found[count] - exact) <= 4e-16 * abs(exact) + 1e-6 * np.finfo(float).eps * np.abs(large).max()
    assert abs(np.cumsum(x)[-1] - math.fsum(x)) > 1e-3  # which plain sums do
