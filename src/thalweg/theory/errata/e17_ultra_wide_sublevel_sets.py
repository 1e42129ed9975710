"""E17: connected sublevel sets of wide ReLU networks, up to a gap or with units to spare."""

from __future__ import annotations

import math
from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.paths import separate
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown
from thalweg.theory.errata.relu import excess, relu, rows


def teacher(units: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W_1 [units, 2], W_2 [1, units], inputs [60, 2] and the targets [60, 1] that they give."""
    generator = torch.Generator().manual_seed(seed)
    turns = 2 * math.pi * torch.arange(units, dtype=torch.float64) / (units + 0.5)
    w = torch.stack([turns.cos(), turns.sin()], 1)
    v = 0.5 + torch.rand(1, units, generator=generator, dtype=torch.float64)
    x = torch.randn(60, 2, generator=generator, dtype=torch.float64)
    return w, v, x, (x @ w.T).clamp(min=0) @ v.T


@final
class UltraWideSublevelSets(Erratum):
    """No width is wide enough for every level and every law of the data."""

    id: ClassVar[str] = "E17"
    place: ClassVar[str] = "001 §V-B, after Conjecture V.4"
    quote: ClassVar[str] = (
        "Freeman and Bruna [17], who proved a stronger property that the sub-level set {theta | F(theta)<=c} is "
        "connected for any c, for deep linear networks and 1-hidden-layer ultra-wide ReLU networks."
    )
    judgement: ClassVar[Judgement] = "needs a hypothesis"
    corrected: ClassVar[str] = (
        "The theorem and corollary on ReLU networks that were read (2017, Theorem 2.4 and Corollary 2.5) give "
        "connectedness up to a gap that vanishes as the width grows, not at every level of a network of given width: "
        "targets made by a network of that width set its permutations apart. On n rows 2n units are enough for every "
        "level. For the deep linear half see E1."
    )
    fairness: ClassVar[str] = "A half-sentence in passing; “ultra-wide” may stand for the limit."
    states: ClassVar[tuple[str, ...]] = ("001.connected_sublevel_sets", "004.theorem_2.4")

    def refute(self) -> Shown:
        """A network of two units against itself with the units exchanged; and up to five, whose fits are isolated."""
        w, v, x, y = teacher(2)
        risk = relu(x, y, 2, bias=False)
        a, b = (torch.cat([w[order].flatten(), v[0, order]]) for order in ([0, 1], [1, 0]))
        ends = float(risk.losses(torch.stack([a, b])).max())
        apart = separate(risk, a, b)
        bound = apart.bound if apart is not None else 0.0
        # At a fit the Hessian is that of the outputs: its kernel is the rescaling of each unit and nothing else.
        kernels = []
        for units in range(2, 6):
            w, v, x, _ = teacher(units)
            on = (x @ w.T > 0).double()
            inner = torch.einsum("nk,nd->nkd", on * v, x).flatten(1)
            jacobian = torch.cat([inner, (x @ w.T).clamp(min=0)], 1)
            kernels.append(3 * units - int(torch.linalg.matrix_rank(jacobian)))
        ok = ends < 1e-25 and bound > 1e-3 and kernels == [2, 3, 4, 5]
        said = (
            f"two exchanged units: F <= {ends:.1g} at both ends, and every path reaches {bound:.4g}; "
            f"kernels of fits of 2 … 5 units have dimensions {', '.join(map(str, kernels))}"
        )
        return Shown(ok, said, {"ends": ends, "bound": bound})

    def confirm(self) -> Shown:
        """On four rows with eight units, random pairs are joined without rising."""
        risk = relu(*rows(4, 2, 3), 8)
        thetas = torch.randn(16, risk.space.size, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
        rise = excess(risk, thetas[:8], thetas[8:])
        return Shown(rise < 1e-12, f"eight pairs are joined with a rise of {rise:.2g}", {"rise": rise})


if __name__ == "__main__":
    print(UltraWideSublevelSets().report())
