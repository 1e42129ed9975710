"""The constants that the theorems on perturbed descent ask for, from what they assume."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from thalweg.descent.rule import at_least, positive
from thalweg.errors import InputError


@dataclass(frozen=True)
class Assumptions:
    """What a theorem on perturbed descent is told, and what it then promises.

    ``smoothness`` ℓ bounds |∇²F|, ``hessian_lipschitz`` ρ the change of ∇²F per distance, ``height`` F at the start
    above its infimum; ``accuracy`` ε, ``failure`` δ and ``dimension`` P are chosen. A second-order stationary point has
    |∇F| <= ε and λ_min >= −√(ρε).
    """

    smoothness: float
    hessian_lipschitz: float
    accuracy: float
    height: float
    failure: float
    dimension: int

    def __post_init__(self) -> None:
        for f in fields(self):
            positive(f.name, getattr(self, f.name))
        if self.failure >= 1:
            raise InputError(f"failure={self.failure}: a probability of failure lies below 1")
        if self.curvature > self.smoothness:
            raise InputError(
                f"accuracy={self.accuracy:g}: √(ρε) = {self.curvature:.3g} exceeds the smoothness {self.smoothness:g}; "
                "every point with a small gradient would do, so ask for a smaller accuracy"
            )

    @property
    def curvature(self) -> float:
        """√(ρε), the negative curvature that a returned point may have."""
        return math.sqrt(self.hessian_lipschitz * self.accuracy)

    @property
    def certificate(self) -> str:
        """What is promised of a returned point."""
        return (
            f"with probability at least {1 - self.failure:g}: |∇F| <= {self.accuracy:g} and smallest eigenvalue >= "
            f"−{self.curvature:.4g}, if the assumed smoothness {self.smoothness:g} and Hessian Lipschitz constant "
            f"{self.hessian_lipschitz:g} are true and the theorem's absolute constant is small enough"
        )

    def perturbed(self, c: float = 1.0) -> dict[str, float]:
        """Those of perturbed gradient descent (Jin et al. 2017, Algorithm 2)."""
        positive("c", c)
        a = self
        inside = a.dimension * a.smoothness * a.height / (c * a.accuracy**2 * a.failure)
        chi = 3 * max(math.log(inside), 4.0)
        small = math.sqrt(c) / chi**2
        return {
            "chi": chi,
            "lr": c / a.smoothness,
            "radius": small * a.accuracy / a.smoothness,
            "g_thres": small * a.accuracy,
            "f_thres": c / chi**3 * math.sqrt(a.accuracy**3 / a.hessian_lipschitz),
            "t_thres": chi / c**2 * a.smoothness / a.curvature,
        }

    def steps(self, c: float = 1.0) -> float:
        """The most steps of perturbed gradient descent before a point is returned.

        F falls by ``height`` in all: by f_thres in t_thres steps, or by lr·g_thres²/2 in one.
        """
        k = self.perturbed(c)
        return self.height * max(k["t_thres"] / k["f_thres"], 2 / (k["lr"] * k["g_thres"] ** 2))

    def accelerated(self, c: float = 1.0) -> dict[str, float]:
        """Those of perturbed accelerated gradient descent (Jin, Netrapalli & Jordan 2018, equation 3).

        The paper asks for c at least an absolute constant, here a factor in t_thres, the radius and the energy.
        """
        at_least("c", c, 1.0)
        a = self
        kappa = a.smoothness / a.curvature
        chi = max(1.0, math.log(a.dimension * a.smoothness * a.height / (a.hessian_lipschitz * a.accuracy * a.failure)))
        lr, friction = 1 / (4 * a.smoothness), 1 / (4 * math.sqrt(kappa))
        curvature = friction**2 / lr
        return {
            "chi": chi,
            "lr": lr,
            "friction": friction,
            "curvature": curvature,
            "length": curvature / (4 * a.hessian_lipschitz),
            "radius": lr * a.accuracy * chi**-5 * c**-8,
            "g_thres": a.accuracy,
            "e_thres": math.sqrt(a.accuracy**3 / a.hessian_lipschitz) * chi**-5 * c**-7,
            "t_thres": math.sqrt(kappa) * chi * c,
        }
