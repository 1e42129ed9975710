"""E10: planes through global minima, in which paths rise or do not."""

from __future__ import annotations

from typing import ClassVar, final

import torch

from thalweg.paths import DeepLinear, separate
from thalweg.slices import Line
from thalweg.theory.deep_linear.build import balanced, network, point, whitened
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown
from thalweg.zoo.functions import scalar_chain


@final
class PlanesOfMinima(Erratum):
    """Conjectures V.3 and V.4 need assumptions on the network and the minima."""

    id: ClassVar[str] = "E10"
    place: ClassVar[str] = "001 §V-B, Conjectures V.3 and V.4"
    quote: ClassVar[str] = (
        "Then in any continuous path in the plane M(theta_1^*, theta_2^*, theta_3^*) that connects theta_1^* and "
        "theta_2^*, the maximum of F is strictly larger than F(theta_1^*). ... there exists a continuous path in the "
        "plane M(theta_1^*, theta_2^*, theta_0) that connects theta_1^* and theta_2^* and passes theta_0, along which "
        "the value of F is constant."
    )
    judgement: ClassVar[Judgement] = "needs a hypothesis"
    corrected: ClassVar[str] = (
        "False without assumptions of genericity, which the survey leaves implicit. V.3 fails wherever minimisers form "
        "an affine set and holds for minima that are separated; V.4 fails for those, in whatever plane, and paths of "
        "constant value, though not in a plane, join all minima of deep linear networks whose hidden layers are wider "
        "than the narrower end."
    )
    fairness: ClassVar[str] = (
        "Both are labelled conjectures about trained networks. As printed M is the span of three vectors, of dimension "
        "three; the plane through three points is meant."
    )
    states: ClassVar[tuple[str, ...]] = ("001.conjecture_V.3", "001.conjecture_V.4")

    def refute(self) -> Shown:
        """V.3: least squares with six unknowns on two rows. V.4: 2-2-2 with determinants of opposite sign."""
        generator = torch.Generator().manual_seed(6)
        x = torch.randn(2, 6, generator=generator, dtype=torch.float64)
        y = torch.randn(2, 1, generator=generator, dtype=torch.float64)
        risk = network((6, 1), x, y)
        minima = torch.randn(3, 6, generator=generator, dtype=torch.float64)
        minima = minima + torch.linalg.lstsq(x, y - x @ minima.T, driver="gelsd").solution.T
        rank = int(torch.linalg.matrix_rank(minima))
        top = float(Line(steps=51)(risk, minima[0], minima[1]).data["loss"].max())
        phi = torch.diag(torch.tensor([2.0, 0.8], dtype=torch.float64))
        square = whitened((2, 2, 2), phi)
        first = balanced(phi, (2, 2, 2))
        flip = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))
        a, b = point(square, first), point(square, [flip @ first[0], first[1] @ flip])
        ends = float(square.losses(torch.stack([a, b])).max())
        apart = separate(square, a, b)
        bound = apart.bound if apart is not None else 0.0
        ok = rank == 3 and top < 1e-25 and ends < 1e-25 and bound > 0.3
        said = f"V.3: {rank} independent minimisers, F <= {top:.1g} between them; V.4: every path reaches {bound:.6g}"
        return Shown(ok, said, {"rank": rank, "top": top, "ends": ends, "bound": bound})

    def confirm(self) -> Shown:
        """V.3 where minima are separated, (xyz − 1)²; a constant path, as V.4 asks, for the widths 2-4-3-2."""
        chain = scalar_chain()
        minima = [torch.tensor(t, dtype=torch.float64) for t in ((1.0, 1.0, 1.0), (-1.0, -1.0, 1.0), (1.0, -1.0, -1.0))]
        chain = chain.to(torch.float64)
        least = float("inf")
        for i, j in ((0, 1), (1, 2), (0, 2)):
            apart = separate(chain, minima[i], minima[j])
            least = min(least, apart.bound if apart is not None else 0.0)
        phi = torch.tensor([[2.0, 0.3], [0.0, 0.8]], dtype=torch.float64)
        widths = (2, 4, 3, 2)
        risk = whitened(widths, phi)
        weights = balanced(phi, widths)
        turn = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
        other = [turn @ weights[0], weights[1] @ turn, weights[2]]
        path = DeepLinear()(risk, point(risk, weights), point(risk, other))
        top = path.maximum.upper if path.maximum.upper is not None else float("inf")
        said = f"between any two of three separated minima F reaches {least:g}; on wider layers a path has {top:.1g}"
        return Shown(least == 1.0 and top < 1e-20, said, {"separated": least, "constant": top})


if __name__ == "__main__":
    print(PlanesOfMinima().report())
