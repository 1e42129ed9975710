"""Where no sublevel set is cut, a strict local minimum is a global one (Freeman & Bruna 2017, Proposition 2.1)."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.critical import classify
from thalweg.descent import Adam, Descent
from thalweg.records import Check, Guarantee
from thalweg.theory.certificates.loss import convex, unregularised
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.deep_linear.build import network
from thalweg.theory.hypotheses import chain, critical
from thalweg.theory.subject import Subject

STARTS, STEPS = 8, 300
"""Descents that look for a lower point where the least value is not known."""

CUT = "sublevel sets that are known to be connected"
STRICT = "smallest Hessian eigenvalue"


@final
class StrictMinima(Claim):
    """Proposition 2.1 with the word that its proof needs."""

    id: ClassVar[str] = "freeman_2017.strict_minima"
    statement: ClassVar[str] = (
        "If the sublevel set at every level is connected, every strict local minimum is a global one. Known to have "
        "such sets, with a loss that is convex in the outputs: one linear layer; linear layers that are all wider than "
        "the narrower of input and output; one hidden layer of at least 2n units on n samples. (The source says every "
        "local minimum, which plateaus refute: erratum E3. Wide networks have hardly any strict ones.)"
    )
    citation: ClassVar[str] = "Freeman & Bruna 2017, Proposition 2.1, corrected"
    states: ClassVar[tuple[str, ...]] = ("004.proposition_2.1",)

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """A chain, no regulariser, a convex loss, connected sublevel sets, critical, positive definite Hessian."""
        found = [chain(subject), unregularised(subject)]
        if not all(check.ok for check in found) or subject.chain is None or subject.inputs is None:
            return tuple(found)
        found.append(convex(subject, self._outputs(subject))[0])
        widths, n = subject.chain.widths, len(subject.inputs)
        hidden, narrow = widths[1:-1], min(widths[0], widths[-1])
        if not hidden:
            found.append(Check.given(CUT, True, "one linear layer: F is convex"))
        elif subject.deep_linear:
            found.append(Check.above(CUT, min(hidden), narrow, note="units against min(d_0, d_N)"))
        else:
            enough = len(hidden) == 1 and hidden[0] >= 2 * n
            found.append(Check.given(CUT, enough, f"{'-'.join(map(str, hidden))} hidden units, {n} samples"))
        found.append(critical(subject))
        if found[-1].ok:
            judged = classify(subject.objective, subject.theta, rng=subject.rng)
            smallest = judged.smallest.lower
            found.append(Check.above(STRICT, float("-inf") if smallest is None else smallest, judged.threshold))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """F against the least value where squares give it, otherwise against descents."""
        if subject.deep_linear and subject.squares is not None and subject.chain is not None:
            least, slack = subject.squares.smallest(min(subject.chain.widths))
            how, guarantee = "the least value", Guarantee.EXACT
        else:
            starts = torch.randn(
                STARTS, len(subject.theta), generator=subject.rng("starts").torch(), dtype=torch.float64
            ).to(subject.theta)
            run = Descent(Adam(3e-2), steps=STEPS, every=STEPS)(subject.objective, starts, rng=subject.rng)
            least, slack = float(run.final_loss.min()), 0.0
            how, guarantee = f"the lowest of {STARTS} descents", Guarantee.SAMPLED
        gap = subject.loss - least
        ok = gap <= 1e-6 * (1 + abs(least)) + slack
        return Conclusion(
            ok, f"F is {gap:.3g} above {how}", {"loss": subject.loss, "least": least, "gap": gap}, guarantee
        )

    def example(self) -> Case:
        """Least squares with more rows than unknowns."""
        x, y = _rows()
        return Case(network((3, 1), x, y), torch.linalg.lstsq(x, y, driver="gelsd").solution[:, 0])

    def control(self) -> Case:
        """Twenty rectified units on nine samples, all of them off: connected sublevel sets, and a plateau."""
        x, y = _rows()
        model = nn.Sequential(nn.Linear(3, 20), nn.ReLU(), nn.Linear(20, 1, bias=False)).double()
        risk = EmpiricalRisk(model, nn.MSELoss(), (x, y))
        theta = torch.ones(risk.space.size, dtype=torch.float64)
        theta[risk.space["0.bias"].span] = -100.0
        return Case(risk, theta, drops=STRICT)

    @staticmethod
    def _outputs(subject: Subject) -> Tensor:
        assert subject.chain is not None and subject.inputs is not None
        return subject.chain.features(subject.chain.affine(subject.theta), subject.inputs)[-1]


def _rows() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(12)
    x = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    return x, torch.randn(9, 1, generator=generator, dtype=torch.float64)
