"""E5: the covariance of rectified features is no function of the covariance of the inputs."""

from __future__ import annotations

import math
from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.theory.errata.erratum import Erratum, Judgement, Shown


def moments(weights: Tensor, values: Tensor, chances: Tensor) -> tuple[Tensor, Tensor]:
    """E XXᵀ and E ZZᵀ of Z = max(WX, 0) for X on the rows of ``values`` [k, d] with ``chances`` [k]."""
    z = (values @ weights.T).clamp(min=0)
    return values.T @ (chances[:, None] * values), z.T @ (chances[:, None] * z)


@final
class RectifiedCovariance(Erratum):
    """Lemma 2.4 cannot hold with a W̃ that depends on W alone."""

    id: ClassVar[str] = "E5"
    place: ClassVar[str] = "004 §2.2, Lemma 2.4"
    quote: ClassVar[str] = "Let Z = rho W X with rho(z) = max(0, z). Then Sigma_Z = W~^T Sigma_X W~."
    judgement: ClassVar[Judgement] = "false"
    corrected: ClassVar[str] = (
        "E ZZᵀ depends on the law of X beyond its covariance. For Gaussian X it is a function of WΣWᵀ, entry by entry: "
        "‖a‖‖b‖(sin θ + (π − θ) cos θ)/(2π) for rows a, b of WΣ^½ at the angle θ. For laws that are symmetric about 0 "
        "its diagonal is half that of WΣWᵀ."
    )
    fairness: ClassVar[str] = (
        "A draft, which breaks off here; W̃ is never defined, and may it depend on the law of X, the lemma says "
        "nothing. W also stands on the wrong side for Z = ρ(WX)."
    )
    states: ClassVar[tuple[str, ...]] = ("004.lemma_2.4",)

    def refute(self) -> Shown:
        """Two laws with mean 0 and variance 1 and W = 1: 0.5 and 0.8."""
        one, found = torch.ones(1, 1, dtype=torch.float64), []
        for values, chances in (([-1.0, 1.0], [0.5, 0.5]), ([2.0, -0.5], [0.2, 0.8])):
            x, p = torch.tensor(values, dtype=torch.float64)[:, None], torch.tensor(chances, dtype=torch.float64)
            inputs, features = moments(one, x, p)
            found.append((float(p @ x[:, 0]), float(inputs), float(features)))
        (mean, variance, even), (other_mean, other_variance, skewed) = found
        same = max(abs(mean), abs(other_mean), abs(variance - 1), abs(other_variance - 1))
        said = f"two laws with mean 0 and variance 1 (to {same:.1g}) give E max(X, 0)² = {even:.3g} and {skewed:.3g}"
        return Shown(same < 1e-15 and skewed - even > 0.29, said, {"even": even, "skewed": skewed, "same": same})

    def confirm(self) -> Shown:
        """The Gaussian formula against integration over angles, and the halved diagonal for a symmetric law."""
        generator = torch.Generator().manual_seed(0)
        w = torch.randn(4, 2, generator=generator, dtype=torch.float64)
        turns = 2 * math.pi * torch.arange(200_000, dtype=torch.float64) / 200_000
        directions = torch.stack([turns.cos(), turns.sin()], 1)
        z = (directions @ w.T).clamp(min=0)
        integrated = 2 * z.T @ z / len(turns)  # E r² = 2 in the plane
        norms = w.norm(dim=1)
        cosine = ((w @ w.T) / norms.outer(norms)).clamp(-1, 1)
        angle = cosine.acos()
        formula = norms.outer(norms) * (angle.sin() + (math.pi - angle) * cosine) / (2 * math.pi)
        gauss = float((formula - integrated).abs().max())
        x = torch.randn(7, 3, generator=generator, dtype=torch.float64)
        both, chance = torch.cat([x, -x]), torch.full((14,), 1 / 14, dtype=torch.float64)
        v = torch.randn(5, 3, generator=generator, dtype=torch.float64)
        inputs, features = moments(v, both, chance)
        half = float((features.diagonal() - (v @ inputs @ v.T).diagonal() / 2).abs().max())
        said = f"the Gaussian formula agrees with integration to {gauss:.2g}, the halved diagonal to {half:.2g}"
        return Shown(gauss < 1e-8 and half < 1e-14, said, {"gauss": gauss, "half": half})


if __name__ == "__main__":
    print(RectifiedCovariance().report())
