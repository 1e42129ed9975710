"""E1: sublevel sets of deep linear networks whose hidden layers are exactly as wide as the narrower end."""

from __future__ import annotations

from typing import ClassVar, final

import torch

from thalweg.paths import DeepLinear, RankDrop, separate
from thalweg.records import PathStatus
from thalweg.theory.deep_linear.build import balanced, network, point, whitened
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown


@final
class LinearSublevelSets(Erratum):
    """Proposition 2.2 needs hidden layers strictly wider than min(n_1, n_K)."""

    id: ClassVar[str] = "E1"
    place: ClassVar[str] = "004 §2.1, Proposition 2.2"
    quote: ClassVar[str] = (
        "Assume that n_j >= min(n_1, n_K) for j = 2...K-1 [TODO I think this is not necessary]. "
        "Then Omega_{F_e}(lambda) is connected for all lambda, as well as F_o."
    )
    judgement: ClassVar[Judgement] = "needs a hypothesis"
    corrected: ClassVar[str] = (
        "False when some hidden width equals min(n_1, n_K): the sign of a determinant separates, and on whitened data "
        "the barrier of ½‖W − Φ‖² is ½σ_min(Φ)². True, for every convex loss, when every hidden width is larger."
    )
    fairness: ClassVar[str] = (
        "This is a draft with an open question in the statement itself; the text of 2017 that was read has the same ≥, "
        "and a later version may have >."
    )
    states: ClassVar[tuple[str, ...]] = ("004.proposition_2.2", "001.connected_sublevel_sets")

    def refute(self) -> Shown:
        """Two minima of the 2-2-2 network with determinants of opposite sign: bound and path meet at ½σ_min²."""
        phi = torch.diag(torch.tensor([2.0, 0.8], dtype=torch.float64))
        risk = whitened((2, 2, 2), phi)
        first = balanced(phi, (2, 2, 2))
        flip = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))
        a, b = point(risk, first), point(risk, [flip @ first[0], first[1] @ flip])
        ends = risk.losses(torch.stack([a, b]))
        apart = separate(risk, risk.point(a), risk.point(b))
        path = RankDrop()(risk, a, b)
        half = 0.5 * 0.8**2
        top = path.maximum.upper if path.maximum.upper is not None else float("nan")
        bound = apart.bound if apart is not None else float("nan")
        ok = float(ends.max()) < 1e-20 and abs(bound - half) < 1e-9 and abs(top - half) < 1e-9
        said = (
            f"both ends at {float(ends.max()):.2g}, every path reaches {bound:.10g} and one stays below {top:.10g}: "
            f"½σ_min² = {half:.10g}"
        )
        return Shown(ok, said, {"bound": bound, "top": top, "half": half})

    def confirm(self) -> Shown:
        """Widths 6-5-4-5-3, larger than 3 throughout: four pairs of global minima joined without rising."""
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(30, 6, generator=generator, dtype=torch.float64)
        y = torch.randn(30, 3, generator=generator, dtype=torch.float64)
        widths = (6, 5, 4, 5, 3)
        risk = network(widths, x, y)
        best = torch.linalg.lstsq(x, y).solution.T
        excess = 0.0
        for _ in range(4):
            ends = [self._moved(balanced(best, widths), generator) for _ in range(2)]
            a, b = (point(risk, weights) for weights in ends)
            path = DeepLinear()(risk, a, b)
            worse = float(risk.losses(torch.stack([a, b])).max())
            top = path.maximum.upper if path.maximum.upper is not None else float("inf")
            excess = max(excess, (top - worse) / worse)
            if path.status is not PathStatus.CONNECTED:
                return Shown(False, path.message)
        return Shown(
            excess < 1e-12,
            f"four pairs of minima are joined with a relative excess of {excess:.2g}",
            {"excess": excess},
        )

    @staticmethod
    def _moved(weights: list[torch.Tensor], generator: torch.Generator) -> list[torch.Tensor]:
        """Other weights with the same product: W_j → D_j W_j D_{j−1}⁻¹, some with a determinant below 0."""
        found, before = [], None
        for j, w in enumerate(weights):
            turned = w if before is None else w @ torch.linalg.inv(before)
            before = None
            if j < len(weights) - 1:
                m = len(w)
                before = torch.linalg.qr(torch.randn(m, m, generator=generator, dtype=torch.float64)).Q
                turned = before @ turned
            found.append(turned)
        return found


if __name__ == "__main__":
    print(LinearSublevelSets().report())
