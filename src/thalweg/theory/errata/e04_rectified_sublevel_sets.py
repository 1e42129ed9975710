"""E4: sublevel sets of rectified networks on Y = |X|."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import torch
from scipy import integrate, stats

from thalweg.theory.errata.erratum import Erratum, Judgement, Shown
from thalweg.theory.errata.relu import excess, relu


def oracle(first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """E(Σ_k v_k max(w_k X, 0) − |X|)² for X ~ N(0, 1), [B]: ½(a₊ − 1)² + ½(a₋ − 1)² with the slopes on both sides."""
    right = (last * first.clamp(min=0)).sum(-1)
    left = (last * (-first).clamp(min=0)).sum(-1)
    return 0.5 * (right - 1) ** 2 + 0.5 * (left - 1) ** 2


@final
class RectifiedSublevelSets(Erratum):
    """Theorem 2.3 fails at the widths it allows."""

    id: ClassVar[str] = "E4"
    place: ClassVar[str] = "004 §2.2, Theorem 2.3"
    quote: ClassVar[str] = (
        "Assume that n_j >= min(n_1, n_K) for j = 2...K-1 [TODO I think this is not necessary]. "
        "Then Omega_{F_o}(lambda) is connected for all lambda."
    )
    judgement: ClassVar[Judgement] = "false"
    corrected: ClassVar[str] = (
        "At a given width sublevel sets of rectified networks are in general not connected: on Y = |X| one unit has "
        "two families of minima at ½ with a barrier of 1, and two units, more than the theorem asks for, two families "
        "at 0 with a barrier of ½. Connectedness up to a gap needs units to spare; with as many as both networks' "
        "features have rank together, paths do not rise at all."
    )
    fairness: ClassVar[str] = (
        "An unfinished draft with two marks of work to be done; §2.3.1 of the text of 2017 that was read says itself "
        "that such sets are generically disconnected."
    )
    states: ClassVar[tuple[str, ...]] = ("004.theorem_2.3",)

    def refute(self) -> Shown:
        """Where a unit's weight changes sign, F is 1 with one unit, and at least ½ with two."""
        formula = self._against_integration()
        ends = oracle(torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0], [1.0]]))
        v = torch.linspace(-50, 50, 2001, dtype=torch.float64)[:, None]
        wall = float(oracle(torch.zeros_like(v), v).min())
        pair = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
        both = oracle(pair, torch.ones(2, 2))
        # One unit at w = 0: of the other one slope is 0, whatever its weights are.
        w, u = torch.meshgrid(*[torch.linspace(-4, 4, 161, dtype=torch.float64)] * 2, indexing="ij")
        first = torch.stack([torch.zeros_like(w), w], -1)
        higher = float(oracle(first, torch.stack([torch.ones_like(u), u], -1)).min())
        ok = formula < 1e-8 and bool((ends == 0.5).all()) and wall == 1.0 and not both.any() and higher == 0.5
        said = (
            f"one unit: ends at {float(ends.max()):g}, F = {wall:g} wherever its weight is 0; two units: ends "
            f"at {float(both.max()):g}, F >= {higher:g} wherever a weight is 0 (off integration by {formula:.1g})"
        )
        return Shown(ok, said, {"end": float(ends.max()), "wall": wall, "pair": float(both.max()), "between": higher})

    def confirm(self) -> Shown:
        """The same targets on eight rows with four units, twice what both sides of 0 need: paths do not rise."""
        x = torch.tensor([[-2.0], [-1.3], [-0.7], [-0.2], [0.3], [0.8], [1.1], [1.9]], dtype=torch.float64)
        risk = relu(x, x.abs(), 4, bias=False)
        generator = torch.Generator().manual_seed(3)
        thetas = torch.randn(12, risk.space.size, generator=generator, dtype=torch.float64)
        one = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
        other = torch.cat([-one[:4], one[4:]])
        rise = excess(risk, torch.cat([thetas[:6], one[None]]), torch.cat([thetas[6:], other[None]]))
        said = f"seven pairs, one of them the two families of minima, are joined with a rise of {rise:.2g}"
        return Shown(rise < 1e-12, said, {"rise": rise})

    @staticmethod
    def _against_integration() -> float:
        """The closed form against quadrature, at three networks of two units."""
        worst = 0.0
        for w, v in (((1.0, -0.5), (0.7, 2.0)), ((0.3, 0.9), (1.0, -1.0)), ((-2.0, -0.1), (0.4, 0.2))):
            a, b = np.array(w), np.array(v)

            def at(x: float, a: np.ndarray = a, b: np.ndarray = b) -> float:
                return float((b @ np.maximum(a * x, 0) - abs(x)) ** 2 * stats.norm.pdf(x))

            exact = integrate.quad(at, -12, 0)[0] + integrate.quad(at, 0, 12)[0]
            worst = max(worst, abs(exact - float(oracle(torch.from_numpy(a), torch.from_numpy(b)))))
        return worst


if __name__ == "__main__":
    print(RectifiedSublevelSets().report())
