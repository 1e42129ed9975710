"""E12: full rank of features means rank n."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.core.function import Function
from thalweg.critical import classify
from thalweg.records import PointStatus
from thalweg.theory.errata.descents import descents
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown

X = torch.tensor([0.7, 1.6, 2.9], dtype=torch.float64)
Y = torch.tensor([1.0, -0.8, 0.9], dtype=torch.float64)


def sines(units: int) -> Function:
    """Σ_i (Σ_k v_k sin(w_k x_i) − y_i)² over (w, v)."""

    def fn(t: Tensor) -> Tensor:
        return (torch.sin(torch.outer(X, t[:units])) @ t[units:] - Y).square().sum()

    return Function(fn, 2 * units, initial=torch.ones(2 * units, dtype=torch.float64))


@final
class FullRank(Erratum):
    """Claim VI.1 needs rank n, which needs at least n units."""

    id: ClassVar[str] = "E12"
    place: ClassVar[str] = "001 §VI-A, Claim VI.1"
    quote: ClassVar[str] = (
        "Define W_{L,full}={theta: Z_L(X) is full rank}. Every local minimum of F(theta) in the set W_{L,full} is a "
        "global minimum."
    )
    judgement: ClassVar[Judgement] = "needs a hypothesis"
    corrected: ClassVar[str] = (
        "Full rank has to mean rank n, hence at least n units, with a convex differentiable loss; for the logistic "
        "loss the set then holds no critical point. In the same way “full-rankness of G is equivalent to the "
        "full-rankness of K” needs P ≥ n, and what Claim VII.1 bounds is λ_min(K) = σ_n(G)² ≥ c²."
    )
    fairness: ClassVar[str] = "An ambiguity: the section is about wide networks, for which full rank is rank n."
    states: ClassVar[tuple[str, ...]] = ("001.claim_VI.1", "001.claim_VI.3", "001.claim_VII.1")

    def refute(self) -> Shown:
        """One sine unit on three rows: Z is 1 × 3 and not zero, so of full rank, at strict bad minima."""
        fn = sines(1)
        starts = torch.stack([torch.linspace(0.2, 6, 20), torch.linspace(-1, 1, 20).sign()], 1).double()
        found: dict[float, Tensor] = {}
        for theta in descents(fn, starts)[0]:
            judged = classify(fn, theta)
            if judged.status is PointStatus.STRICT_MINIMUM:
                found.setdefault(round(judged.value, 6), theta)
        values = sorted(found)
        theta = found[values[-1]]
        features = float(torch.sin(theta[0] * X).norm())
        jacobian = torch.stack([theta[1] * X * torch.cos(theta[0] * X), torch.sin(theta[0] * X)])
        ranks = [int(torch.linalg.matrix_rank(m)) for m in (jacobian, jacobian.T @ jacobian)]
        ok = len(values) > 1 and values[-1] > values[0] + 0.1 and features > 0.1 and ranks == [2, 2]
        said = (
            f"{len(values)} strict local minima, {values[0]:.4g} to {values[-1]:.4g}, with ‖Z‖ = {features:.3g} at the "
            f"worst; there G has the full rank {ranks[0]} of its 2 parameters and K, 3 × 3, rank {ranks[1]}"
        )
        return Shown(ok, said, {"best": values[0], "worst": values[-1], "features": features})

    def confirm(self) -> Shown:
        """Four sine units: ‖e‖ ≤ ‖∂F/∂v‖/(2σ_3) everywhere, and descents that end with σ_3 above 0 end at 0."""
        fn = sines(4)
        starts = torch.randn(64, 8, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        ratio = 0.0
        for theta, gradient in zip(starts, fn.value_and_grad(starts)[1], strict=True):
            least = float(torch.linalg.svdvals(torch.sin(torch.outer(X, theta[:4])))[-1])
            ratio = max(ratio, float(fn.scalar(theta).sqrt()) * 2 * least / float(gradient[4:].norm()))
        ends, still = descents(fn, starts[:16])
        smallest = torch.stack([torch.linalg.svdvals(torch.sin(torch.outer(X, t[:4])))[-1] for t in ends])
        full = fn.losses(ends)[(smallest > 1e-2) & (still < 1e-4)].tolist()
        ok = 0.1 < ratio <= 1 + 1e-12 and len(full) > 8 and max(full) < 1e-8
        said = (
            f"the ratio is {ratio:.3g} at most on 64 networks; {len(full)} of 16 descents end with rank 3, "
            f"at {max(full):.1g}"
        )
        return Shown(ok, said, {"ratio": ratio, "full": len(full), "worst": max(full)})


if __name__ == "__main__":
    print(FullRank().report())
