"""What is exact of SGD on least squares: its stationary law, to all orders of the rate and to the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.core.risk import EmpiricalRisk
from thalweg.errors import InputError


@dataclass(frozen=True)
class Laws:
    """What is exact of SGD on least squares: H, C/S, the solution, the mean of h⊗h over rows, S and N."""

    hessian: Tensor
    noise: Tensor
    solution: Tensor
    fourth: Tensor
    batch: int
    count: int

    @classmethod
    def of(cls, risk: EmpiricalRisk, batch: int) -> Laws:
        """Of ½(xᵀθ − y)² over the rows of a risk, for steps of ``batch`` of them."""
        x, y = risk.table.inputs, risk.table.targets
        assert isinstance(x, Tensor) and isinstance(y, Tensor)
        solution = torch.linalg.lstsq(x, y).solution[:, 0]
        slopes = x * (x @ solution - y[:, 0])[:, None]
        squares = torch.einsum("ni,nj,nk,nl->ikjl", x, x, x, x).reshape(x.shape[1] ** 2, -1) / len(x)
        return cls(x.T @ x / len(x), slopes.T @ slopes / len(x) / batch, solution, squares, batch, len(x))

    @property
    def best(self) -> float:
        """2d/(N·Tr(C/S))."""
        return 2 * len(self.solution) / (self.count * float(self.noise.trace()))

    def exact(self, eta: float) -> Tensor:
        """Σ = E(I − ηh_S)Σ(I − ηh_S) + η²C/S, h_S the mean of S rows' Hessians drawn with replacement.

        Raises
        ------
        InputError
            If second moments grow without bound at that rate.
        """
        d, h = len(self.solution), self.hessian
        one = torch.eye(d, dtype=h.dtype)
        twice = self.fourth / self.batch + (1 - 1 / self.batch) * torch.kron(h, h)
        drift = eta * (torch.kron(h, one) + torch.kron(one, h)) - eta**2 * twice
        growth = float(torch.linalg.eigvals(torch.eye(d * d, dtype=h.dtype) - drift).abs().max())
        if growth >= 1:
            raise InputError(f"rate={eta:.3g}: second moments grow by {growth:.3g} a step; take a smaller rate")
        return torch.linalg.solve(drift, eta**2 * self.noise.reshape(-1)).reshape(d, d)

    def lyapunov(self, eta: float) -> Tensor:
        """HΣ + ΣH = ηC/S."""
        one = torch.eye(len(self.solution), dtype=self.hessian.dtype)
        drift = torch.kron(self.hessian, one) + torch.kron(one, self.hessian)
        return torch.linalg.solve(drift, eta * self.noise.reshape(-1)).reshape(one.shape)

    def divergence(self, law: Tensor) -> float:
        """KL of N(θ*, law) from the posterior N(θ*, (N·H)⁻¹) of unit noise."""
        ratio = self.count * self.hessian @ law
        return 0.5 * float(ratio.trace() - torch.logdet(ratio) - len(law))

    def current(self, eta: float) -> float:
        """The area that paths of the exact law turn about the solution in a step, in the first two parameters' plane.

        Of η(ΣH − HΣ), which is zero where the two commute.
        """
        turn = self.hessian @ self.exact(eta) * -eta
        return float(turn[1, 0] - turn[0, 1])

    def compared(self, shares: Sequence[float], runs: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Moments [B, d, d] and currents [B] of runs at those shares of the best rate, beside both laws.

        Arrays over the n shares: ``size``, Tr HΣ over the rate, and ``kl``, the divergence, of the runs' means, the
        ``points``, and of the laws; ``rate``, log2 of the share.
        """
        rates = [share * self.best for share in shares]
        means = [torch.tensor(run["moments"]).mean(0) for run in runs]
        exact, lyapunov = [self.exact(eta) for eta in rates], [self.lyapunov(eta) for eta in rates]

        def size(law: list[Tensor]) -> np.ndarray:
            return np.array([float((self.hessian @ s).trace()) / eta for s, eta in zip(law, rates, strict=True)])

        return {
            "rate": np.log2(np.array(shares)),
            "size.points": size(means),
            "size.exact": size(exact),
            "size.lyapunov": size(lyapunov),
            "kl.points": np.array([self.divergence(s) for s in means]),
            "kl.exact": np.array([self.divergence(s) for s in exact]),
            "law.exact": np.stack([x.numpy() for x in exact]),
            "law.lyapunov": np.stack([x.numpy() for x in lyapunov]),
            "moments": np.stack([run["moments"] for run in runs]),
            "currents": np.stack([run["current"] for run in runs]),
        }
