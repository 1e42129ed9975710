"""The builders: published sizes, one draw per parameter name, traceable, mappable, twice differentiable."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

import thalweg as tw
from tests.conftest import TOLERANCE
from thalweg.core.quiet import unbatched_nodes
from thalweg.zoo import networks
from thalweg.zoo.networks.recurrent import LSTM

NORMS = ("batch", "layer", "group", None)

IMAGES: dict[str, Callable[[], nn.Module]] = {
    **{f"resnet {norm}": lambda norm=norm: networks.resnet(8, 5, width=0.25, norm=norm) for norm in NORMS},
    "resnet projection": lambda: networks.resnet(8, 5, width=0.25, shortcut="projection"),
    "resnet without skips": lambda: networks.resnet(8, 5, width=0.25, skip=False),
    **{f"densenet {norm}": lambda norm=norm: networks.densenet(10, 5, growth=3, norm=norm) for norm in NORMS},
}
SEQUENCES: dict[str, Callable[[], nn.Module]] = {
    "encoder": lambda: networks.encoder(5, length=6, features=3, width=8, heads=2, hidden=12),
    "encoder, norm first": lambda: networks.encoder(
        5, length=6, features=3, width=8, heads=2, norm_first=True, activation="relu"
    ),
    "encoder of tokens": lambda: networks.encoder(5, length=6, vocabulary=7, width=8, heads=2),
    "lstm": lambda: networks.lstm(5, length=6, features=3, hidden=4, layers=2),
    "lstm of tokens": lambda: networks.lstm(5, length=6, vocabulary=7, hidden=4),
}
ALL = IMAGES | SEQUENCES


def subject(name: str) -> tuple[nn.Module, Tensor]:
    """The network of that name in float64 and eval mode with moving statistics, and four rows for it."""
    generator = torch.Generator().manual_seed(1)
    model = ALL[name]().double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.3 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
    if name in IMAGES:
        return model, torch.randn(4, 3, 9, 8, generator=generator, dtype=torch.float64)
    if "tokens" in name:
        return model, torch.randint(0, 7, (4, 6), generator=generator)
    return model, torch.randn(4, 6, 3, generator=generator, dtype=torch.float64)


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("depth", "million"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_resnets_have_the_sizes_of_table_6(depth: int, million: float) -> None:
    """He et al. 2016, Table 6; and layer by layer."""
    n, k = (depth - 2) // 6, 9
    convolutions = k * 3 * 16 + k * 16 * 16 * 2 * n
    for c in (32, 64):
        convolutions += k * (c // 2) * c + k * c * c * (2 * n - 1)
    expected = convolutions + 2 * (16 + 2 * n * (16 + 32 + 64)) + 64 * 10 + 10
    assert size(networks.resnet(depth)) == expected
    assert round(expected / 1e6, 2 if million < 1 else 1) == million


def test_the_counts_that_the_documentation_names() -> None:
    counts = {
        "resnet(8)": networks.resnet(8),
        "resnet(20)": networks.resnet(20),
        "resnet(56)": networks.resnet(56),
        "resnet(110)": networks.resnet(110),
        'resnet(8, shortcut="projection")': networks.resnet(8, shortcut="projection"),
        "densenet(100, growth=12)": networks.densenet(100, growth=12),
    }
    table = {line.split("``")[1]: line.split("``")[2].split()[0] for line in _table()}
    assert table == {name: f"{size(model):,}" for name, model in counts.items()}
    assert size(counts["resnet(8)"]) == 75_290 and size(counts['resnet(8, shortcut="projection")']) == 78_042


def _table() -> list[str]:
    assert networks.__doc__ is not None
    return [line for line in networks.__doc__.splitlines() if line.startswith("``")]


@pytest.mark.parametrize(("depth", "growth", "million"), [(100, 12, 0.8), (10, 4, None), (22, 7, None)])
def test_densenets_have_the_sizes_of_table_2(depth: int, growth: int, million: float | None) -> None:
    """Huang et al. 2017, Table 2: DenseNet-BC (k = 12), depth 100, 0.8 M; and layer by layer."""
    inside = 2 * growth
    expected = 9 * 3 * inside
    for block in range(3):
        for _ in range((depth - 4) // 6):
            expected += 2 * inside + inside * 4 * growth + 8 * growth + 9 * 4 * growth * growth
            inside += growth
        if block < 2:
            expected += 2 * inside + inside * (inside // 2)
            inside //= 2
    expected += 2 * inside + 10 * inside + 10
    assert size(networks.densenet(depth, growth=growth)) == expected
    assert million is None or round(expected / 1e6, 1) == million


def test_width_multiplies_the_channels_and_depth_counts_the_layers() -> None:
    model = networks.resnet(14, width=2.5)
    widths = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [40] * 5 + [80] * 4 + [160] * 4
    for net, depth in ((networks.resnet(26), 26), (networks.densenet(16), 16)):
        assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in net.modules()) == depth


@given(st.integers(1, 4), st.integers(1, 7), st.integers(1, 13), st.integers(1, 13), st.sampled_from(NORMS))
@settings(max_examples=25, deadline=None)
def test_any_channels_classes_and_image_sizes(
    channels: int, classes: int, height: int, width: int, norm: str | None
) -> None:
    images = torch.randn(2, channels, height, width)
    for shortcut in ("pad", "projection"):
        model = networks.resnet(8, classes, channels=channels, width=0.25, shortcut=shortcut, norm=norm).eval()
        assert model(images).shape == (2, classes)
    tall = torch.randn(2, channels, height + 3, width + 3)
    assert networks.densenet(10, classes, channels=channels, growth=2, norm=norm).eval()(tall).shape == (2, classes)


@pytest.mark.parametrize("name", ALL)
def test_traced_by_fx_it_is_the_same_function(name: str) -> None:
    model, inputs = subject(name)
    traced = fx.GraphModule(model, fx.Tracer().trace(model))
    assert torch.equal(traced(inputs), model(inputs))


@pytest.mark.parametrize("name", ALL)
def test_vmap_over_parameters_equals_one_by_one(name: str) -> None:
    model, inputs = subject(name)
    generator = torch.Generator().manual_seed(2)
    stacked = {
        n: p.detach() + 0.05 * torch.randn(3, *p.shape, generator=generator, dtype=p.dtype)
        for n, p in model.named_parameters()
    }
    buffers = dict(model.named_buffers())
    with torch.no_grad(), unbatched_nodes():
        found = vmap(lambda p: functional_call(model, {**p, **buffers}, (inputs,)))(stacked)
        expected = [functional_call(model, {n: p[i] for n, p in stacked.items()}, (inputs,)) for i in range(3)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-10, atol=1e-12)
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize("name", ALL)
def test_second_derivatives_are_those_of_differences_of_gradients(name: str) -> None:
    model, inputs = subject(name)
    # A kink between the two points of a difference would spoil it; smooth networks have none.
    for module in list(model.modules()):
        if isinstance(module, nn.TransformerEncoderLayer) and module.activation is nn.functional.relu:
            module.activation = nn.functional.softplus
        for child, inner in module.named_children():
            if isinstance(inner, nn.ReLU):
                setattr(module, child, nn.Softplus())
    parameters = list(model.parameters())
    vector = [torch.randn(p.shape, generator=torch.Generator().manual_seed(3), dtype=p.dtype) for p in parameters]

    def gradient() -> tuple[Tensor, ...]:
        return torch.autograd.grad(model(inputs).square().mean(), parameters, create_graph=True)

    with sdpa_kernel(SDPBackend.MATH):
        along = sum((g * v).sum() for g, v in zip(gradient(), vector, strict=True))
        product = torch.cat([x.flatten() for x in torch.autograd.grad(along, parameters, materialize_grads=True)])
        ends = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                for p, v in zip(parameters, vector, strict=True):
                    p += step * v
            ends.append(torch.cat([g.detach().flatten() for g in gradient()]))
            with torch.no_grad():
                for p, v in zip(parameters, vector, strict=True):
                    p -= step * v
    difference = (ends[0] - ends[1]) / 2e-5
    assert float(product.norm()) > 0
    assert float((product - difference).norm()) < 1e-6 * float(product.norm())


def test_building_leaves_the_global_generator_and_follows_the_seed() -> None:
    before = torch.get_rng_state()
    made = [build(seed=s) for build in (_resnet, _densenet, _encoder, _lstm) for s in (0, 0, 1)]
    assert torch.equal(before, torch.get_rng_state())
    for i in range(0, len(made), 3):
        first, same, other = (nn.utils.parameters_to_vector(m.parameters()) for m in made[i : i + 3])
        assert torch.equal(first, same) and not torch.equal(first, other)
        double = nn.utils.parameters_to_vector(made[i].double().parameters())
        assert torch.equal(double.float(), first)


def _resnet(seed: int) -> nn.Module:
    return networks.resnet(8, seed=seed)


def _densenet(seed: int) -> nn.Module:
    return networks.densenet(10, seed=seed)


def _encoder(seed: int) -> nn.Module:
    return networks.encoder(length=3, features=2, seed=seed)


def _lstm(seed: int) -> nn.Module:
    return networks.lstm(length=3, features=2, seed=seed)


def test_dtypes_share_their_draws() -> None:
    single, double = (networks.resnet(8, norm=None, dtype=d) for d in (torch.float32, torch.float64))
    for a, b in zip(single.parameters(), double.parameters(), strict=True):
        assert b.dtype == torch.float64 and torch.equal(a, b.float())
    assert not torch.equal(double.conv.weight, double.conv.weight.float().double())  # drawn in float64


def test_initial_variances_are_those_of_the_sources() -> None:
    model = networks.resnet(8, width=4)
    weight = model.stage3[0].conv2.weight.detach()
    assert math.isclose(float(weight.std()), math.sqrt(2 / (256 * 9)), rel_tol=0.01)  # He et al. 2015, eq. (10)
    head = model.head.weight.detach()
    assert float(head.abs().max()) <= 1 / 16 and math.isclose(float(head.std()), 1 / 16 / math.sqrt(3), rel_tol=0.05)
    assert all(
        float((m.weight.detach() - 1).abs().max()) == 0 for m in model.modules() if isinstance(m, nn.BatchNorm2d)
    )


@pytest.mark.parametrize("shortcut", ["pad", "projection"])
def test_without_skips_everything_else_is_equal(shortcut: str) -> None:
    skipping = networks.resnet(8, shortcut=shortcut)
    plain = networks.resnet(8, shortcut=shortcut, skip=False)
    kept = {n: p for n, p in skipping.state_dict().items() if ".shortcut." not in n}
    assert (len(kept) < len(skipping.state_dict())) == (shortcut == "projection")
    assert kept.keys() == plain.state_dict().keys()
    assert all(torch.equal(p, plain.state_dict()[n]) for n, p in kept.items())
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(skipping.eval()(images), plain.eval()(images), atol=1e-2)


def test_a_block_whose_convolutions_are_zero_passes_its_input_on() -> None:
    """With skips it is φ of the shortcut; option A keeps every second pixel and adds channels of zeros."""
    model = networks.resnet(8, norm=None, width=0.125)
    for block in (model.stage1[0], model.stage2[0]):
        for p in block.parameters():
            nn.init.zeros_(p)
    x = torch.rand(2, 2, 5, 4)
    assert torch.equal(model.stage1[0](x), x)
    found = model.stage2[0](x).detach()
    assert found.shape == (2, 4, 3, 2)
    assert torch.equal(found[:, :2], x[:, :, ::2, ::2]) and float(found[:, 2:].abs().max()) == 0
    plain = networks.resnet(8, norm=None, width=0.125, skip=False).stage1[0]
    for p in plain.parameters():
        nn.init.zeros_(p)
    assert not plain(x).any()


def test_a_dense_layer_appends_to_what_it_is_given() -> None:
    layer = networks.densenet(10, growth=3).eval().block1[0]
    x = torch.randn(2, 6, 4, 4)
    found = layer(x).detach()
    assert found.shape == (2, 9, 4, 4) and torch.equal(found[:, :6], x) and float(found[:, 6:].std()) > 0


@pytest.mark.parametrize("norm", NORMS)
def test_only_networks_without_norms_have_biases_in_convolutions(norm: str | None) -> None:
    for model in (networks.resnet(8, norm=norm), networks.densenet(10, norm=norm)):
        assert all((m.bias is None) == (norm is not None) for m in model.modules() if isinstance(m, nn.Conv2d))
        kinds = {type(m) for m in model.modules()} & {nn.BatchNorm2d, nn.GroupNorm}
        assert kinds == ({nn.BatchNorm2d} if norm == "batch" else {nn.GroupNorm} if norm else set())


def test_layer_and_group_normalise_over_what_they_say() -> None:
    x = 3 + 2 * torch.randn(2, 16, 4, 4, dtype=torch.float64)
    whole = networks.resnet(8, norm="layer", dtype=torch.float64).norm(x)
    torch.testing.assert_close(whole.mean((1, 2, 3)), torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)
    grouped = networks.resnet(8, norm="group", dtype=torch.float64).norm(x).unflatten(1, (8, 2)).mean((2, 3, 4))
    torch.testing.assert_close(grouped, torch.zeros(2, 8, dtype=torch.float64), atol=1e-12, rtol=0)
    assert float(whole.detach().mean((2, 3)).abs().max()) > 1e-3
    assert sum(1 for _ in networks.resnet(8, norm="none").parameters()) == 16  # 7 convolutions and a head


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_as_an_objective(name: str) -> None:
    """Values by vmap are those of the loop, and Hessian products are symmetric."""
    model, inputs = subject(name)
    targets = torch.tensor([0, 4, 2, 1])
    risk = tw.EmpiricalRisk(model, nn.CrossEntropyLoss(), (inputs, targets), backend="loop")
    generator = torch.Generator().manual_seed(0)
    u, v = torch.randn(2, risk.space.size, generator=generator, dtype=torch.float64)
    thetas = torch.stack([risk.initial.theta, risk.initial.theta + 0.1 * u])
    found = risk.with_backend("vmap")
    torch.testing.assert_close(found.losses(thetas), risk.losses(thetas), **TOLERANCE[torch.float64])
    assert found.backend[0] == "vmap"
    assert abs(float(risk.losses(thetas)[0]) - math.log(5)) < 0.5
    hu, hv = risk.linearized(thetas[1:]).hvp(torch.stack([u, v])[None])[0]
    assert abs(float(u @ hv - v @ hu)) < 1e-9 * float(u.norm() * hv.norm())
    assert float(hu.norm()) > 0


def test_the_lstm_is_torchs_own() -> None:
    own = networks.lstm(5, length=6, features=3, width=4, hidden=7, seed=3, dtype=torch.float64).lstm1
    assert isinstance(own, LSTM)
    reference = nn.LSTM(4, 7, batch_first=True, dtype=torch.float64)
    reference.load_state_dict(own.state_dict())
    x = torch.randn(5, 6, 4, dtype=torch.float64)
    torch.testing.assert_close(own(x), reference(x)[0], **TOLERANCE[torch.float64])
    assert float(own.weight_hh_l0.detach().abs().max()) <= 1 / math.sqrt(7)


def test_the_encoder_sees_both_ways_and_places() -> None:
    model = networks.encoder(5, length=6, vocabulary=7, layers=1, dtype=torch.float64)
    ids = torch.tensor([[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 6], [1, 0, 2, 3, 4, 5]])
    hidden = model.layer1(model.positions(model.enter(ids)))
    assert not torch.allclose(hidden[0, 0], hidden[1, 0])  # the first place sees the last
    assert not torch.allclose(model(ids)[0], model(ids)[2])  # and the order matters
    assert not model.training


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: networks.resnet(9), "depth=9: .* 8 or 14"),
        (lambda: networks.resnet(18), "14 or 20"),
        (lambda: networks.resnet(2), "the nearest depth is 8$"),
        (lambda: networks.resnet(0), "depth=0"),
        (lambda: networks.resnet(8.0), "depth=8.0: give a whole number"),
        (lambda: networks.densenet(40 - 1), "34 or 40"),
        (lambda: networks.densenet(4), "the nearest depth is 10$"),
        (lambda: networks.densenet(10, growth=0), "growth=0"),
        (lambda: networks.resnet(8, width=0.3), "width=0.3"),
        (lambda: networks.resnet(8, width=0), "width=0"),
        (lambda: networks.resnet(8, width=math.nan), "width=nan"),
        (lambda: networks.resnet(8, skip="False"), "skip='False'"),
        (lambda: networks.resnet(8, shortcut="A"), "shortcut='A' is unknown: choose 'pad', 'projection'"),
        (lambda: networks.resnet(8, norm="instance"), "norm='instance'"),
        (lambda: networks.densenet(10, norm="instance"), "norm='instance'"),
        (lambda: networks.resnet(8, activation="rleu"), "activation='rleu'"),
        (lambda: networks.resnet(8, classes=0), "classes=0"),
        (lambda: networks.encoder(length=3), "give exactly one"),
        (lambda: networks.lstm(length=3, vocabulary=2, features=2), "give exactly one"),
        (lambda: networks.encoder(length=3, features=2, width=10, heads=4), "heads=4 do not divide width=10"),
        (lambda: networks.encoder(length=3, features=2, activation="tanh"), "activation='tanh'"),
        (lambda: networks.lstm(length=3, features=0), "features=0"),
        (lambda: networks.encoder(length=3, vocabulary=0), "vocabulary=0"),
        (lambda: networks.lstm(length=0, features=2), "length=0"),
    ],
)
def test_what_cannot_be_built_is_refused(build: Callable[[], nn.Module], words: str) -> None:
    with pytest.raises(tw.errors.InputError, match=words):
        build()


def test_sequences_of_another_length_are_refused() -> None:
    for build in (networks.encoder, networks.lstm):
        with pytest.raises(RuntimeError):
            build(length=6, features=2)(torch.randn(2, 5, 2))
