"""The fast road against the loop: random architectures, random subspaces, and every reason to step aside."""

from __future__ import annotations

import gc
import itertools
import shutil
import weakref

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.conftest import TOLERANCE
from tests.core.test_objectives import OBJECTIVES, nearby
from thalweg.core.backends import choice
from thalweg.core.stacked.functions import ACTIVATIONS
from thalweg.core.stacked.layers import Unsupported
from thalweg.core.stacked.program import Program, program_of
from thalweg.errors import BackendWarning


class Residual(nn.Module):
    """x + f(x), with the sum written in one of three ways."""

    def __init__(self, inner: nn.Module, how: int) -> None:
        super().__init__()
        self.inner, self.how = inner, how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.inner(x)
        if self.how == 0:
            return x + y
        if self.how == 1:
            y += x
            return y
        return torch.add(y, x)


def features(draw: st.DrawFn) -> tuple[nn.Module, int, int]:
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    act = draw(st.sampled_from(ACTIVATIONS[:11]))
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(itertools.pairwise(widths)):
        layers.append(nn.Linear(a, b, bias=draw(st.booleans())))
        if i < len(widths) - 2:
            # Of one unit a layer norm is constant: what autograd finds behind it is rounding, times 1/√eps.
            extra = draw(st.sampled_from(["none", "batch", "residual", "dropout", *["layer"] * (b > 1)]))
            layers += {
                "none": [],
                "batch": [nn.BatchNorm1d(b, affine=draw(st.booleans()))],
                "layer": [nn.LayerNorm(b, elementwise_affine=draw(st.booleans()))],
                "residual": [Residual(nn.Linear(b, b), draw(st.integers(0, 2)))],
                "dropout": [nn.Dropout(0.3)],
            }[extra]
            layers.append(act(0.1, 0.2) if act is nn.Threshold else act())
    return nn.Sequential(*layers), widths[0], widths[-1]


def images(draw: st.DrawFn) -> tuple[nn.Module, int]:
    channels, groups = draw(st.sampled_from([(2, 1), (4, 1), (4, 2), (4, 4)]))
    out = draw(st.integers(1, 3))
    stem = [nn.Conv2d(2, channels, 3, padding=draw(st.sampled_from([0, 1, "same"])), bias=draw(st.booleans()))]
    if draw(st.booleans()):
        stem.append(nn.BatchNorm2d(channels))
    if draw(st.booleans()):
        stem.append(nn.ReLU(inplace=draw(st.booleans())))
    body: list[nn.Module] = [
        Residual(nn.Conv2d(channels, channels, 3, padding=1, groups=groups), draw(st.integers(0, 2)))
    ]
    if draw(st.booleans()):
        body += [nn.Conv2d(channels, 2 * channels, 1, stride=2), nn.BatchNorm2d(2 * channels), nn.Tanh()]
        channels *= 2
    pool = draw(st.sampled_from([nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Identity()]))
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, out)]
    return nn.Sequential(*stem, *body, pool, *head), out


@st.composite
def risks(draw: st.DrawFn) -> tuple[tw.EmpiricalRisk, torch.dtype]:
    torch.manual_seed(draw(st.integers(0, 99)))
    dtype = draw(st.sampled_from([torch.float64, torch.float32]))
    rows, block = draw(st.integers(2, 17)), draw(st.integers(2, 9))
    if draw(st.booleans()):
        net, first, last = features(draw)
        inputs = torch.randn(rows, first)
    else:
        net, last = images(draw)
        inputs = torch.randn(rows, 2, 6, 6)
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    metrics = {}
    kind = draw(st.sampled_from(["mse", "sum", "own", "classes", "smoothed"]))
    if kind in ("mse", "sum", "own") or last == 1:
        kind = kind if kind in ("sum", "own") else "mse"
        losses = {"mse": nn.MSELoss(), "sum": nn.L1Loss(reduction="sum"), "own": lambda z, t: (z - t).pow(4)}
        loss, targets = losses[kind], torch.randn(rows, last)
    else:
        loss = F.cross_entropy if kind == "classes" else nn.CrossEntropyLoss(label_smoothing=0.1)
        targets = torch.randint(0, last, (rows,))
        metrics = {"accuracy": tw.accuracy, "margin": lambda z, t: z.amax(1)}
    return tw.EmpiricalRisk(net.to(dtype), loss, (inputs, targets), block_rows=block, metrics=metrics), dtype


def close(found: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> None:
    torch.testing.assert_close(found, expected, **TOLERANCE[dtype])


@given(risks(), st.data())
@settings(max_examples=60, deadline=None)
def test_stacked_agrees_with_the_loop_on_random_networks(
    made: tuple[tw.EmpiricalRisk, torch.dtype], data: st.DataObject
) -> None:
    risk, dtype = made
    fast, loop = risk.with_backend("stacked"), risk.with_backend("loop")
    thetas = risk.initial.theta + 0.1 * torch.randn(data.draw(st.integers(1, 5)), risk.space.size, dtype=dtype)
    found, expected = fast.evaluate(thetas), loop.evaluate(thetas)
    assert fast.backend[0] == "stacked", fast.backend
    for name in expected:
        close(found[name], expected[name], dtype)
    (_, gradient), (_, other) = fast.value_and_grad(thetas), loop.value_and_grad(thetas)
    gap, size = (gradient - other).double().norm(dim=1), other.double().norm(dim=1)
    assert (gap <= 10 * TOLERANCE[dtype]["rtol"] * size + TOLERANCE[dtype]["atol"]).all()


def test_behind_a_layer_norm_of_one_unit_the_gradient_is_nothing() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 1, bias=False), nn.LayerNorm(1), nn.Tanh(), nn.Linear(1, 3))
    data = torch.randn(40, 3), torch.randn(40, 3)
    exact = tw.EmpiricalRisk(net, nn.MSELoss(), data).to(torch.float64).with_backend("loop")
    fast = tw.EmpiricalRisk(net, nn.MSELoss(), data).with_backend("stacked")
    thetas = fast.initial.theta + 0.1 * torch.randn(4, fast.space.size)
    gradient, truth = fast.value_and_grad(thetas)[1], exact.value_and_grad(thetas.double())[1]
    assert fast.backend[0] == "stacked"
    behind = fast.space.entries[0].span
    assert (truth[:, behind].abs() < 1e-12).all() and (truth.norm(dim=1) > 0.1).all()
    torch.testing.assert_close(gradient.double(), truth, rtol=1e-5, atol=1e-6)


@given(risks(), st.data())
@settings(max_examples=80, deadline=None)
def test_subspaces_agree_with_their_points(made: tuple[tw.EmpiricalRisk, torch.dtype], data: st.DataObject) -> None:
    """Directions that move any tensors, one direction some and another others: the oracle is losses(points(c))."""
    risk, dtype = made
    k = data.draw(st.integers(1, 3))
    directions = 0.3 * torch.randn(k, risk.space.size, dtype=dtype)
    for j in range(k):
        for entry in risk.space.entries:
            if data.draw(st.booleans()):
                directions[j, entry.span] = 0
    coefficients = 2 * torch.rand(data.draw(st.integers(1, 7)), k, dtype=torch.float64) - 1
    fast, loop = (risk.with_backend(name).restrict(risk.initial, directions) for name in ("stacked", "loop"))
    found, expected = fast.evaluate(coefficients), loop.evaluate(coefficients)
    assert fast.backend[0] == "stacked", fast.backend
    oracle = risk.with_backend("loop").losses(fast.points(coefficients))
    close(found["loss"], oracle, dtype)
    for name in expected:
        close(found[name], expected[name], dtype)
    again = fast.evaluate(coefficients)
    assert all(torch.equal(again[name], found[name]) for name in found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_do_not_depend_on_the_chunk(dtype: torch.dtype) -> None:
    risk = tw.zoo.digits(dtype=dtype).with_backend("stacked")
    subspace = risk.restrict(risk.initial, torch.randn(2, risk.space.size))
    coefficients = torch.rand(31, 2, dtype=torch.float64)
    subspace.evaluate(coefficients[:2])
    backend, found = subspace.kept["choice"].backend, []
    for points in (2, 3, 10, 31, 64):
        backend.points = points
        found.append(subspace.evaluate(coefficients)["loss"])
    assert all(torch.equal(found[0], other) for other in found[1:])


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[int]:
    """How many rows × members every call of a functional had."""
    seen: list[int] = []
    real = getattr(F, name)

    def counting(x: torch.Tensor, weight: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        seen.append(x.numel())
        return real(x, weight, *args, **kwargs)

    monkeypatch.setattr(F, name, counting)
    return seen


def test_what_no_direction_touches_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    risk = tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), (torch.randn(5, 1, 6, 6), torch.randint(0, 3, (5,))))
    direction = torch.zeros(risk.space.size)
    direction[risk.space["5.weight"].span] = torch.randn(48)
    subspace = risk.with_backend("stacked").restrict(risk.initial, direction)
    subspace.measured()
    seen = counted(monkeypatch, "conv2d")
    subspace.evaluate(torch.rand(200, 1, dtype=torch.float64))
    assert len(seen) == 0  # the trial had already run the convolutions for these rows
    subspace.kept = {"choice": subspace.kept["choice"]}
    subspace.evaluate(torch.rand(200, 1, dtype=torch.float64))
    subspace.evaluate(torch.rand(100, 1, dtype=torch.float64))
    assert len(seen) == 2


def test_a_first_layer_is_one_product_per_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    risk = tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), (torch.randn(5, 1, 6, 6), torch.randint(0, 3, (5,))))
    subspace = risk.with_backend("stacked").restrict(risk.initial, torch.randn(2, risk.space.size))
    subspace.measured()
    subspace.kept = {"choice": subspace.kept["choice"]}
    seen = counted(monkeypatch, "conv2d")
    subspace.evaluate(torch.rand(300, 2, dtype=torch.float64))
    assert len(seen) == 1  # the constant and both directions in one convolution, for all 300 points


def test_batchnorm_is_folded_unless_a_direction_moves_it() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).eval()
    risk = tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), (torch.randn(5, 1, 6, 6), torch.randint(0, 3, (5,))))
    inputs = risk.table.inputs
    assert [len(Program.of(risk.network, inputs, fold=fold).steps) for fold in (True, False)] == [4, 5]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("recurrent", "stacked refused the model"),
        ("branching", "cannot trace the forward pass"),
        ("filling", "stacked refused the model"),
        ("conv_batch", "normalisation by the batch at hand"),
    ],
)
def test_networks_that_cannot_be_stacked_say_why(name: str, said: str) -> None:
    risk = OBJECTIVES[name]().to(torch.float64)
    assert isinstance(risk, tw.EmpiricalRisk)
    thetas, loop = nearby(risk, 3), risk.with_backend("loop")
    with pytest.warns(BackendWarning, match=said):
        found = risk.with_backend("stacked").losses(thetas)
    torch.testing.assert_close(found, loop.losses(thetas), rtol=0, atol=0)
    direction = thetas[1] - thetas[0]
    record = tw.slices.Line(steps=5, directions=direction)(risk, risk.initial)  # "auto" falls back without a word ...
    if name != "conv_batch":
        assert record.provenance.backend == "loop"
    assert said in record.provenance.reason  # ... but the record has the reason


@pytest.mark.parametrize("name", ["conv", "attention", "encoder"])
def test_other_layers_run_by_vmap_within_the_stack(name: str) -> None:
    risk = OBJECTIVES[name]().to(torch.float64)
    assert isinstance(risk, tw.EmpiricalRisk)
    fast, thetas = risk.with_backend("stacked"), nearby(risk, 3)
    torch.testing.assert_close(fast.losses(thetas), risk.with_backend("loop").losses(thetas), rtol=1e-12, atol=1e-14)
    assert fast.backend[0] == "stacked", fast.backend


def test_a_value_read_after_it_was_overwritten_is_refused() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.linear(x)
            return F.relu(y, inplace=True) + y

    risk = tw.EmpiricalRisk(Twice(), nn.MSELoss(), (torch.randn(5, 3), torch.randn(5, 2)))
    with pytest.raises(Unsupported, match="in place"):
        Program.of(risk.network, risk.table.inputs)


def test_hooks_keep_their_effect() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    net[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    risk = tw.EmpiricalRisk(net, nn.MSELoss(), (torch.randn(5, 3), torch.randn(5, 2))).to(torch.float64)
    thetas = nearby(risk, 3)
    fast = risk.with_backend("stacked")
    torch.testing.assert_close(fast.losses(thetas), risk.with_backend("loop").losses(thetas), rtol=1e-12, atol=0)


def test_optional_arguments_are_traced_as_absent() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None, scale: float = 2.0) -> torch.Tensor:
            y = self.linear(x) * scale
            return y if mask is None else y * mask

    rows = {"x": torch.randn(5, 3), "mask": torch.rand(5, 2)}
    for inputs in (rows["x"], rows):
        risk = tw.EmpiricalRisk(Masked(), nn.MSELoss(), (inputs, torch.randn(5, 2))).to(torch.float64)
        fast, thetas = risk.with_backend("stacked"), nearby(risk, 3)
        torch.testing.assert_close(fast.losses(thetas), risk.with_backend("loop").losses(thetas), rtol=1e-12, atol=0)
        assert fast.backend[0] == "stacked", fast.backend


def test_frozen_and_tied_parameters() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    net[2].weight = net[0].weight
    net[4].weight.requires_grad_(False)
    risk = tw.EmpiricalRisk(net, nn.MSELoss(), (torch.randn(5, 3), torch.randn(5, 3))).to(torch.float64)
    fast, thetas = risk.with_backend("stacked"), nearby(risk, 4)
    torch.testing.assert_close(fast.losses(thetas), risk.with_backend("loop").losses(thetas), rtol=1e-12, atol=0)
    subspace = fast.restrict(risk.initial, thetas[:2] - risk.initial.theta)
    found = subspace.evaluate(torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64))["loss"]
    torch.testing.assert_close(found, fast.losses(thetas[:2]), rtol=1e-12, atol=0)


def test_ties_are_shared_as_the_metric_shares_them() -> None:
    net = nn.Linear(3, 4)
    data = (torch.randn(6, 3), torch.tensor([0, 1, 2, 3, 0, -100]))
    loss = nn.CrossEntropyLoss(ignore_index=-100)
    risk = tw.EmpiricalRisk(net, loss, data, metrics={"accuracy": tw.accuracy}).to(torch.float64)
    thetas = torch.stack([torch.zeros(16, dtype=torch.float64), risk.initial.theta])
    found = risk.with_backend("stacked").evaluate(thetas)["accuracy"]
    torch.testing.assert_close(found, risk.with_backend("loop").evaluate(thetas)["accuracy"], rtol=1e-14, atol=0)
    assert float(found[0]) == pytest.approx(5 / 6 / 4)


def test_a_backend_is_chosen_only_when_it_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"loop": 1.0, "stacked": 1.0, "vmap": 1.0}
    monkeypatch.setattr(choice._Trial, "_seconds", lambda self, backend, points: seconds[backend.name])
    monkeypatch.setitem(choice.CHEAP, "cpu", float("inf"))
    for stacked, vmap, expected in ((0.9, 1.0, "loop"), (0.9, 0.5, "vmap"), (0.86, 0.1, "stacked"), (2.0, 3.0, "loop")):
        seconds |= {"stacked": stacked, "vmap": vmap}
        risk = tw.zoo.digits()
        subspace = risk.restrict(risk.initial, torch.randn(1, risk.space.size))
        assert subspace.backend[0] == expected
        assert "× the loop in a trial" in subspace.backend[1]


def test_what_was_measured_is_obeyed() -> None:
    risk = tw.zoo.digits()
    subspace = risk.restrict(risk.initial, torch.randn(1, risk.space.size))
    subspace.obey({"backend": "stacked", "reason": "measured before", "options": {"points": 7}})
    subspace.evaluate(torch.zeros(3, 1, dtype=torch.float64))
    assert subspace.measured() == {"backend": "stacked", "reason": "measured before", "options": {"points": 7}}
    assert subspace.backend == ("stacked", "measured before")
    risk.obey({"gradients ": {"backend": "vmap", "reason": "measured before", "options": {}}})
    risk.value_and_grad(torch.stack([risk.initial.theta] * 2))
    assert risk.backend == ("vmap", "measured before")


def test_a_prefix_beyond_the_budget_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from thalweg.core.backends import stacked

    risk = tw.zoo.digits(dtype=torch.float64).with_backend("stacked")
    subspace = risk.restrict(risk.initial, torch.randn(2, risk.space.size, dtype=torch.float64))
    coefficients = torch.rand(5, 2, dtype=torch.float64)
    expected = subspace.evaluate(coefficients)["loss"]
    monkeypatch.setattr(stacked, "KEPT_BYTES", 0)
    subspace.kept = {"choice": subspace.kept["choice"]}
    assert torch.equal(subspace.evaluate(coefficients)["loss"], expected)
    assert list(subspace.kept) == ["choice"]


WEIGHTED = nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 3.0]), ignore_index=1)
LOSSES: dict[str, tuple[object, bool]] = {
    "classes": (nn.CrossEntropyLoss(), True),
    "weighted": (WEIGHTED, True),
    "sum": (nn.CrossEntropyLoss(reduction="sum"), True),
    "squared": (nn.MSELoss(), False),
    "entries": (lambda z, t: (z - t).abs(), False),
    "kl": (nn.KLDivLoss(reduction="batchmean"), False),  # no formula for its Z: it is measured for every point
}


@pytest.mark.parametrize("backend", ["loop", "vmap", "stacked"])
@pytest.mark.parametrize("name", LOSSES)
def test_each_point_over_rows_of_its_own(name: str, backend: str) -> None:
    torch.manual_seed(0)
    loss, classes = LOSSES[name]
    targets = torch.randint(0, 3, (23,)) if classes else torch.rand(23, 3)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    metrics = {"accuracy": tw.accuracy} if classes else {}
    risk = tw.EmpiricalRisk(net, loss, (torch.randn(23, 4), targets), metrics=metrics, block_rows=3).to(torch.float64)
    thetas, index = nearby(risk, 5), torch.randint(0, 23, (5, 7))
    index[:, 0] = int((targets != 1).nonzero()[0]) if classes else 0  # no point whose rows are all ignored
    paired = risk.with_backend(backend).rows(index)
    apart = [risk.with_backend("loop").rows(i) for i in index]
    found, gradients = paired.evaluate(thetas), paired.value_and_grad(thetas)[1]
    for b, own in enumerate(apart):
        expected, gradient = own.evaluate(thetas[b : b + 1]), own.value_and_grad(thetas[b : b + 1])[1]
        for key, value in expected.items():
            torch.testing.assert_close(found[key][b : b + 1], value, rtol=1e-12, atol=1e-15)
        torch.testing.assert_close(gradients[b : b + 1], gradient, rtol=1e-10, atol=1e-14)


def test_the_constant_of_a_minibatch_is_what_measuring_it_gives() -> None:
    torch.manual_seed(0)
    data = (torch.randn(23, 4), torch.randint(0, 3, (23,)))
    risk = tw.EmpiricalRisk(nn.Linear(4, 3), WEIGHTED, data).to(torch.float64)
    index = torch.arange(11)
    whole = tw.EmpiricalRisk(nn.Linear(4, 3), WEIGHTED, (data[0][:11], data[1][:11])).to(torch.float64)
    part = risk.rows(index)
    assert isinstance(part, tw.EmpiricalRisk) and part.z == pytest.approx(whole.z, rel=1e-12)
    assert "z" in part._parts.__dict__  # known without evaluating anything


@pytest.mark.skipif(not (shutil.which("gcc") or shutil.which("cc")), reason="torch.compile needs a C compiler")
def test_the_compiled_backend_agrees_when_it_is_asked_for() -> None:
    torch.manual_seed(0)
    risk = tw.EmpiricalRisk(nn.Linear(3, 2), nn.MSELoss(), (torch.randn(5, 3), torch.randn(5, 2))).to(torch.float64)
    compiled, thetas = risk.with_backend("compiled"), nearby(risk, 2)
    found = compiled.losses(thetas)
    assert compiled.backend[0] == "compiled", compiled.backend
    torch.testing.assert_close(found, risk.with_backend("loop").losses(thetas), rtol=1e-12, atol=0)


class Forward(nn.Module):
    """A module whose forward pass is given."""

    def __init__(self, fn: object, **layers: nn.Module) -> None:
        super().__init__()
        self.fn = fn
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fn(self, x)  # type: ignore[operator]


def twice() -> tuple[nn.Module, torch.Tensor]:
    clip = nn.Hardtanh(-0.2, 0.2)
    return nn.Sequential(nn.Linear(6, 4), clip, nn.Linear(4, 4), clip), torch.randn(9, 6)


def shared_linear() -> tuple[nn.Module, torch.Tensor]:
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.ReLU6(inplace=True), layer), torch.randn(9, 4)


def channels_last() -> tuple[nn.Module, torch.Tensor]:
    def fn(m: Forward, x: torch.Tensor) -> torch.Tensor:
        return m.out(m.inner(m.conv(x).permute(0, 2, 3, 1)).mean((1, 2)))

    return Forward(fn, conv=nn.Conv2d(2, 4, 3), inner=nn.Linear(4, 4), out=nn.Linear(4, 4)), torch.randn(9, 2, 6, 6)


def gated() -> tuple[nn.Module, torch.Tensor]:
    def fn(m: Forward, x: torch.Tensor) -> torch.Tensor:
        h = torch.chunk(m.a(x), 2, 1)
        return m.b(h[0] * torch.sigmoid(h[1]))

    return Forward(fn, a=nn.Linear(6, 8), b=nn.Linear(4, 4)), torch.randn(9, 6)


def padded() -> tuple[nn.Module, torch.Tensor]:
    def fn(m: Forward, x: torch.Tensor) -> torch.Tensor:
        return m.b(F.pad(m.a(x), (1, 1), value=1.0))

    return Forward(fn, a=nn.Linear(6, 4), b=nn.Linear(6, 4)), torch.randn(9, 6)


def overwritten_view() -> tuple[nn.Module, torch.Tensor]:
    def fn(m: Forward, x: torch.Tensor) -> torch.Tensor:
        h = m.a(x)
        h.view(-1, 2, 2).clamp_(max=0.1)
        return h * 2

    return Forward(fn, a=nn.Linear(6, 4)), torch.randn(9, 6)


def encoder_layer() -> tuple[nn.Module, torch.Tensor]:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    return Forward(lambda m, x: m.layer(x).mean(1), layer=layer), torch.randn(9, 3, 4)


@pytest.mark.parametrize("make", [twice, shared_linear, channels_last, gated, padded, overwritten_view, encoder_layer])
def test_odd_modules_agree_with_the_loop(make: object) -> None:
    torch.manual_seed(0)
    net, inputs = make()  # type: ignore[operator]
    risk = tw.EmpiricalRisk(net, nn.MSELoss(), (inputs, torch.randn(9, 4)), block_rows=9).to(torch.float64)
    loop, thetas = risk.with_backend("loop"), nearby(risk, 3)
    expected, gradients = loop.losses(thetas), loop.value_and_grad(thetas)[1]
    backends = ["auto"] if make is overwritten_view else ["auto", "stacked"]
    for backend in backends:
        fast = risk.with_backend(backend)
        torch.testing.assert_close(fast.losses(thetas), expected, rtol=1e-11, atol=1e-14)
        torch.testing.assert_close(fast.value_and_grad(thetas)[1], gradients, rtol=1e-9, atol=1e-12)
        assert backend == "auto" or fast.backend[0] == "stacked", fast.backend
        for kept in (slice(None), slice(0, 4)):  # every tensor, and the first entries of the first alone
            directions = torch.zeros(2, risk.space.size, dtype=torch.float64)
            directions[:, kept] = (thetas[:2] - risk.initial.theta)[:, kept]
            c = torch.tensor([[1.0, 0.0], [0.3, -0.7], [0.0, 2.0]], dtype=torch.float64)
            found, wanted = (r.restrict(risk.initial, directions).evaluate(c)["loss"] for r in (fast, loop))
            torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-14)


def test_a_view_that_is_overwritten_is_refused() -> None:
    net, inputs = overwritten_view()
    risk = tw.EmpiricalRisk(net, nn.MSELoss(), (inputs, torch.randn(9, 4)))
    with pytest.raises(Unsupported, match="in place"):
        Program.of(risk.network, inputs)


def test_a_refusal_that_is_remembered_holds_nothing_of_its_callers() -> None:
    net, inputs = overwritten_view()
    risk = tw.EmpiricalRisk(net, nn.MSELoss(), (inputs, torch.randn(9, 4)))

    def refused() -> weakref.ref:
        large = torch.zeros(3)
        with pytest.raises(Unsupported, match="in place"):
            program_of(risk.network, inputs)
        return weakref.ref(large)

    for _ in range(2):
        held = refused()
        gc.collect()
        assert held() is None


def test_ties_beside_a_diverged_point() -> None:
    from thalweg.core.stacked.heads import _right

    logits = torch.stack([torch.zeros(2, 10), torch.full((2, 10), float("nan"))])
    assert _right(logits, torch.zeros(1, 10, dtype=torch.int64)).tolist() == [5.0, 0.0]


def test_ignored_classes_beyond_the_weights() -> None:
    torch.manual_seed(0)
    loss = nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 3.0]), ignore_index=255)
    targets = torch.tensor([0, 1, 255, 2, 1, 255, 0])
    risk = tw.EmpiricalRisk(nn.Linear(4, 3), loss, (torch.randn(7, 4), targets)).to(torch.float64)
    index = torch.tensor([[0, 2, 3], [1, 5, 4]])
    thetas = nearby(risk, 2)
    apart = torch.cat([risk.rows(i).losses(t[None]) for i, t in zip(index, thetas, strict=True)])
    torch.testing.assert_close(risk.rows(index).losses(thetas), apart, rtol=1e-12, atol=0)


def test_a_mask_is_no_index_of_rows() -> None:
    risk = tw.zoo.digits()
    with pytest.raises(tw.errors.InputError, match="nonzero"):
        risk.rows(torch.ones(risk.row_count, dtype=torch.bool))


def test_ties_are_shared_in_double_precision() -> None:
    """Constant logits over five classes: one fifth, not its float32 neighbour."""
    net = nn.Linear(3, 5).double()
    with torch.no_grad():
        net.weight.zero_()
        net.bias.zero_()
    data = torch.randn(7, 3).double(), torch.randint(0, 5, (7,))
    risk = tw.EmpiricalRisk(net, nn.CrossEntropyLoss(), data, metrics={"accuracy": tw.accuracy}, backend="stacked")
    found = risk.evaluate(risk.initial.theta.repeat(2, 1))["accuracy"]
    assert (found - 0.2).abs().max() < 1e-15
