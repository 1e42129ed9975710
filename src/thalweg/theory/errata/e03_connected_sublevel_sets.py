"""E3: connected sublevel sets exclude strict bad minima, not plateaus."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.core.risk import EmpiricalRisk
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown
from thalweg.theory.errata.relu import excess, relu, rows
from thalweg.theory.errata.wells import bad_minima, spurious_valleys

ROWS, UNITS = 4, 8
"""As many units as two networks have features on these rows, so that every sublevel set is connected."""


@final
class ConnectedSublevelSets(Erratum):
    """Proposition 2.1 holds for strict local minima."""

    id: ClassVar[str] = "E3"
    place: ClassVar[str] = "004 §2, Proposition 2.1"
    quote: ClassVar[str] = (
        "If Omega_F(lambda) is connected for all lambda then every local minima of F(theta) is a global minima."
    )
    judgement: ClassVar[Judgement] = "needs a hypothesis"
    corrected: ClassVar[str] = (
        "Every strict local minimum is then a global one, and so is every setwise strict one: there is no sub-optimal "
        "basin. A local minimum that is not strict may be bad: a plateau strictly above the infimum is enough, such "
        "as that of a two-layer ReLU network whose units are dead on the data, although with 2n units on n rows every "
        "sublevel set is connected."
    )
    fairness: ClassVar[str] = (
        "The proof uses no more than H ⪰ 0, so that minima that are not strict are meant, and takes a twice "
        "differentiable path where connectedness alone gives none. The text of 2017 that was read has the same "
        "sentence."
    )
    states: ClassVar[tuple[str, ...]] = ("004.proposition_2.1",)

    def refute(self) -> Shown:
        """Dead units: F is constant in a ball around the point, above 0, and constructed paths from it never rise."""
        risk, dead = self._dead()
        generator = torch.Generator().manual_seed(2)
        radius = 1.0
        near = torch.randn(500, len(dead), generator=generator, dtype=torch.float64)
        near = dead + radius * near / near.norm(dim=1, keepdim=True)
        here = float(risk.losses(dead[None])[0])
        spread = float((risk.losses(near) - here).abs().max())
        others = torch.randn(12, len(dead), generator=generator, dtype=torch.float64)
        starts = torch.cat([dead.expand(6, -1), others[:3]])
        rise = excess(risk, starts, torch.cat([others[:6], others[9:]]))
        best = float(risk.losses(self._fitted(risk, others[0])[None])[0])
        ok = spread == 0.0 and here > 0.1 and best < 1e-12 and rise < 1e-12
        said = (
            f"F = {here:.6g} throughout a ball of radius {radius:g} (spread {spread:.2g}) while {best:.2g} is attained "
            f"elsewhere; nine paths rise by {max(rise, 0):.2g} at most"
        )
        return Shown(ok, said, {"spread": spread, "plateau": here, "best": best, "rise": rise})

    def confirm(self) -> Shown:
        """Strict minima of a tilted double well: a bad one exactly where some sublevel set is not connected."""
        tilts = [0.1 * k + 0.05 for k in range(-25, 25)]
        bad = [bad_minima(c) for c in tilts]
        apart = [spurious_valleys(c) for c in tilts]
        both = sum(b > 0 for b in bad)
        said = (
            f"of {len(tilts)} wells {both} have a bad strict minimum, and the same {sum(a > 0 for a in apart)} are cut"
        )
        return Shown(bad == apart and 0 < both < len(tilts), said, {"bad": both, "apart": sum(a > 0 for a in apart)})

    @staticmethod
    def _dead() -> tuple[EmpiricalRisk, Tensor]:
        """Biases so low that no unit is on within a distance of 1."""
        x, y = rows(ROWS, 2, 1)
        risk = relu(x, y, UNITS)
        dead = torch.randn(risk.space.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        dead[risk.space["0.bias"].span] = -20.0
        return risk, dead

    @staticmethod
    def _fitted(risk: EmpiricalRisk, theta: Tensor) -> Tensor:
        """The same units with the last layer that fits every row."""
        x, y = rows(ROWS, 2, 1)
        found = theta.clone()
        first = theta[risk.space["0.weight"].span].reshape(UNITS, 2)
        features = (x @ first.T + theta[risk.space["0.bias"].span]).clamp(min=0)
        found[risk.space["2.weight"].span] = torch.linalg.lstsq(features, y, driver="gelsd").solution.flatten()
        return found


if __name__ == "__main__":
    print(ConnectedSublevelSets().report())
