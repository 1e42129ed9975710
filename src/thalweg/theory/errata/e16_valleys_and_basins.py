"""E16: without spurious valleys there is no sub-optimal basin; a basin there may be."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from thalweg.theory.errata.erratum import Erratum, Judgement, Shown
from thalweg.theory.errata.wells import bad_minima, spurious_valleys
from thalweg.topology import sublevel


@final
class ValleysAndBasins(Erratum):
    """Remark 2 leaves out a word."""

    id: ClassVar[str] = "E16"
    place: ClassVar[str] = "001 §IV-D, Remark 2"
    quote: ClassVar[str] = (
        "If a function has no spurious valley, then it does not have set-wise local minima; the reverse is not true"
    )
    judgement: ClassVar[Judgement] = "needs a hypothesis"
    corrected: ClassVar[str] = (
        "… then it does not have sub-optimal setwise strict local minima. The minimum of x² is one, and no valley "
        "is spurious. The reverse is indeed not true: x²e^{−x} has a spurious valley that leads to infinity, and no "
        "sub-optimal basin."
    )
    fairness: ClassVar[str] = (
        "The footnote of the same remark has it right: “no spurious valley implies no sub-optimal basin”."
    )
    states: ClassVar[tuple[str, ...]] = ("001.remark_IV.2", "001.definition_IV.3", "001.definition_IV.4")

    def refute(self) -> Shown:
        """On a grid x² is cut at no level, and its minimum is strictly below all other values."""
        x = np.linspace(-1, 1, 201)
        tree = sublevel(x**2)
        below = np.partition(x**2, 1)
        said = (
            f"x² has {len(tree) - 1} spurious valleys, and at 0 a minimum that is lower than all else by {below[1]:.2g}"
        )
        return Shown(
            len(tree) == 1 and below[0] < below[1], said, {"valleys": len(tree) - 1, "gap": below[1] - below[0]}
        )

    def confirm(self) -> Shown:
        """Fifty wells: no spurious valley, no bad minimum. And x²e^{−x}: a spurious valley without one."""
        tilts = [0.1 * k + 0.05 for k in range(-25, 25)]
        clean = [c for c in tilts if spurious_valleys(c) == 0]
        broken = sum(bad_minima(c) > 0 for c in clean)
        x = np.linspace(-1, 40, 4101)
        values = x**2 * np.exp(-x)
        valleys = len(sublevel(values)) - 1
        inner = int(((values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])).sum())
        said = (
            f"{len(clean)} of {len(tilts)} wells have no spurious valley and {broken} of those a bad minimum; "
            f"x²e^(−x) has {valleys} spurious valley and {inner - 1} bad minima"
        )
        ok = 0 < len(clean) < len(tilts) and broken == 0 and valleys == 1 and inner == 1
        return Shown(ok, said, {"clean": len(clean), "broken": broken, "valleys": valleys})


if __name__ == "__main__":
    print(ValleysAndBasins().report())
