"""E8: how many samples a bad local minimum of a smooth network needs."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor, nn

from thalweg.core.risk import EmpiricalRisk
from thalweg.theory.errata.erratum import Erratum, Judgement, Shown

LEVEL = -1.0
"""Every unit's bias, at which the sigmoid is convex."""


def residual(x: Tensor) -> tuple[Tensor, float]:
    """Residuals e [n] with Σ e = 0, Σ e x = 0 and Σ e xxᵀ = I for inputs [n, d], and by how much that fails."""
    n, d = x.shape
    rows, columns = torch.triu_indices(d, d)
    conditions = torch.cat([torch.ones(1, n, dtype=x.dtype), x.T, (x[:, rows] * x[:, columns]).T])
    wanted = torch.cat([torch.zeros(1 + d, dtype=x.dtype), (rows == columns).to(x.dtype)])
    e = torch.linalg.lstsq(conditions, wanted, driver="gelsd").solution
    return e, float((conditions @ e - wanted).norm())


def drawn(n: int, d: int, seed: int = 0) -> Tensor:
    """Standard normal inputs [n, d]."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@final
class DimensionOfInputs(Erratum):
    """The printed bound is sufficient and not sharp."""

    id: ClassVar[str] = "E8"
    place: ClassVar[str] = "001 §IV-C, after Proposition IV.2"
    quote: ClassVar[str] = (
        "for a large class of smooth activation functions, arbitrarily wide and deep networks, generic input data "
        "x_i's with dimension d_x^2+3d_x/2<n, there exist output data y_i's such that sub-optimal local minima exist."
    )
    judgement: ClassVar[Judgement] = "not sharp"
    corrected: ClassVar[str] = (
        "(d_x² + 3d_x)/2 < n suffices, of which the printed condition may be a misprint: a residual e with Σ e = 0, "
        "Σ e x = 0 and Σ e xxᵀ = I makes one, and generic inputs have one exactly if n ≥ 1 + d + d(d+1)/2."
    )
    fairness: ClassVar[str] = (
        "The sentence stays true as printed, because d² + 3d/2 ≥ (d² + 3d)/2. That no such residual exists limits this "
        "construction, and does not show that there is no bad minimum."
    )
    states: ClassVar[tuple[str, ...]] = ("001.ding_general", "001.proposition_IV.2")

    def refute(self) -> Shown:
        """Six samples in the plane, of which the printed condition asks 8: a bad local minimum of 12 sigmoid units."""
        d, n, units = 2, 6, 12
        x = drawn(n, d)
        e, _ = residual(x)
        e = e / e.norm()
        v = torch.full((units,), 0.5, dtype=torch.float64)
        y = (v.sum() * torch.sigmoid(torch.tensor(LEVEL, dtype=torch.float64)) - e)[:, None]
        model = nn.Sequential(nn.Linear(d, units), nn.Sigmoid(), nn.Linear(units, 1, bias=False)).double()
        risk = EmpiricalRisk(model, nn.MSELoss(reduction="sum"), (x, y))
        theta = torch.cat([torch.zeros(units * d), torch.full((units,), LEVEL), v]).double()
        value, gradient = risk.value_and_grad(theta[None])
        generator = torch.Generator().manual_seed(1)
        steps = torch.randn(3000, len(theta), generator=generator, dtype=torch.float64)
        sizes = torch.logspace(-3, -1, 3000, dtype=torch.float64)[:, None]
        rise = float((risk.losses(theta + sizes * steps / steps.norm(dim=1, keepdim=True)) - value).min())
        other = theta.clone()
        w = 2 * torch.randn(units, d, generator=generator, dtype=torch.float64)
        b = torch.randn(units, generator=generator, dtype=torch.float64)
        last = torch.linalg.lstsq(torch.sigmoid(x @ w.T + b), y, driver="gelsd").solution[:, 0]
        other = torch.cat([w.flatten(), b, last])
        best = float(risk.losses(other[None])[0])
        still = float(gradient.norm())
        ok = d**2 + 1.5 * d >= n and still < 1e-12 and rise > 0 and best < 1e-12 < float(value[0])
        said = (
            f"d = 2, n = 6: gradient {still:.1g} and F = {float(value[0]):.6g}, which 3000 points nearby exceed by "
            f"{rise:.2g} or more, while {best:.1g} is attained"
        )
        return Shown(ok, said, {"gradient": still, "rise": rise, "best": best, "value": float(value[0])})

    def confirm(self) -> Shown:
        """For d = 1 … 4 the residual exists at n = 1 + (d² + 3d)/2 generic inputs and at one fewer does not."""
        with_, without = [], []
        for d in range(1, 5):
            n = 1 + (d**2 + 3 * d) // 2
            with_ += [residual(drawn(n, d, seed))[1] for seed in range(5)]
            without += [residual(drawn(n - 1, d, seed))[1] for seed in range(5)]
        said = f"equations are met to {max(with_):.1g} at that n and missed by {min(without):.2g} or more at one fewer"
        return Shown(max(with_) < 1e-9 and min(without) > 1e-3, said, {"met": max(with_), "missed": min(without)})


if __name__ == "__main__":
    print(DimensionOfInputs().report())
