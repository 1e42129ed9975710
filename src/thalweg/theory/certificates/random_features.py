"""Features of random weights have full rank (Claim VI.2): which activations that is true of."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream
from thalweg.paths.construct.chain import Activation
from thalweg.records import Check
from thalweg.theory.certificates.activation import derivatives, known
from thalweg.theory.certificates.head import affordable, head_of
from thalweg.theory.certificates.planted import wide
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.hypotheses import chain
from thalweg.theory.subject import Subject

ORDER = 8
"""Derivatives are taken up to this order."""

PLACES = (0.37, -0.83, 1.21)
"""Where derivatives are taken of layers with biases, which can move there."""

ZERO = 1e-9
"""Derivatives up to this share of k! count as zero."""

DRAWS = (0.3, 1.0, 3.0, 10.0)
"""Scales of the random weights."""

FULL = 1e-12
"""Singular values above this share of the largest are not rounding."""


@final
class RandomFeatures(Claim):
    """Almost all weights give features of full rank."""

    id: ClassVar[str] = "sun_2020.random_features"
    statement: ClassVar[str] = (
        "If the activation is analytic, none of its derivatives vanishes at 0 up to order n − 1 (with biases: at some "
        "t), samples are distinct and a hidden layer has n units, its features have rank n for almost all weights "
        "below it: a dense open set, in which no critical point is bad."
    )
    citation: ClassVar[str] = "Sun et al. 2020, Claim VI.2"
    states: ClassVar[tuple[str, ...]] = ("001.claim_VI.2",)

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """A chain with a hidden layer, n units, distinct samples, derivatives that do not vanish."""
        found = [chain(subject)]
        if subject.chain is None or subject.inputs is None:
            return tuple(found)
        layers, n = subject.chain.layers, len(subject.inputs)
        found.append(Check.at_least("hidden layers", len(layers) - 1, 1))
        if not found[-1].ok:
            return tuple(found)
        found.append(Check.at_least("units of the last hidden layer against samples", subject.chain.widths[-2], n))
        if not found[-1].ok:
            return tuple(found)
        affordable(n)
        found.append(Check.above("least distance of two samples", _apart(subject.inputs), 0.0))
        checks = [_smooth(layer.activation, layer.bias is not None, n) for layer in layers[:-1]]
        return (*found, *min(checks, key=lambda of_layer: all(check.ok for check in of_layer)))

    def conclude(self, subject: Subject) -> Conclusion:
        """The rank at random weights of several sizes. A rank that was reached is reached almost everywhere."""
        assert subject.chain is not None
        layers, best, n = subject.chain.layers[:-1], 0, 0
        gap, smallest = 0.0, 0.0
        for scale in DRAWS:
            theta = subject.theta.clone()
            for layer in layers:
                for name in (layer.weight, layer.bias):
                    if name is not None:
                        entry, generator = subject.objective.space[name], subject.rng("draw", scale, name).torch()
                        drawn = torch.randn(entry.shape, generator=generator, dtype=torch.float64)
                        theta[entry.span] = (scale * drawn / max(1, drawn[0].numel()) ** 0.5).reshape(-1).to(theta)
            features = head_of(subject, theta).features
            z = features[:, :-1] if subject.chain.layers[-1].bias is not None else features
            n, s = len(z), torch.linalg.svdvals(z)
            rank = int((s > FULL * s[0]).sum()) if float(s[0]) > 0 else 0
            if rank > best:
                best, smallest = rank, float(s[rank - 1] / s[0])
                gap = float(s[rank] / s[rank - 1]) if rank < len(s) else 0.0
        values = {"rank": float(best), "samples": float(n), "smallest": smallest}
        if best == n:
            return Conclusion(True, f"random weights give features of rank {n} (σ_n/σ_1 = {smallest:.2g})", values)
        # A spectrum that breaks off is a deficiency; one that fades into rounding decides nothing.
        ok = False if smallest > 1e-8 and gap < 1e-6 else None
        return Conclusion(ok, f"random weights give features of rank {best}, below {n}", values)

    def example(self) -> Case:
        """Twelve tanh units with biases on six samples."""
        return Case(*wide())

    def control(self) -> Case:
        """Tanh units without biases on ±x: the features of −x are minus those of x."""
        generator = Stream(0, ("odd",)).torch()
        x = torch.randn(2, 2, generator=generator, dtype=torch.float64)
        x = torch.cat([x, -x])
        model = nn.Sequential(nn.Linear(2, 8, bias=False), nn.Tanh(), nn.Linear(8, 1)).double()
        risk = EmpiricalRisk(model, nn.MSELoss(), (x, x[:, :1]))
        theta = torch.randn(risk.space.size, generator=generator, dtype=torch.float64)
        return Case(risk, theta, drops=SMOOTH)


SMOOTH = "derivatives of the activation do not vanish"

ANALYTIC = "the activation is analytic"


def _smooth(activation: Activation | None, biased: bool, samples: int) -> tuple[Check, ...]:
    """Analytic, known by name; derivatives up to n − 1 do not vanish at 0, or with biases at some place.

    An analytic function other than a polynomial has places where none vanishes, so that with biases a few orders do.
    """
    if activation is None:
        return (Check.given(SMOOTH, False, "there is none"),)
    found = known(activation)
    order = min(samples - 1, ORDER)
    worst, at = _least(activation, PLACES if biased else (0.0,), order)
    checks = [Check.given(ANALYTIC, found.traits.analytic, found.how), Check.above(SMOOTH, worst, ZERO, at)]
    if worst > ZERO and samples - 1 > ORDER and not biased and found.name != "exp":
        checks.append(Check.at_least("orders of derivatives examined", ORDER, samples - 1))
    return tuple(checks)


def _least(activation: Activation, places: tuple[float, ...], order: int) -> tuple[float, str]:
    """The least |φ^(k)|/k! at the best of these places, and where."""
    found = []
    for place in places:
        factorial, shares = 1.0, []
        for k, value in enumerate(derivatives(activation, place, order)):
            factorial *= max(k, 1)
            shares.append(abs(value) / factorial)
        k = shares.index(min(shares))
        found.append((min(shares), f"order {k} at {place:g}"))
    return max(found)


def _apart(x: Tensor) -> float:
    if len(x) < 2:
        return float("inf")
    return float(torch.pdist(x).min())
