"""E11: the activation of Proposition IV.1 has to be continuous at its zeros, and not zero everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.theory.errata.erratum import Erratum, Judgement, Shown

Activation = Callable[[Tensor], Tensor]

CONTINUOUS: dict[str, tuple[Activation, tuple[float, ...], bool]] = {
    "relu": (lambda t: t.clamp(min=0), (-1.0, 0.0), True),
    "square": (lambda t: t**2, (0.0,), True),
    "figure 2": (lambda t: -((t - 1) ** 2) / 8, (1.0,), True),
    "square and 1": (lambda t: t**2 + 1, (), False),
    "tanh": (torch.tanh, (0.0,), False),
    "cube": (lambda t: t**3, (0.0,), False),
    "silu": (torch.nn.functional.silu, (0.0,), False),
}
"""φ, some of its zeros, one of each kind, and whether one of them is a local extremum."""


def bad(phi: Activation, zeros: tuple[float, ...], radius: float = 1e-2) -> bool:
    """Whether at x = y = 1 some (w, v) with φ(w) = 0 has F = 1 and nothing lower within ``radius``, while F = 0 exists.

    A point with φ(w) ≠ 0 is critical only where v = 1/φ(w), and F is 0 there.
    """
    w = torch.linspace(-1, 1, 401, dtype=torch.float64)[:, None] * radius
    v = torch.linspace(-1, 1, 41, dtype=torch.float64)[None] * radius
    found = []
    for zero in zeros:
        for sign in (-1.0, 0.0, 1.0):
            near = (1 - (sign + v) * phi(zero + w)) ** 2
            here = (1 - sign * float(phi(torch.tensor(zero, dtype=torch.float64)))) ** 2
            found.append(float(near.min()) >= here)
    line = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    return any(found) and bool(phi(line).any())


def jump(t: Tensor) -> Tensor:
    """1000 sign(t), which is 0 at 0."""
    return 1000 * t.sign()


@final
class SingleNeuron(Erratum):
    """Proposition IV.1 needs φ continuous at its zeros and not identically zero."""

    id: ClassVar[str] = "E11"
    place: ClassVar[str] = "001 §IV-A, Proposition IV.1"
    quote: ClassVar[str] = (
        "The function F(w,v)=(y-v phi(wx))^2 where v,w in R has no sub-optimal local minima if and only if the "
        "following condition holds: if phi(t)=0, then t is not a local minimum or local maximum of phi."
    )
    judgement: ClassVar[Judgement] = "needs a hypothesis"
    corrected: ClassVar[str] = "True for φ that is continuous at its zeros and not zero everywhere."
    fairness: ClassVar[str] = "Pedantic: activations in use are continuous, and none of them is zero."
    states: ClassVar[tuple[str, ...]] = ("001.proposition_IV.1",)

    def refute(self) -> Shown:
        """1000 sign(t) has a bad minimum at (0, 1) although its zero is no extremum; φ = 0 has none although it is."""
        w = torch.linspace(-1e-2, 1e-2, 401, dtype=torch.float64)[:, None]
        v = 1 + torch.linspace(-1e-3, 1e-3, 41, dtype=torch.float64)[None]
        values = (1 - v * jump(w)) ** 2
        at_zero = (w == 0).expand_as(values)
        around = float(values[~at_zero].min())
        both_signs = bool((jump(w) > 0).any() and (jump(w) < 0).any())
        best = float((1 - 0.001 * jump(torch.ones(1, dtype=torch.float64))) ** 2)
        nothing = float((1 - v * torch.zeros_like(w)).square().std())
        ok = bool((values[at_zero] == 1).all()) and around > 1 and best < 1e-20 and both_signs and nothing == 0
        said = f"F = 1 at w = 0, {around:.4g} or more around it and {best:.1g} elsewhere; for φ = 0 F is constant"
        return Shown(ok, said, {"around": around, "best": best})

    def confirm(self) -> Shown:
        """Seven continuous activations: bad minima at a zero exactly where it is a local extremum."""
        found = {name: bad(phi, zeros) for name, (phi, zeros, _) in CONTINUOUS.items()}
        right = [found[name] == extremum for name, (_, _, extremum) in CONTINUOUS.items()]
        said = f"{sum(right)} of {len(right)} activations: bad minima for {', '.join(k for k, v in found.items() if v)}"
        return Shown(all(right), said, {"right": sum(right), "bad": sum(found.values())})


if __name__ == "__main__":
    print(SingleNeuron().report())
