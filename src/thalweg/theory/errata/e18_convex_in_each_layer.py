"""E18: convexity in the weights of one layer."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown
from thalweg.theory.errata.relu import rows


def middle(activation: nn.Module, layer: str, seed: int = 0, pairs: int = 200) -> float:
    """The largest F(middle) − mean of F(ends) over random pairs that differ in one layer of a 2-3-1 network."""
    torch_rng = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 3, bias=False), activation, nn.Linear(3, 1, bias=False)).double()
    risk = EmpiricalRisk(model, nn.MSELoss(), rows(8, 2, seed))
    one = torch.randn(pairs, risk.space.size, generator=torch_rng, dtype=torch.float64)
    other, span = one.clone(), risk.space[layer].span
    other[:, span] = torch.randn(other[:, span].shape, generator=torch_rng, dtype=torch.float64)
    values = risk.losses(torch.cat([one, other, (one + other) / 2])).reshape(3, pairs)
    return float((values[2] - (values[0] + values[1]) / 2).max())


@final
class ConvexInEachLayer(Erratum):
    """True of the last layer, and of every layer of a linear network."""

    id: ClassVar[str] = "E18"
    place: ClassVar[str] = "003 second paragraph"
    quote: ClassVar[str] = (
        "the objective function of neural networks is highly non-convex (it is individually convex with respect to the "
        "weights of each layer, but it is not jointly convex)"
    )
    judgement: ClassVar[Judgement] = "false"
    corrected: ClassVar[str] = (
        "Convex in the last layer for any loss that is convex in the outputs, and in every layer of a linear network; "
        "not in hidden layers before an activation."
    )
    fairness: ClassVar[str] = "An aside in an essay for a general reader."
    states: ClassVar[tuple[str, ...]] = ("003.layerwise_convex",)

    def refute(self) -> Shown:
        """In the hidden layer of ReLU and tanh networks some middles lie above the mean of their ends."""
        relu, tanh = middle(nn.ReLU(), "0.weight"), middle(nn.Tanh(), "0.weight")
        said = f"middles lie above the mean by up to {relu:.3g} (ReLU) and {tanh:.3g} (tanh)"
        return Shown(min(relu, tanh) > 0.01, said, {"relu": relu, "tanh": tanh})

    def confirm(self) -> Shown:
        """In the last layer of both, and in both layers of the linear network, none does."""
        cases = [middle(nn.ReLU(), "2.weight"), middle(nn.Tanh(), "2.weight")]
        cases += [middle(nn.Identity(), layer) for layer in ("0.weight", "2.weight")]
        said = f"the largest excess of 800 middles is {max(cases):.2g}"
        return Shown(max(cases) < 1e-12, said, {"most": max(cases)})


if __name__ == "__main__":
    print(ConvexInEachLayer().report())
