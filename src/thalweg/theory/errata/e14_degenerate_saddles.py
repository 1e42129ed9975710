"""E14: which saddles of a deep linear network are degenerate, a trap more than a slip."""

from __future__ import annotations

import itertools
from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.theory.deep_linear.build import product
from thalweg.theory.deep_linear.critical_points import Spectrum, build
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown


def data(inputs: int, outputs: int, seed: int) -> Spectrum:
    """Ten standard normal rows."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(10, inputs, generator=generator, dtype=torch.float64)
    return Spectrum.of(x, torch.randn(10, outputs, generator=generator, dtype=torch.float64))


def falls(weights: tuple[Tensor, ...], spectrum: Spectrum) -> bool:
    """Whether the dense Hessian of ½‖W_N … W_1 X − Y‖² has a negative eigenvalue, beyond 1e-9 of ‖XYᵀ‖."""
    shapes = [w.shape for w in weights]

    def fn(theta: Tensor) -> Tensor:
        parts = theta.split([s.numel() for s in shapes])
        total = product([p.reshape(s) for p, s in zip(parts, shapes, strict=True)])
        return 0.5 * (spectrum.inputs @ total.T - spectrum.targets).square().sum()

    theta = torch.cat([w.reshape(-1) for w in weights])
    least = torch.linalg.eigvalsh(torch.autograd.functional.hessian(fn, theta))[0]
    return bool(least < -1e-9 * spectrum.cross.norm())


@final
class DegenerateSaddles(Erratum):
    """All weights zero is degenerate from three layers on; in between a rule by blocks is not enough."""

    id: ClassVar[str] = "E14"
    place: ClassVar[str] = "000, Landscape Approach and Its Limitations"
    quote: ClassVar[str] = (
        "First, deep networks typically induce non-strict saddles (e.g. at the point where all weights are zero, see "
        "[Kawaguchi 2016])."
    )
    judgement: ClassVar[Judgement] = "a trap"
    corrected: ClassVar[str] = (
        "True from three layers on; two layers have a strict saddle at zero. For linear networks it is tempting to say "
        "that a saddle of rank r which keeps the largest eigenvectors is non-strict if one block of layers between or "
        "around any two has rank r, and that is right only generically. Exact in every case tried, and not proved: for "
        "every pair of layers i > j, rank(W_{i−1} … W_{j+1}) = r or rank(W_{j−1} … W_1 Σ_XY W_N … W_{i+1}) = r."
    )
    fairness: ClassVar[str] = "No slip of the essay, which says deep; the trap is in what one makes of it."
    states: ClassVar[tuple[str, ...]] = ("000.nonstrict", "002.kawaguchi")

    def refute(self) -> Shown:
        """Zero weights of two layers fall at second order; four layers are degenerate where no block alone says so."""
        zero = data(3, 2, 4)
        two, three = (falls(build(zero, widths, ()).weights, zero) for widths in ((3, 2, 2), (3, 2, 2, 2)))
        spectrum = data(3, 3, 5)
        first = torch.tensor([[1.0, -0.5, 0.2], [0.0, 0.0, 0.0]], dtype=torch.float64)
        through = (first @ spectrum.cross)[0]
        column = torch.linalg.svd(through[None]).Vh[1]
        last = torch.stack([column, torch.zeros(3, dtype=torch.float64)], 1)
        made = build(spectrum, (3, 2, 2, 2, 3), (), [first, None, None, spectrum.vectors.T @ last])
        # Between layers 2 and 3 lies nothing, of rank 2; below them W_1 and above them W_4, of rank 1, and r is 0.
        ranks = [2, *(int(torch.linalg.matrix_rank(w)) for w in (made.weights[0], made.weights[3]))]
        falling = falls(made.weights, spectrum)
        ok = two and not three and 0 not in ranks and not falling and made.kind == "degenerate saddle"
        said = (
            f"zero is {'strict' if two else 'degenerate'} with two layers and {'strict' if three else 'degenerate'} "
            f"with three; at r = 0 blocks of ranks {', '.join(map(str, ranks))}, none of them 0, and yet no descent"
        )
        return Shown(ok, said, {"least rank": min(ranks), "negative": float(falling)})

    def confirm(self) -> Shown:
        """The rule on products against dense Hessians, for every pattern of zero and random blocks of three layers."""
        right, kinds = 0, []
        for widths, r, seed in itertools.product(((3, 3, 3, 3), (2, 3, 2, 3, 2)), (0, 1), (1, 2)):
            layers = len(widths) - 1
            spectrum = data(widths[0], widths[-1], seed)
            inner = [n - r for n in widths]
            shapes = [(inner[1], widths[0]), *((inner[j], inner[j - 1]) for j in range(2, layers + 1))]
            generator = torch.Generator().manual_seed(seed)
            for pattern in itertools.product((False, True), repeat=layers):
                if sum(not p for p in pattern) < 2:
                    continue
                drawn = [torch.randn(*s, generator=generator, dtype=torch.float64) for s in shapes]
                made = build(
                    spectrum, widths, tuple(range(r)), [z if p else None for z, p in zip(drawn, pattern, strict=True)]
                )
                right += falls(made.weights, spectrum) == (made.kind == "strict saddle")
                kinds.append(made.kind)
        said = f"{right} of {len(kinds)} points agree, {kinds.count('degenerate saddle')} of them degenerate"
        return Shown(right == len(kinds) and len(set(kinds)) == 2, said, {"right": right, "points": len(kinds)})


if __name__ == "__main__":
    print(DegenerateSaddles().report())
