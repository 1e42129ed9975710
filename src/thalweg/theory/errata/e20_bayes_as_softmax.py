"""E20: Bayes' rule as a softmax of energies."""

from __future__ import annotations

from typing import ClassVar, final

import torch

from thalweg.theory.errata.erratum import Erratum, Judgement, Shown


@final
class BayesAsSoftmax(Erratum):
    """The left side is conditional, and the Hamiltonian is that of x given y."""

    id: ClassVar[str] = "E20"
    place: ClassVar[str] = "002 Spin-glass Hamiltonian"
    quote: ClassVar[str] = (
        "H_x(y) = -ln p(y|x) as the Hamiltonian ... mu = -ln p as self-information. We can rewrite Bayes' formula as: "
        "p(y) = sigma(-H(y)-mu)"
    )
    judgement: ClassVar[Judgement] = "misprint"
    corrected: ClassVar[str] = "p(y|x) = σ(−H − μ) over y, with H = −ln p(x|y) and μ = −ln p(y)."
    fairness: ClassVar[str] = "The two conditionals are exchanged, in a paragraph on an analogy."
    states: ClassVar[tuple[str, ...]] = ("002.hamiltonian",)

    def refute(self) -> Shown:
        """A random table of p(x, y): the printed softmax is neither p(y) nor p(y|x)."""
        joint = self._joint()
        marginal, given = joint.sum(0), joint / joint.sum(1, keepdim=True)
        found = torch.softmax(given.log() + marginal.log(), dim=1)
        away = [float((found - other).abs().max()) for other in (marginal.expand_as(found), given)]
        said = f"the printed softmax misses p(y) by {away[0]:.3g} and p(y|x) by {away[1]:.3g}"
        return Shown(min(away) > 0.01, said, {"marginal": away[0], "conditional": away[1]})

    def confirm(self) -> Shown:
        """The corrected one is p(y|x)."""
        joint = self._joint()
        marginal, likelihood = joint.sum(0), joint / joint.sum(0)
        found = torch.softmax(likelihood.log() + marginal.log(), dim=1)
        away = float((found - joint / joint.sum(1, keepdim=True)).abs().max())
        return Shown(away < 1e-14, f"the corrected softmax is p(y|x) to {away:.1g}", {"away": away})

    @staticmethod
    def _joint() -> torch.Tensor:
        table = torch.rand(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return table / table.sum()


if __name__ == "__main__":
    print(BayesAsSoftmax().report())
