"""Every rule over every kind of layer, and what a rescaled network shows."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import thalweg as tw
from thalweg.core.rng import Stream
from thalweg.core.space import ParameterSpace
from thalweg.slices import Plane, RandomDirections
from thalweg.slices.rules import NORMS, Norm


class LowRank(nn.Module):
    """A frozen layer with two trainable factors, B zero as it is at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(6, 5).requires_grad_(False)
        self.a, self.b = nn.Linear(6, 2, bias=False), nn.Linear(2, 5, bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.frozen(x) + self.b(self.a(x))


MODULES: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(4, 3),
    "one input": lambda: nn.Linear(1, 4),
    "conv": lambda: nn.Conv2d(4, 6, 3, groups=2),
    "depthwise": lambda: nn.Conv1d(3, 3, 3, groups=3),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 2, groups=2),
    "embedding": lambda: nn.Embedding(5, 4, padding_idx=0),
    "attention": lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True),
    "lstm": lambda: nn.LSTM(3, 4, proj_size=2),
    "norms": lambda: nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.GroupNorm(3, 3), nn.BatchNorm1d(3)),
    "weight-normalised": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)),
    "encoder": lambda: nn.TransformerEncoderLayer(8, 2, 5, batch_first=True),
    "low rank": LowRank,
}


def of(module: nn.Module) -> tuple[ParameterSpace, Tensor]:
    space = ParameterSpace.of_module(module.double())
    return space, space.ravel(dict(module.named_parameters()))


def groups(space: ParameterSpace, rows: Tensor, name: str, by: str) -> Tensor:
    """The groups of one tensor in [k, P] rows, as [k, groups, entries]: an independent reading of the layout."""
    entry = space[name]
    view, axes = entry.layout.division(by)  # type: ignore[arg-type]
    inner = [1 + i for i in range(len(view)) if i not in axes]
    shown = rows[:, entry.span].reshape(len(rows), *view)
    return shown.permute(0, *(1 + i for i in axes), *inner).flatten(1 + len(axes)).flatten(1, len(axes))


@pytest.mark.parametrize("kind", MODULES)
@given(
    norm=st.sampled_from(NORMS),
    biases=st.sampled_from(["zero", "scale"]),
    orthogonal=st.booleans(),
    k=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_every_combination_keeps_its_promise(
    kind: str, norm: Norm, biases: str, orthogonal: bool, k: int, seed: int
) -> None:
    torch.manual_seed(seed)
    space, theta = of(MODULES[kind]())
    moved = [e for e in space.entries if biases == "scale" or not e.vector]
    if norm == "head" and not any(e.layout.heads for e in space.entries):
        with pytest.raises(tw.errors.InputError, match="no layer is an nn"):
            RandomDirections(space, theta, k, Stream(seed), norm)
        return
    directions = RandomDirections(space, theta, k, Stream(seed), norm, biases, orthogonal)  # type: ignore[arg-type]
    rows = directions.dense()
    assert rows.shape == (k, space.size) and bool(torch.isfinite(rows).all())
    for entry in space.entries:
        assert torch.equal(directions.block(entry.name).reshape(k, -1), rows[:, entry.span])
        if entry not in moved:
            assert not rows[:, entry.span].any()
    pairs = list(itertools.combinations(range(k), 2))
    if norm in ("filter", "layer", "head"):
        for entry in moved:
            own = groups(space, theta[None], entry.name, norm)[0].norm(dim=1)
            mine = groups(space, rows, entry.name, norm)
            torch.testing.assert_close(mine.norm(dim=2), own.expand(k, -1), rtol=1e-12, atol=0)
            for i, j in pairs:
                if orthogonal and mine.shape[2] > j:
                    assert bool(((mine[i] * mine[j]).sum(1).abs() <= 1e-12 * own**2).all())
        return
    if norm == "whole":
        torch.testing.assert_close(rows.norm(dim=1), theta.norm().expand(k), rtol=1e-12, atol=0)
    elif not orthogonal:  # as drawn: tensor by tensor, from substreams of the seed
        for entry in moved:
            drawn = torch.randn(entry.shape, generator=Stream(seed)(0, entry.name).torch(), dtype=torch.float64)
            assert torch.equal(directions.block(entry.name)[0], drawn)
    for i, j in pairs:
        cosine = float(rows[i] @ rows[j] / rows[i].norm() / rows[j].norm())
        assert abs(cosine) < 1e-12 or not orthogonal


@pytest.mark.parametrize("norm", NORMS)
def test_independent_directions_are_not_orthogonal(norm: Norm) -> None:
    """The control of the test above: without ``orthogonal`` the inner products are those of chance."""
    space, theta = of(MODULES["encoder"]())
    free = RandomDirections(space, theta, 2, Stream(0), norm, orthogonal=False)
    assert 1e-4 < abs(free.summary().cosines[0]) < 0.3


def test_more_directions_than_entries_cannot_be_orthogonal() -> None:
    space, theta = of(nn.Linear(1, 2))
    with pytest.raises(tw.errors.InputError, match="cannot be orthogonal"):
        RandomDirections(space, theta, 3, Stream(0), "whole").dense()
    with pytest.raises(tw.errors.InputError, match="k=0"):
        RandomDirections(space, theta, 0, Stream(0))


def test_filters_of_norm_zero_stay_and_are_counted_on_the_record() -> None:
    """At the start of low-rank training one factor is zero, and so is the other's slope: the picture must say so."""
    torch.manual_seed(0)
    data = (torch.randn(9, 6), torch.randn(9, 5))
    risk = tw.EmpiricalRisk(LowRank(), nn.MSELoss(), data)
    assert risk.space.names == ("a.weight", "b.weight")
    record = Plane(steps=3)(risk, risk.initial)
    assert record.provenance.notes == (
        "5 of 7 filters have norm 0 and stay there under norm='filter' (first in b.weight)",
    )
    assert record.loss_max - record.loss_min < 1e-6  # and that is why the picture is flat
    assert Plane(steps=3, norm="whole")(risk, risk.initial).loss_max > record.loss_max + 1e-2
    trained = risk.initial.theta + 0.1
    assert not Plane(steps=3)(risk, trained).provenance.notes


class Attention(nn.Module):
    """Two heads and a reading-out, whose queries and keys may be rotated against each other."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, bias=False)
        self.out = nn.Linear(8, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.attention(x, x, x, need_weights=False)[0].mean(1))


def test_norm_head_is_what_a_rotation_within_a_head_leaves_as_it_is() -> None:
    """Rotating a head's queries and keys together changes no output: no head's norm changes, rows' norms do."""
    torch.manual_seed(0)
    plain = Attention().double()
    turned = Attention().double()
    turned.load_state_dict(plain.state_dict())
    rotation = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64)).Q
    with torch.no_grad():
        weight = turned.attention.in_proj_weight
        for start in (0, 8):  # the first head's queries and keys
            weight[start : start + 4] = rotation @ weight[start : start + 4]
    x = torch.randn(5, 3, 8, dtype=torch.float64)
    torch.testing.assert_close(plain(x), turned(x))
    (space, one), (_, two) = of(plain), of(turned)
    name = "attention.in_proj_weight"
    heads = [groups(space, t[None], name, "head")[0].norm(dim=1) for t in (one, two)]
    rows = [groups(space, t[None], name, "filter")[0].norm(dim=1) for t in (one, two)]
    torch.testing.assert_close(*heads)
    assert (rows[0] / rows[1] - 1).abs().max() > 0.05
    # and scaled as a head, a direction has a head's norm: 3 × 2 of them
    found = RandomDirections(space, one, 2, Stream(0), "head").dense()
    torch.testing.assert_close(groups(space, found, name, "head").norm(dim=2), heads[0].expand(2, -1))


def test_an_attention_plane_equals_a_plain_loop() -> None:
    torch.manual_seed(0)
    model = Attention().double()
    x, y = torch.randn(6, 3, 8, dtype=torch.float64), torch.randint(0, 3, (6,))
    risk = tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), (x, y))
    record = Plane(steps=3, norm="head")(risk, risk.initial)
    one, two = RandomDirections(risk.space, risk.initial.theta, 2, Stream(0, ("plane",)), "head").dense()
    copy = Attention().double()
    for i, a in enumerate((-1.0, 0.0, 1.0)):
        for j, b in enumerate((-1.0, 0.0, 1.0)):
            copy.load_state_dict(risk.space.unravel(risk.initial.theta + a * one + b * two))
            expected = float(nn.functional.cross_entropy(copy(x), y).detach())
            assert record.loss[i, j] == pytest.approx(expected, rel=1e-12)


def test_stated_filters_are_used_and_are_in_the_recipe() -> None:
    risk = tw.zoo.digits(dtype=torch.float64)
    space = risk.space.divided({"0.weight": ((32, 64), (1,))})
    directions = RandomDirections(space, risk.initial.theta, 2, Stream(0))
    columns = directions.block("0.weight").norm(dim=1)
    own = risk.initial.theta[risk.space["0.weight"].span].reshape(32, 64).norm(dim=0)
    torch.testing.assert_close(columns, own.expand(2, -1), rtol=1e-12, atol=0)
    record = Plane(steps=3, directions=directions)(risk, risk.initial)
    assert record.directions.recipe["filters"] == {"0.weight": [[32, 64], [1]]}
    again = tw.slices.directions_of(record, risk, risk.initial)
    assert (
        again.digest() == directions.digest() != RandomDirections(risk.space, risk.initial.theta, 2, Stream(0)).digest()
    )


@st.composite
def architectures(draw: st.DrawFn) -> tuple[nn.Sequential, Tensor]:
    """A ReLU network of random depth and widths, convolutions first or none, and inputs for it."""
    torch.manual_seed(draw(st.integers(0, 10_000)))
    bias = draw(st.booleans())
    layers: list[nn.Module] = []
    if draw(st.booleans()):
        channels = draw(st.integers(1, 3))
        x = torch.randn(12, channels, 5, 5, dtype=torch.float64)
        for _ in range(draw(st.integers(1, 2))):
            groups = channels if draw(st.booleans()) else 1
            wide = channels * draw(st.integers(1, 2)) if groups > 1 else draw(st.integers(2, 5))
            layers += [nn.Conv2d(channels, wide, 3, padding=1, groups=groups, bias=bias), nn.ReLU()]
            channels = wide
        layers.append(nn.Flatten())
        width = channels * 25
    else:
        width = draw(st.integers(2, 6))
        x = torch.randn(12, width, dtype=torch.float64)
    for _ in range(draw(st.integers(1, 3))):
        wide = draw(st.integers(2, 8))
        layers += [nn.Linear(width, wide, bias=bias), nn.ReLU()]
        width = wide
    return nn.Sequential(*layers, nn.Linear(width, 3, bias=bias)).double(), x


@given(made=architectures(), dtype=st.sampled_from([torch.float32, torch.float64]), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_filter_norms_equal_the_networks_for_any_architecture(
    made: tuple[nn.Sequential, Tensor], dtype: torch.dtype, seed: int
) -> None:
    """Each filter found by the plain definition: the weights that one output channel is computed with."""
    net = made[0].to(dtype)
    space = ParameterSpace.of_module(net)
    theta = space.ravel(dict(net.named_parameters()))
    directions = RandomDirections(space, theta, 2, Stream(seed))
    for name, weight in net.named_parameters():
        block = directions.block(name)
        if weight.ndim == 1:
            assert not block.any()
            continue
        own = weight.detach().flatten(1).norm(dim=1)
        ratio = block.flatten(2).norm(dim=2) / own
        torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=1e-6, atol=0)


@given(made=architectures(), which=st.integers(0, 10), biases=st.sampled_from(["zero", "scale"]))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_a_rescaled_relu_network_is_drawn_alike_only_by_filters(
    made: tuple[nn.Sequential, Tensor], which: int, biases: str
) -> None:
    """One layer × 10 and the next ÷ 10 is the same function (Li et al. 2018, §4.1)."""
    net, x = made
    weighty = [i for i, m in enumerate(net) if isinstance(m, (nn.Linear, nn.Conv2d))]
    at = which % (len(weighty) - 1)
    data = (x, torch.arange(len(x)) % 3)
    risk = tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), data, backend="loop")
    named = {name: p.clone() for name, p in risk.space.unravel(risk.initial.theta).items()}
    for name in named:
        if name.startswith(f"{weighty[at]}."):
            named[name] *= 10
        if name == f"{weighty[at + 1]}.weight":
            named[name] /= 10
    rescaled = risk.space.ravel(named)
    plane = Plane(steps=5, biases=biases)  # type: ignore[arg-type]
    one, two = (torch.tensor(plane(risk, theta).loss) for theta in (risk.initial.theta, rescaled))
    reach = float(one.max() - one.min())
    assume(reach > 1e-3)  # a network that is dead everywhere has no surface
    assert float((one - two).abs().max()) <= 1e-4 * reach
    plain = Plane(steps=5, norm=None)
    raw, other = (torch.tensor(plain(risk, theta).loss) for theta in (risk.initial.theta, rescaled))
    # The control. That its range changes little by chance is excluded by asking for 1 % of it alone.
    assert float((raw - other).abs().max()) > 1e-2 * float(raw.max() - raw.min())
