"""Extremal eigenvalues of the Hessian or the Gauss–Newton matrix, with residuals as error bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from thalweg.core import krylov
from thalweg.core.evaluate import Evaluator, Inline
from thalweg.core.krylov import Which
from thalweg.core.metered import Budget
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.curvature.checkpoints import Checkpoints
from thalweg.curvature.located import Located, located
from thalweg.errors import BudgetSpent, InputError
from thalweg.records import Cost, Spectrum, SpectrumStatus


@dataclass(frozen=True)
class Lanczos:
    """The ``k`` extremal eigenpairs at one point.

    ``which``: "LA" largest, "SA" smallest, "LM" largest in magnitude, "BE" both ends. ``tol`` bounds the
    residual relative to the largest |eigenvalue|. Spaces of up to ``dense_below`` parameters are solved
    densely, which is exact and sees multiplicities. ``basis`` vectors of P float64 numbers are held, as many as fit
    into ``memory`` bytes. ``start`` is a vector [P] or a spectrum found nearby, such as the one a step earlier on a
    trajectory, whose eigenvectors then start the iteration. Thick restart: Wu & Simon 2000.

    Raises
    ------
    InputError
        If k < 1, tol is not positive, an option is unknown, or k + 2 vectors do not fit into memory.
    """

    k: int = 10
    which: Which = "LA"
    operator: Literal["hessian", "ggn"] = "hessian"
    tol: float = 1e-6
    basis: int | None = None
    max_products: int | None = None
    dense_below: int = 128
    memory: int = 2**32
    start: Tensor | Spectrum | None = None

    def __post_init__(self) -> None:
        if self.k < 1 or not 0 < self.tol < float("inf"):
            raise InputError(f"k={self.k}, tol={self.tol}: both must be positive and finite")
        if self.operator not in ("hessian", "ggn"):
            raise InputError(f"operator={self.operator!r}: choose 'hessian' or 'ggn'")
        krylov.select(torch.zeros(1), 1, self.which)  # refuses an unknown end before any product is taken

    def __call__(
        self,
        objective: Objective,
        theta: Point | Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> Spectrum:
        """Compute the eigenpairs."""
        here = located(objective, theta, "lanczos", rng, budget)
        counted, space = here.objective, here.objective.space
        size, k = space.size, min(self.k, space.size)
        with counted.linearized(here.theta[None]) as linear:
            product = linear.hvp if self.operator == "hessian" else linear.ggn

            def matvec(vectors: Tensor) -> Tensor:
                found = product(vectors.to(space.device)[None])[0].cpu()
                if evaluate is not None:
                    evaluate.progress(int(counted.meter.cost.products), 0)
                return found

            if size <= self.dense_below:
                pairs, status = self._dense(matvec, size, k)
            else:
                pairs = self._iterated(matvec, size, k, here, evaluate or Inline())
                status = _status(pairs)
        rounding = torch.finfo(space.dtype).eps
        return Spectrum(
            data={
                "eigenvalues": pairs.values.numpy(),
                "residuals": pairs.residuals.numpy(),
                "eigenvectors": pairs.vectors.numpy().astype(_float(space.dtype)),
            },
            status=status,
            **here.told(self),
            operator={"hessian": "Hessian", "ggn": "Gauss–Newton matrix"}[self.operator],
            which=self.which,
            size=size,
            slack=float(rounding * pairs.norm * size**0.5),
            products=pairs.products,
        )

    def _iterated(
        self, matvec: krylov.Matvec, size: int, k: int, here: Located, evaluate: Evaluator
    ) -> krylov.RitzPairs:
        """The iteration, from where an interrupted one was kept; what measures its residuals is set aside."""
        meter, ends = here.objective.meter, self._ends(size, k)
        kept = Checkpoints(evaluate, meter)
        begun = kept.restored(size, ends) or krylov.begin(size, here.rng, self._start(size))
        with meter.keeping(Cost(products=k).units):
            pairs = krylov.iterate(matvec, size, ends, begun, here.rng, kept)
        with meter.timeless():
            return krylov.checked(matvec, pairs, self.tol)

    def _ends(self, size: int, k: int) -> krylov.Ends:
        return krylov.Ends(k, self.which, self.tol, self._basis(size, k), self.max_products)

    def _basis(self, size: int, k: int) -> int:
        """As many vectors as were asked for, or as the memory holds."""
        wanted, held = self.basis or max(2 * k + 10, 30), self.memory // (8 * size) - 1
        if held < min(k + 2, size):
            raise InputError(
                f"memory={self.memory:,}: {k} eigenpairs of {size:,} parameters hold at least {k + 3} vectors, "
                f"{8 * size * (k + 3):,} bytes; raise it or ask for fewer"
            )
        return min(wanted, held)

    def _start(self, size: int) -> Tensor | None:
        if self.start is None or isinstance(self.start, Tensor):
            return self.start
        vectors = torch.from_numpy(self.start.eigenvectors.astype(np.float64))
        if vectors.shape[1:] != (size,):
            raise InputError(f"start is a spectrum of {vectors.shape[1]:,} parameters: this space has {size:,}")
        return vectors.sum(0)

    def _dense(self, matvec: krylov.Matvec, size: int, k: int) -> tuple[krylov.RitzPairs, SpectrumStatus]:
        try:
            matrix = krylov.dense(matvec, size)
        except BudgetSpent:  # a part of a matrix has no eigenvalues to show
            return krylov.nothing(size, 0, 0.0), SpectrumStatus.BUDGET
        if not bool(torch.isfinite(matrix).all()):
            return krylov.nothing(size, size, float("nan")), SpectrumStatus.NONFINITE
        values, columns = torch.linalg.eigh(matrix)
        wanted = krylov.select(values, k, self.which)
        wanted = wanted[values[wanted].argsort(descending=True)]
        vectors = columns[:, wanted].T.contiguous()
        residuals = (vectors @ matrix - values[wanted].unsqueeze(1) * vectors).norm(dim=1)
        found = krylov.RitzPairs(values[wanted], vectors, residuals, float(values.abs().max()), size, True)
        return found, SpectrumStatus.EXACT


def _status(pairs: krylov.RitzPairs) -> SpectrumStatus:
    if not len(pairs.values) and not pairs.spent:
        return SpectrumStatus.NONFINITE
    if pairs.converged:
        return SpectrumStatus.CONVERGED
    return SpectrumStatus.ROUNDING if pairs.settled else SpectrumStatus.BUDGET


def _float(dtype: torch.dtype) -> type[np.floating]:
    return np.float64 if dtype == torch.float64 else np.float32
