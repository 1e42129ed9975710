"""Sublevel sets of deep linear networks whose hidden layers are all wider than the narrower end are connected."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.paths import DeepLinear, separate
from thalweg.records import Check, Guarantee, Path
from thalweg.theory.certificates.loss import convex, unregularised
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.deep_linear.build import balanced, network, point, whitened
from thalweg.theory.hypotheses import deep_linear
from thalweg.theory.subject import Subject

SLACK = 1e-9
"""Paths that rise by up to this share of 1 + F above their worse end count as not rising."""


@final
class ConnectedLinear(Claim):
    """Proposition 2.2 of Freeman & Bruna with the strict inequality."""

    id: ClassVar[str] = "freeman_2017.connected_linear"
    statement: ClassVar[str] = (
        "A deep linear network whose hidden layers are all wider than the narrower of input and output has a connected "
        "sublevel set at every level, for every loss that is convex in the outputs and any data. (The source has “at "
        "least as wide”; at equality a determinant separates: erratum E1.)"
    )
    citation: ClassVar[str] = "Freeman & Bruna 2017, Proposition 2.2, corrected"
    states: ClassVar[tuple[str, ...]] = ("004.proposition_2.2", "001.connected_sublevel_sets")

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """Deep linear, no regulariser, a loss convex in the outputs, every hidden layer wider."""
        found = [deep_linear(subject), unregularised(subject)]
        if not all(check.ok for check in found) or subject.chain is None or subject.inputs is None:
            return tuple(found)
        found.append(self._convex(subject)[0])
        hidden, narrow = subject.chain.widths[1:-1], min(subject.chain.widths[0], subject.chain.widths[-1])
        if hidden:
            found.append(Check.above("narrowest hidden layer against min(d_0, d_N)", min(hidden), narrow))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """Paths from the point to one with the same map and turned hidden layers, and to a random one."""
        others = self._others(subject)
        worse = [max(subject.loss, float(subject.objective.losses(other[None])[0])) for other in others]
        try:
            paths = [DeepLinear()(subject.objective, subject.theta, other, rng=subject.rng) for other in others]
        except InputError:
            return self._apart(subject, others, worse)
        rises = [_top(path) - least for path, least in zip(paths, worse, strict=True)]
        ok = all(rise <= SLACK * (1 + abs(least)) for rise, least in zip(rises, worse, strict=True))
        said = f"joined with {len(paths)} other points, by paths that rise by {max(rises):.2g}"
        guarantees = [path.guarantee for path in paths] + [self._convex(subject)[1]]
        weakest = min(guarantees, key=lambda guarantee: guarantee.strength)
        return Conclusion(ok, said, {"rise": max(rises), "worse": max(worse)}, weakest)

    def example(self) -> Case:
        """Widths 3-4-3-2 at a random point."""
        generator = torch.Generator().manual_seed(11)
        x = torch.randn(9, 3, generator=generator, dtype=torch.float64)
        y = torch.randn(9, 2, generator=generator, dtype=torch.float64)
        risk = network((3, 4, 3, 2), x, y)
        return Case(risk, torch.randn(risk.space.size, generator=generator, dtype=torch.float64))

    def control(self) -> Case:
        """Widths 2-2-2 at a minimum: exactly as wide, and cut."""
        phi = torch.diag(torch.tensor([2.0, 0.8], dtype=torch.float64))
        risk = whitened((2, 2, 2), phi)
        return Case(risk, point(risk, balanced(phi, (2, 2, 2))), drops="narrowest hidden layer against min(d_0, d_N)")

    @staticmethod
    def _convex(subject: Subject) -> tuple[Check, Guarantee]:
        assert subject.chain is not None and subject.inputs is not None
        return convex(subject, subject.chain.features(subject.weights, subject.inputs)[-1])

    @staticmethod
    def _others(subject: Subject) -> list[Tensor]:
        """W_j → D_j W_j D_{j−1}ᵀ with a reflection D_j of each hidden layer; and normal weights of the same norms."""
        assert subject.chain is not None
        generator = subject.rng("others").torch()
        turned, drawn, before = [], [], None
        for j, w in enumerate(subject.weights):
            noise = torch.randn(w.shape, generator=generator, dtype=torch.float64).to(w)
            drawn.append(noise * (float(w.norm()) or 1.0) / float(noise.norm()))
            found = w if before is None else w @ before.T
            if j < len(subject.weights) - 1:
                axis = torch.randn(len(w), generator=generator, dtype=torch.float64).to(w)
                before = torch.eye(len(w)).to(w) - 2 * torch.outer(axis, axis) / axis.square().sum()
                found = before @ found
            turned.append(found)
        ends = [drawn] if before is None else [turned, drawn]
        return [subject.chain.point(parts, subject.theta) for parts in ends]

    @staticmethod
    def _apart(subject: Subject, others: list[Tensor], worse: list[float]) -> Conclusion:
        """Whether a lower bound for all paths is above both ends."""
        found = [separate(subject.objective, subject.theta, other) for other in others]
        rises = [s.bound - least for s, least in zip(found, worse, strict=True) if s is not None]
        rise = max(rises, default=float("-inf"))
        if rise > 0:
            return Conclusion(False, f"every path to a point of the same map rises by {rise:.6g}", {"rise": rise})
        return Conclusion(None, "no path is known, and no bound that excludes one", guarantee=None)


def _top(path: Path) -> float:
    return path.maximum.upper if path.maximum.upper is not None else float("inf")
