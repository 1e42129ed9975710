"""E24: a low loss at the ends and a high one between them show no disconnection."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.core.risk import EmpiricalRisk
from thalweg.paths import DeepLinear, RankDrop, separate
from thalweg.slices import Line
from thalweg.theory.deep_linear.build import balanced, point, whitened
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown


@final
class Disconnection(Erratum):
    """Only a lower bound over all paths disconnects."""

    id: ClassVar[str] = "E24"
    place: ClassVar[str] = "004 §6"
    quote: ClassVar[str] = (
        "it will be clear two models cannot be connected once the loss on either of the two initial models, theta_1 or "
        "theta_2, is less than Gamma(theta_1, theta_2)."
    )
    judgement: ClassVar[Judgement] = "false"
    corrected: ClassVar[str] = (
        "That a string rises above its ends says nothing about other paths; a lower bound for all paths does, such as "
        "the best loss where a determinant vanishes, in deep linear networks."
    )
    fairness: ClassVar[str] = (
        "Γ is not defined; it is read as the largest loss on the string. §3.2 of the same draft says that a failure of "
        "the algorithm does not show that two models are disconnected."
    )
    states: ClassVar[tuple[str, ...]] = ("004.constrained", "004.failure")

    def refute(self) -> Shown:
        """Widths 2-4-2: the straight string rises far above both ends, which a path joins at 0."""
        risk, a, b = self._pair((2, 4, 2))
        ends = float(risk.losses(torch.stack([a, b])).max())
        string = float(Line(steps=101)(risk, a, b).data["loss"].max())
        path = DeepLinear()(risk, a, b)
        top = path.maximum.upper if path.maximum.upper is not None else float("inf")
        said = f"ends at {ends:.1g}, the straight string at {string:.4g}, and another path at {top:.1g}"
        return Shown(ends < 1e-20 and string > 0.1 and top < 1e-20, said, {"string": string, "top": top})

    def confirm(self) -> Shown:
        """Widths 2-2-2: a bound below every path, which a constructed one attains."""
        risk, a, b = self._pair((2, 2, 2))
        apart, path = separate(risk, a, b), RankDrop()(risk, a, b)
        bound = apart.bound if apart is not None else 0.0
        top = path.maximum.upper if path.maximum.upper is not None else float("inf")
        said = f"every path reaches {bound:.10g}, and one does not exceed {top:.10g}"
        return Shown(bound > 0.1 and abs(top - bound) < 1e-9, said, {"bound": bound, "top": top})

    @staticmethod
    def _pair(widths: tuple[int, int, int]) -> tuple[EmpiricalRisk, Tensor, Tensor]:
        """Two minima, the second with the first hidden unit's weights negated."""
        phi = torch.diag(torch.tensor([2.0, 0.8], dtype=torch.float64))
        risk, weights = whitened(widths, phi), balanced(phi, widths)
        flip = torch.eye(widths[1], dtype=torch.float64)
        flip[0, 0] = -1.0
        return risk, point(risk, weights), point(risk, [flip @ weights[0], weights[1] @ flip])


if __name__ == "__main__":
    print(Disconnection().report())
