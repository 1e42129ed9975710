"""REPAIR without normalising layers: moments of hidden units along the path against layers run one by one."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.paths.test_align_symmetries import images
from thalweg.core.metered import Metered
from thalweg.errors import BudgetSpent, InputError
from thalweg.paths import connect
from thalweg.paths.align import RepairedSegment
from thalweg.paths.align.repair import correctable, corrected, moments


class Shared(nn.Module):
    """One layer runs twice, one has no bias, one shares its weight: none of them can be corrected."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice, self.bare = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.tied, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        self.tied.weight = self.bare.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.twice(self.twice(self.first(x).relu()).relu()).relu()
        return self.head(self.tied(self.bare(x).relu()).relu())


def convolution() -> nn.Sequential:
    torch.manual_seed(0)
    hidden = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(80, 6), nn.ReLU()
    return nn.Sequential(*hidden, nn.Linear(6, 3))


def pair(blocks: int = 1) -> tuple[tw.EmpiricalRisk, torch.Tensor, torch.Tensor]:
    x, y = images(24).double(), torch.randint(0, 3, (24,), generator=torch.Generator().manual_seed(1))
    risk = tw.EmpiricalRisk(convolution().double(), nn.CrossEntropyLoss(), (x, y), block_rows=24 // blocks)
    generator = torch.Generator().manual_seed(2)
    a = risk.initial.theta
    return risk, a, torch.randn(a.shape, generator=generator, dtype=a.dtype) * 0.4


def outputs(risk: tw.EmpiricalRisk, theta: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the hidden layers give out, [units, values], by running the layers one by one."""
    model = convolution().double()
    model.load_state_dict(risk.space.unravel(theta))
    x, found = risk.table.inputs, {}
    assert isinstance(x, torch.Tensor)
    for name, layer in model.named_children():
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            found[name] = x.detach().transpose(0, 1).flatten(1)
    return found


@pytest.mark.parametrize("blocks", [1, 3])
def test_units_keep_the_mix_of_the_moments_of_the_ends(blocks: int) -> None:
    risk, a, b = pair(blocks)
    path = RepairedSegment(knots=3)(risk, a, b)
    knots = torch.from_numpy(path.data["knots"].copy())
    assert torch.equal(knots[0], a) and len(knots) == 5
    seen = [outputs(risk, theta) for theta in knots]
    straight = outputs(risk, (knots[0] + knots[-1]) / 2)
    worst = 0.0
    for name in ("0", "2", "5"):
        means, stds = (
            [float_of(x[name]) for x in seen] for float_of in (lambda x: x.mean(1), lambda x: x.std(1, correction=0))
        )
        for k, t in enumerate((0.25, 0.5, 0.75), 1):
            torch.testing.assert_close(means[k], torch.lerp(means[0], means[-1], t), rtol=1e-9, atol=1e-10)
            torch.testing.assert_close(stds[k], torch.lerp(stds[0], stds[-1], t), rtol=1e-7, atol=1e-10)
        worst = max(worst, float((straight[name].std(1, correction=0) / stds[2] - 1).abs().max()))
    assert worst > 0.1  # the control: without correction they do not
    torch.testing.assert_close(outputs(risk, knots[-1])["7"], outputs(risk, b)["7"], rtol=1e-9, atol=1e-9)


def test_a_layer_is_corrected_exactly_to_what_is_asked() -> None:
    risk, a, b = pair()
    counted, layers = Metered(risk), correctable(risk)
    assert layers == ("0", "2", "5")
    at_b = moments(counted, risk, b, layers)
    found = moments(counted, risk, corrected(counted, risk, a, at_b), layers)
    for name in layers:
        torch.testing.assert_close(found[name].mean, at_b[name].mean, rtol=1e-9, atol=1e-10)
        torch.testing.assert_close(found[name].std, at_b[name].std, rtol=1e-7, atol=1e-10)
    assert counted.meter.cost.forwards == 1 + 3 + 1
    same = corrected(counted, risk, a, moments(counted, risk, a, layers))
    torch.testing.assert_close(same, a, rtol=1e-9, atol=1e-12)


def test_it_lowers_the_barrier_between_aligned_networks() -> None:
    risk = tw.zoo.digits(hidden=(16,), test=1200)
    train = tw.descent.Descent(tw.descent.Adam(0.01), steps=120)
    ends = [train(risk, tw.zoo.digits(seed=s, hidden=(16,)).initial.theta).final[0] for s in (0, 1)]
    found = connect(risk, *ends, ("weight_matching", "repaired"))
    matched, repaired = found.rows
    assert repaired.reordered and repaired.length > 1
    assert repaired.maximum.lower < 0.9 * matched.maximum.lower
    knots = torch.from_numpy(found.data["repaired.knots"].copy())
    share = torch.linspace(0, 1, 40)[:, None]
    dense = max(float(risk.losses(p + share * (q - p)).max()) for p, q in pairwise(knots))
    highest = repaired.maximum.upper or repaired.maximum.lower
    assert repaired.maximum.lower * (1 - 1e-2) <= dense <= highest * (1 + 1e-3)


def test_what_cannot_be_corrected_is_left_or_refused() -> None:
    x, y = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 3
    torch.manual_seed(0)
    risk = tw.EmpiricalRisk(Shared(), nn.CrossEntropyLoss(), (x, y))
    assert correctable(risk) == ("first",)
    linear = tw.EmpiricalRisk(nn.Linear(4, 3), nn.CrossEntropyLoss(), (x, y))
    with pytest.raises(InputError, match="nothing to correct"):
        correctable(linear)
    normal = tw.EmpiricalRisk(
        nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)), nn.CrossEntropyLoss(), (x, y)
    )
    with pytest.raises(InputError, match="--statistics repair"):
        RepairedSegment()(normal, normal.initial, normal.initial.theta + 0.1)
    with pytest.raises(InputError, match="knots=0"):
        RepairedSegment(knots=0)
    chain, a, b = pair()
    with pytest.raises(BudgetSpent):
        RepairedSegment()(chain, a, b, budget=tw.Budget(gradients=3))
