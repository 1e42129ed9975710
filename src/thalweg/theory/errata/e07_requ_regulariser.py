"""E7: ReQU networks with distinct regularisers, however small, have strict local minima that are not global."""

from __future__ import annotations

import math
from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.core.function import Function
from thalweg.theory.errata.descents import descents
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown

INPUTS = torch.tensor([[1.0, 1.0], [-2.0, 1.0]], dtype=torch.float64)
"""Two samples (x, 1) at an obtuse angle, both labelled +1."""

UNITS = 3


def requ(shares: Tensor) -> Function:
    """Equation (8) over UNITS rows (a, w, b): Σ log(1 + e^{−f}) + ⅓ Σ λ_j (|a_j|³ + 2‖(w_j, b_j)‖³)."""

    def fn(theta: Tensor) -> Tensor:
        t = theta.reshape(UNITS, 3)
        a, u = t[:, 0], t[:, 1:]
        outputs = ((INPUTS @ u.T).clamp(min=0) ** 2) @ a
        squared = u.square().sum(1)
        # ‖u‖³ with a derivative at 0.
        cubes = torch.where(
            squared > 0, torch.where(squared > 0, squared, torch.ones_like(squared)) ** 1.5, 0 * squared
        )
        penalty = (shares * (a.abs() ** 3 + 2 * cubes)).sum() / 3
        return torch.nn.functional.softplus(-outputs).sum() + penalty

    return Function(fn, 3 * UNITS, initial=torch.zeros(3 * UNITS, dtype=torch.float64))


def placed(shares: Tensor, first: int, second: int) -> Tensor:
    """The critical point with unit ``first`` along sample 1, ``second`` along sample 2 and the others 0."""
    theta = torch.zeros(UNITS, 3, dtype=torch.float64)
    for unit, x in ((first, INPUTS[0]), (second, INPUTS[1])):
        s = float(x @ x)
        size = (math.log(s / float(shares[unit]) - 1) / s) ** (1 / 3)
        theta[unit] = torch.cat([torch.tensor([size], dtype=torch.float64), size * x / s**0.5])
    return theta.flatten()


def strict(fn: Function, shares: Tensor, theta: Tensor) -> tuple[float, float, float]:
    """Gradient norm, least Hessian eigenvalue of the active units, and λ of the idle one less what it could gain.

    What an idle unit along a unit vector u gains per size³ is |Σ_i ℓ'_i max(u·x_i, 0)²|: where the most of it is below
    λ, and the rest of the Hessian is positive, the minimum is strict.
    """
    gradient = float(fn.value_and_grad(theta[None])[1].norm())
    active = theta.reshape(UNITS, 3).abs().sum(1) > 0
    index = active.repeat_interleave(3).nonzero().flatten()

    def inner(t: Tensor) -> Tensor:
        return fn.scalar(theta.index_put((index,), t))

    eigenvalues = torch.linalg.eigvalsh(torch.autograd.functional.hessian(inner, theta[index]))
    rows = theta.reshape(UNITS, 3)
    outputs = ((INPUTS @ rows[:, 1:].T).clamp(min=0) ** 2) @ rows[:, 0]
    turns = torch.linspace(0, 2 * math.pi, 20001, dtype=torch.float64)
    directions = torch.stack([turns.cos(), turns.sin()])
    gain = float((torch.sigmoid(-outputs) @ ((INPUTS @ directions).clamp(min=0) ** 2)).max())
    return gradient, float(eigenvalues[0]), float(shares[~active].min()) - gain


@final
class RequRegulariser(Erratum):
    """Theorem VI.2 (2): zero training error, but not global."""

    id: ClassVar[str] = "E7"
    place: ClassVar[str] = "001 §VI-C, Theorem VI.2"
    quote: ClassVar[str] = (
        "There exists a lambda_0=lambda_0(D,l)>0 and a zero measure set C such that for any lambda in "
        "(0,lambda_0)^m \\ C, both of the following statements are true: ... (2) Every local minimum theta* of the "
        "loss F(theta) is a global minimum of F(theta), and achieves zero training error."
    )
    judgement: ClassVar[Judgement] = "false"
    corrected: ClassVar[str] = (
        "Every local minimum achieves zero training error; it need not be a global minimum of F. Which unit serves "
        "which sample costs differently once the λ_j differ, and each assignment that leaves the dearest units idle "
        "is a strict local minimum: with two samples at an obtuse angle, for an open set of λ as small as one likes."
    )
    fairness: ClassVar[str] = (
        "The survey's own sentence before the theorem claims zero training error alone; the paper it cites was not "
        "read. The remark after it, F(θ*) = 0 for some θ*, is loose in the same way, for F > 0."
    )
    states: ClassVar[tuple[str, ...]] = ("001.theorem_VI.2",)

    def refute(self) -> Shown:
        """λ = (1, 2, 3)/10 and 10⁻², 10⁻⁴ of it: two strict local minima each, with values of their own."""
        ok, gaps, slack, worst = True, [], math.inf, 0.0
        for scale in (1.0, 1e-2, 1e-4):
            shares = scale * torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
            ends = [placed(shares, 0, 1), placed(shares, 1, 0)]
            fn = requ(shares)
            values = fn.losses(torch.stack(ends))
            gaps.append(float(values[1] - values[0]))
            for end in ends:
                gradient, least, room = strict(fn, shares, end)
                worst, slack = max(worst, gradient / scale), min(slack, least / scale, room / scale)
                ok = ok and gradient < 1e-13 and least > 0 and room > 0
            ok = ok and abs(gaps[-1]) > 1e-3 * scale
        listed = ", ".join(f"{gap:.6g}" for gap in gaps)
        said = (
            f"at three scales of λ two strict local minima differ by {listed}; "
            f"slack {slack:.2g}λ, gradients {worst:.1g}λ"
        )
        return Shown(ok, said, {"gap": gaps[0], "smallest": gaps[-1], "slack": slack})

    def confirm(self) -> Shown:
        """Twelve descents on the same data: every end classifies both samples, although the ends differ in value."""
        shares = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
        fn = requ(shares)
        starts = torch.randn(12, 9, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        ends, still = descents(fn, starts)
        rows = ends.reshape(-1, UNITS, 3)
        outputs = torch.einsum("bju,nu->bnj", rows[..., 1:], INPUTS).clamp(min=0).square() @ rows[..., :1]
        errors, gradient = int((outputs <= 0).sum()), float(still.max())
        values = {round(float(value), 4) for value in fn.losses(ends)}
        said = f"{len(ends)} descents end at {len(values)} values, {min(values)} to {max(values)}, with {errors} errors"
        ok = errors == 0 and gradient < 1e-6 and len(values) > 1
        return Shown(ok, said, {"errors": errors, "values": len(values), "gradient": gradient})


if __name__ == "__main__":
    print(RequRegulariser().report())
