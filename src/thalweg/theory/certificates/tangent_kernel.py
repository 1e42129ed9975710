"""Where the Jacobian has full row rank no critical point is bad (Claim VI.3), and a small gradient says how near."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.core.metered import Metered
from thalweg.errors import InputError
from thalweg.records import Check, Cost
from thalweg.theory.certificates.last_layer import FULL, SLACK
from thalweg.theory.certificates.loss import Squares, squares_of, unregularised
from thalweg.theory.certificates.planted import narrow, wide
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.subject import Subject

ROWS = 2048
"""Most outputs, samples times their number, for which the Jacobian is formed."""

ENTRIES = 2**24
"""Most entries of it: 128 MiB."""


@final
class TangentKernel(Claim):
    """The gradient bounds the loss through the Jacobian's smallest singular value."""

    id: ClassVar[str] = "sun_2020.tangent_kernel"
    statement: ClassVar[str] = (
        "For squared errors, if the Jacobian J of all outputs has full row rank (which needs as many parameters as "
        "outputs), F is at most ‖∇F‖²/(4σ_min(J)²) above its least value, errors and J weighted as in F: a critical "
        "point is a global minimum."
    )
    citation: ClassVar[str] = "Sun et al. 2020, Claim VI.3"
    loss_scale: ClassVar[str] = "Σ c (z − y)² with any weights c; n F is the sum of squares where F is their mean"
    states: ClassVar[tuple[str, ...]] = ("001.claim_VI.3",)

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """Squared errors without a regulariser, as many parameters as outputs, a Jacobian of full row rank.

        Raises
        ------
        InputError
            If the Jacobian is larger than :data:`ENTRIES`, or has more than :data:`ROWS` rows.
        """
        found = [unregularised(subject)]
        if not found[0].ok or subject.risk is None:
            return tuple(found)
        outputs = subject.risk.outputs(subject.theta)
        form = _form(subject, outputs)
        found.append(Check.given("squared errors", form is not None))
        if form is None:
            return tuple(found)
        assert isinstance(outputs, Tensor)
        rows, size = outputs.numel(), subject.objective.space.size
        found.append(Check.at_least("parameters against outputs", size, rows))
        if found[-1].ok:
            jacobian = _jacobian(subject, form)
            found.append(Check.given("a finite Jacobian", bool(jacobian.isfinite().all())))
        if found[-1].ok:
            s = torch.linalg.svdvals(jacobian)
            found.append(Check.above("σ_min/σ_max of J", float(s[-1] / s[0]) if float(s[0]) else 0.0, FULL))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """The bound beside what it bounds; without full rank by the smallest singular value above zero."""
        assert subject.risk is not None
        outputs = subject.risk.outputs(subject.theta)
        form = _form(subject, outputs)
        assert form is not None and isinstance(outputs, Tensor)
        s = torch.linalg.svdvals(_jacobian(subject, form))
        least = float(s[s > FULL * s[0]][-1])
        size, gap = (
            float(subject.gradient.norm()),
            float(form.residual(outputs.reshape(len(outputs), -1)).square().sum()),
        )
        bound = size**2 / (4 * least**2)
        values = {"gap": gap, "bound": bound, "gradient": size, "smallest": least, "largest": float(s[0])}
        said = f"F is {gap:.3g} above its least value {form.least:.3g}; the gradient here certifies at most {bound:.3g}"
        return Conclusion(gap <= bound * (1 + SLACK) + 1e-24, said, values)

    def example(self) -> Case:
        """Forty-nine parameters on six samples."""
        return Case(*wide())

    def control(self) -> Case:
        """Two parameters on two samples at a bad minimum: the Jacobian loses rank there."""
        return Case(*narrow(), drops="σ_min/σ_max of J")


def _form(subject: Subject, outputs: object) -> Squares | None:
    assert subject.risk is not None
    return squares_of(subject.risk._parts, outputs.reshape(len(outputs), -1)) if isinstance(outputs, Tensor) else None


def _jacobian(subject: Subject, form: Squares) -> Tensor:
    """√c ∂z/∂θ of every output, [n K, P]; counted as K gradients."""
    assert subject.risk is not None
    rows, size = form.lowest.numel(), subject.objective.space.size
    if rows > ROWS or rows * size > ENTRIES:
        raise InputError(
            f"the Jacobian is {rows:,} × {size:,}: it is formed up to {ROWS:,} rows and {ENTRIES:,} entries; "
            "audit on part of the rows"
        )
    if isinstance(subject.objective, Metered):
        each = form.lowest.shape[1]
        cost = Cost(backwards=each, rows=each * len(form.lowest))
        subject.objective.meter.afford(cost)
        subject.objective.meter.add(cost)
    found = subject.risk.jacobian(subject.theta)
    return form.curvature.sqrt().reshape(-1, 1) * found.reshape(rows, size)
