"""Rectified units keep their balance under gradient flow: ‖in‖² − ‖out‖² of every neuron is conserved."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.records import Check
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.hypotheses import chain
from thalweg.theory.subject import Subject

HOMOGENEOUS = 1e-12
"""An activation counts as homogeneous where φ(cz) = c·φ(z) up to this."""

ZERO = 1e-10
"""Velocities up to this share of what they are differences of count as zero."""


def balances(subject: Subject) -> list[Tensor]:
    """‖w_in‖² + b² − ‖w_out‖² of every hidden neuron, one tensor [width] per hidden layer."""
    return _differences(subject, subject.theta, subject.theta)


def velocities(subject: Subject) -> list[Tensor]:
    """Their time derivatives under gradient flow: 2(<w_out, ∂F/∂w_out> − <w_in, ∂F/∂w_in> − b ∂F/∂b)."""
    return [-2 * v for v in _differences(subject, subject.theta, subject.gradient)]


def _differences(subject: Subject, first: Tensor, second: Tensor) -> list[Tensor]:
    assert subject.chain is not None
    a, b = subject.chain.affine(first), subject.chain.affine(second)
    widths = subject.chain.widths
    return [(a[j] * b[j]).sum(1) - (a[j + 1] * b[j + 1])[:, : widths[j + 1]].sum(0) for j in range(len(a) - 1)]


@final
class NeuronBalance(Claim):
    """Exact at every point where F is differentiable: by Euler's identity both products are the same sum."""

    id: ClassVar[str] = "du_2018.neuron_balance"
    statement: ClassVar[str] = (
        "Gradient flow on a network of homogeneous activations (rectified or linear units) conserves, for every hidden "
        "neuron, the squared norm of its incoming weights and bias minus that of its outgoing weights."
    )
    citation: ClassVar[str] = "Du, Hu & Lee 2018, Theorem 2.1 (number recalled); proof by Euler's identity"
    states: ClassVar[tuple[str, ...]] = ("000.balance_at_start",)
    verified: ClassVar[bool] = False

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """A chain, at least one hidden layer, homogeneous activations, no regulariser."""
        found = [chain(subject)]
        if subject.chain is None or subject.risk is None:
            return tuple(found)
        hidden = subject.chain.layers[:-1]
        found.append(Check.at_least("hidden layers", len(hidden), 1))
        worst = max((_inhomogeneity(layer.activation) for layer in hidden), default=0.0)
        found.append(Check.at_most("deviation of φ(cz) from c·φ(z)", worst, HOMOGENEOUS))
        found.append(Check.given("no regulariser", subject.risk._parts.regulariser is None))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """The largest velocity of a neuron's balance, against the products it is a difference of."""
        assert subject.chain is not None
        moving = velocities(subject)
        sizes = [2 * (a * g).abs().sum() for a, g in self._parts(subject)]
        worst = max(float(v.abs().max()) for v in moving)
        share = worst / max(float(torch.stack(sizes).max()), 1e-300)
        now = torch.cat(balances(subject))
        said = (
            f"the balances, now {float(now.min()):.3g} to {float(now.max()):.3g}, move at {worst:.2g} at most, "
            f"{share:.2g} of the products whose difference that is"
        )
        return Conclusion(share <= ZERO, said, {"velocity": worst, "share": share})

    @staticmethod
    def _parts(subject: Subject) -> list[tuple[Tensor, Tensor]]:
        assert subject.chain is not None
        return list(zip(subject.chain.affine(subject.theta), subject.chain.affine(subject.gradient), strict=True))

    def example(self) -> Case:
        """A ReLU network 3-5-4-2 with biases under cross-entropy."""
        return _network(nn.ReLU())

    def control(self) -> Case:
        """The same with tanh."""
        case = _network(nn.Tanh())
        return Case(case.objective, case.point, drops="deviation of φ(cz) from c·φ(z)")


def _inhomogeneity(activation: object) -> float:
    """The largest |φ(cz) − c·φ(z)|/(1 + |cz|) over z and c > 0 on a grid; 0 for the identity."""
    if not callable(activation):
        return 0.0
    z = torch.linspace(-3, 3, 61, dtype=torch.float64)
    return max(float(((activation(c * z) - c * activation(z)) / (1 + c * z.abs())).abs().max()) for c in (0.5, 2.0))


def _network(activation: nn.Module) -> Case:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    y = torch.arange(12) % 2
    model = nn.Sequential(nn.Linear(3, 5), activation, nn.Linear(5, 4), activation, nn.Linear(4, 2)).double()
    risk = EmpiricalRisk(model, nn.CrossEntropyLoss(), (x, y))
    return Case(risk, torch.randn(risk.space.size, generator=generator, dtype=torch.float64))
