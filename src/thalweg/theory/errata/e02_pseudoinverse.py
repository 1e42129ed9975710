"""E2: the path by a pseudoinverse does not end where it should."""

from __future__ import annotations

from typing import ClassVar, final

import torch

from thalweg.theory.errata.e01_linear_sublevel_sets import LinearSublevelSets
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown


@final
class Pseudoinverse(Erratum):
    """W_K(t)† W̃(t) has the right product or the right ends, not both."""

    id: ClassVar[str] = "E2"
    place: ClassVar[str] = "004 §2.1, proof of Proposition 2.2"
    quote: ClassVar[str] = (
        "W_{K-1}(t) = W_K(t)^dagger W~_{K-1}(t), where W_K(t)^dagger = (W_K^T W_K)^{-1} W_K^T ... Conditions (i) and "
        "(ii) are immediate from the definition, and condition (iii) results from the fact that "
        "W_K(t) W_K(t)^dagger = I_{N_K}, since W_K(t) has full rank for all t in (0,1)."
    )
    judgement: ClassVar[Judgement] = "false"
    corrected: ClassVar[str] = (
        "The right inverse gives the product (iii) and in general misses the end (i), unless the columns of "
        "W_{K−1} lie in the row space of W_K; the left inverse as printed keeps (i) and misses (iii). First "
        "project W_{K−1} onto that row space, which leaves the product as it is, and complete W_K to full row rank "
        "on the rest."
    )
    fairness: ClassVar[str] = "Left and right are a slip of transposition; the missed end is the error."
    states: ClassVar[tuple[str, ...]] = ("004.proposition_2.2",)

    def refute(self) -> Shown:
        """At t = 0, for W_K of 2 × 4 with the right inverse, and of 5 × 3 with the left one."""
        generator = torch.Generator().manual_seed(1)
        wide, below = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in ((2, 4), (4, 3)))
        end = float((torch.linalg.pinv(wide) @ (wide @ below) - below).norm())
        tall = torch.randn(5, 3, generator=generator, dtype=torch.float64)
        left = torch.linalg.inv(tall.T @ tall) @ tall.T
        identity = float((tall @ left - torch.eye(5, dtype=torch.float64)).norm())
        said = f"the right inverse misses the end by {end:.3g}, the left one W_K W_K† = I by {identity:.3g}"
        return Shown(end > 0.1 and identity > 0.1, said, {"end": end, "identity": identity})

    def confirm(self) -> Shown:
        """Projected first, the end is met; and the whole path built that way does not rise."""
        generator = torch.Generator().manual_seed(1)
        wide, below = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in ((2, 4), (4, 3)))
        projected = torch.linalg.pinv(wide) @ wide @ below
        kept = float((wide @ projected - wide @ below).norm())
        met = float((torch.linalg.pinv(wide) @ (wide @ projected) - projected).norm())
        whole = LinearSublevelSets().confirm()
        said = f"projection changes the product by {kept:.2g} and the end is then met to {met:.2g}; {whole.said}"
        return Shown(kept < 1e-12 and met < 1e-12 and whole.ok, said, {"product": kept, "end": met})


if __name__ == "__main__":
    print(Pseudoinverse().report())
