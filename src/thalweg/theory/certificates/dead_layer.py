"""A rectified layer that is off on every sample: a ball of weights in which the network is constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.paths.construct.chain import Chain
from thalweg.records import Check, Guarantee
from thalweg.theory.certificates.activation import known
from thalweg.theory.claim import Case, Claim, Conclusion
from thalweg.theory.hypotheses import chain
from thalweg.theory.subject import Subject

DRAWS = 16
"""Points at the ball's radius at which F is compared."""

STANDARD = 1e-3
"""The radius at which a control is shown to move."""

ROUNDING = 1 - 1e-12
"""What a radius is multiplied by."""


@dataclass(frozen=True)
class Dead:
    """The layer (from 1), its largest pre-activation over units and samples, and the radius that is certified."""

    layer: int
    largest: float
    radius: float


def dead_of(plan: Chain, parts: list[Tensor], inputs: Tensor) -> Dead | None:
    """The rectified layer that is off by most on all samples, or the one nearest to it; None without rectified layers.

    The radius is of the joint Frobenius norm of a change of this layer and those below: with changes of at most r in
    every layer, the change of layer j's inputs is at most δ_j = (‖W_{j−1}‖ + r) δ_{j−1} + r ‖x̃‖ for rectifiers, which
    do not stretch; every pre-activation stays below zero while that change is smaller than its distance from it.
    """
    features = plan.features(parts, inputs)
    found: list[Dead] = []
    for j, layer in enumerate(plan.layers[:-1]):
        if known(layer.activation).name != "relu":
            break
        before = features[j] @ parts[j].T
        largest = float(before.max())
        radius = _radius(plan, parts, features, j, -before) if largest < 0 else 0.0
        found.append(Dead(j + 1, largest, radius))
    return min(found, key=lambda d: d.largest) if found else None


def _radius(plan: Chain, parts: list[Tensor], features: list[Tensor], j: int, margin: Tensor) -> float:
    norms = [float(torch.linalg.matrix_norm(w[:, :n], 2)) for w, n in zip(parts, plan.widths, strict=False)]
    rows = torch.linalg.vector_norm(parts[j][:, : plan.widths[j]], dim=1)

    def safe(r: float) -> bool:
        moved = features[0].new_zeros(len(features[0]))
        for i in range(j):
            moved = (norms[i] + r) * moved + r * features[i].norm(dim=1)
        change = (rows[None, :] + r) * moved[:, None] + r * features[j].norm(dim=1)[:, None]
        return bool((change < margin).all())

    low, high = 0.0, 1.0
    while safe(high) and high < 1e12:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if safe(middle) else (low, middle)
    return low * ROUNDING


@final
class DeadLayer(Claim):
    """A dead layer makes F constant in a ball of the weights up to it."""

    id: ClassVar[str] = "swirszcz_2016.dead_layer"
    statement: ClassVar[str] = (
        "Where every pre-activation of a rectified layer is negative on every sample, F does not depend on the weights "
        "up to that layer within a ball: if the layers above are optimal for a constant output, the point is a local "
        "minimum, and no descent of the lower layers leaves it."
    )
    citation: ClassVar[str] = "Swirszcz, Czarnecki & Pascanu 2016, blind spots (data unread; the radius is derived)"
    states: ClassVar[tuple[str, ...]] = ("002.swirszcz", "001.relu_minima")

    def hypotheses(self, subject: Subject) -> tuple[Check, ...]:
        """A chain, no regulariser on it, a rectified layer, all of whose units are off on all samples."""
        found = [chain(subject)]
        if subject.chain is None or subject.inputs is None or subject.risk is None:
            return tuple(found)
        found.append(Check.given("no regulariser", subject.risk._parts.regulariser is None))
        dead = dead_of(subject.chain, subject.chain.affine(subject.theta), subject.inputs)
        found.append(Check.given("a rectified first layer", dead is not None))
        if dead is not None:
            note = f"layer {dead.layer}"
            found.append(Check.above("least distance of a layer below zero on all samples", -dead.largest, 0.0, note))
        return tuple(found)

    def conclude(self, subject: Subject) -> Conclusion:
        """The radius, F at points of that sphere, and its gradient in the weights up to the layer."""
        assert subject.chain is not None and subject.inputs is not None
        parts = subject.chain.affine(subject.theta)
        dead = dead_of(subject.chain, parts, subject.inputs)
        assert dead is not None
        radius = dead.radius if dead.radius > 0 else STANDARD
        generator, moved = subject.rng("ball").torch(), []
        for _ in range(DRAWS):
            noise = [torch.randn(w.shape, generator=generator, dtype=torch.float64).to(w) for w in parts[: dead.layer]]
            size = sum(float(x.square().sum()) for x in noise) ** 0.5
            changed = [w + radius / size * x for w, x in zip(parts, noise, strict=False)]
            moved.append(subject.chain.point([*changed, *parts[dead.layer :]], subject.theta))
        spread = float((subject.objective.losses(torch.stack(moved)) - subject.loss).abs().max())
        below = subject.chain.affine(subject.gradient)[: dead.layer]
        slope = max(float(g.abs().max()) for g in below)
        values = {"layer": float(dead.layer), "radius": radius, "spread": spread, "slope": slope}
        said = (
            f"layer {dead.layer} is off on all samples: F is constant in the weights up to it within a ball of radius "
            f"{radius:.3g}, and its gradient there is {slope:.2g}"
        )
        ok = spread <= 1e-12 * (1 + abs(subject.loss)) and slope == 0.0
        if not ok:
            said = f"within {radius:.3g} F changes by {spread:.2g}"
        return Conclusion(ok, said, values, Guarantee.CERTIFIED)

    def example(self) -> Case:
        """Two hidden layers of which the second has biases of −9."""
        return self._built(-9.0)

    def control(self) -> Case:
        """The same network with biases of 0: units are on."""
        risk, theta = self._built(0.0).objective, self._built(0.0).point
        return Case(risk, theta, drops="least distance of a layer below zero on all samples")

    @staticmethod
    def _built(bias: float) -> Case:
        generator = torch.Generator().manual_seed(5)
        sizes = ((2, 4), (4, 3), (3, 1))
        layers: list[nn.Module] = []
        for n, m in sizes:
            layers += [nn.Linear(n, m), nn.ReLU()]
        model = nn.Sequential(*layers[:-1]).double()
        x = torch.randn(8, 2, generator=generator, dtype=torch.float64)
        risk = EmpiricalRisk(model, nn.MSELoss(), (x, x[:, :1] * x[:, 1:]))
        theta = torch.randn(risk.space.size, generator=generator, dtype=torch.float64)
        theta[risk.space["2.bias"].span] = bias
        return Case(risk, theta)
