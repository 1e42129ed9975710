"""Critical points of full rank are global minima, the others saddles (Yun, Sra & Jadbabaie 2018, Theorem 2.1)."""

from __future__ import annotations

from typing import ClassVar, final

import torch

from thalweg.core.rng import Stream
from thalweg.critical import classify
from thalweg.records import Check, Guarantee
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.deep_linear.build import balanced, network, point, product
from thalweg.theory.hypotheses import critical, deep_linear, squared_error
from thalweg.theory.subject import Subject

DISTINCT = 1e-8
"""Singular values closer than this share of the largest count as equal, and smaller ones as zero."""


@final
class FullRankCritical(Claim):
    """Rank decides what a critical point is, where the network has no bottleneck."""

    id: ClassVar[str] = "yun_2018.full_rank"
    statement: ClassVar[str] = (
        "For the squared error of a deep linear network whose narrowest layer is its input or output, on generic data, "
        "a critical point is a global minimum if W_N … W_1 has full rank and a saddle otherwise."
    )
    citation: ClassVar[str] = "Yun, Sra & Jadbabaie 2018, Theorem 2.1"
    states: ClassVar[tuple[str, ...]] = ("001.theorem_III.2",)

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """A deep linear network, squared error, no bottleneck, generic data, a critical point."""
        found = [deep_linear(subject), squared_error(subject)]
        if not all(check.ok for check in found) or subject.chain is None or subject.squares is None:
            return tuple(found)
        widths, problem = subject.chain.widths, subject.squares
        narrow = min(widths[0], widths[-1])
        found.append(Check.at_least("narrowest layer against min(d_0, d_N)", min(widths), narrow))
        x, y = problem.inputs, problem.targets
        found.append(Check.at_least("samples against max(d_0, d_N)", len(x), max(widths[0], widths[-1])))
        for name, matrix in (("σ_min/σ_max of X", x), ("σ_min/σ_max of YXᵀ", y.T @ x)):
            s = torch.linalg.svdvals(matrix)
            found.append(Check.above(name, float(s[-1] / s[0]), DISTINCT))
        s = torch.linalg.svdvals(problem.fitted)[: widths[-1]]
        gap = float((s[:-1] - s[1:]).min() / s[0]) if len(s) > 1 else 1.0
        found.append(Check.above("least relative gap of the singular values of the fit", gap, DISTINCT))
        found.append(critical(subject))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """Of full rank: F is the least value. Otherwise: it is not, and the point is a saddle."""
        assert subject.squares is not None
        total = product(subject.weights)
        s = torch.linalg.svdvals(total)
        full = int((s > DISTINCT * s[0]).sum()) == min(total.shape) if float(s[0]) > 0 else False
        best, slack = subject.squares.smallest(min(total.shape))
        gap = subject.loss - best
        values = {"loss": subject.loss, "least": best, "gap": gap, "rank": float((s > DISTINCT * s[0]).sum())}
        if full:
            ok = gap <= 1e-6 * (1 + abs(best)) + slack
            return Conclusion(ok, f"the product has full rank, and F is {gap:.2g} above the global minimum", values)
        kind = classify(subject.objective, subject.theta, rng=subject.rng).kind
        ok = gap > slack and "saddle" in kind
        said = f"the product has rank {int(values['rank'])}: a {kind}, {gap:.4g} above the global minimum"
        return Conclusion(None if kind == "undecided" else ok, said, values, Guarantee.CERTIFIED)

    def example(self) -> Case:
        """The least-squares map, factored."""
        x, y = _data()
        risk = network((3, 4, 2), x, y)
        return Case(risk, point(risk, balanced(_least_squares(x, y), (3, 4, 2))))

    def control(self) -> Case:
        """A bottleneck of one unit at its global minimum: the product has rank one, and the point is no saddle."""
        x, y = _data()
        risk = network((3, 1, 2), x, y)
        fit = x @ _least_squares(x, y).T
        u, s, vh = torch.linalg.svd(fit, full_matrices=False)
        first = torch.linalg.lstsq(x, s[0] * torch.outer(u[:, 0], vh[0])).solution.T
        return Case(risk, point(risk, balanced(first, (3, 1, 2))), drops="narrowest layer against min(d_0, d_N)")


def _data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = Stream(0, ("yun",)).torch()
    x = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    return x, torch.randn(12, 2, generator=generator, dtype=torch.float64)


def _least_squares(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.linalg.lstsq(x, y).solution.T
