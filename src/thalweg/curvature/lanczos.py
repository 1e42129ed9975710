"""Extremal eigenvalues of a curvature matrix, with residuals as error bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

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
from thalweg.curvature.chart import Chart
from thalweg.curvature.checkpoints import Checkpoints
from thalweg.curvature.located import Located, located
from thalweg.curvature.operator import Kind, Operator
from thalweg.curvature.watched import Watched
from thalweg.errors import BudgetSpent, InputError
from thalweg.records import Cost, Spectrum, SpectrumStatus

_STORAGE = {"float64": torch.float64, "float32": torch.float32}


@dataclass(frozen=True)
class Lanczos:
    """The ``k`` extremal eigenpairs at one point.

    ``which``: "LA" largest, "SA" smallest, "LM" largest in magnitude, "BE" both ends. ``tol`` bounds the
    residual relative to the largest |eigenvalue|. Spaces of up to ``dense_below`` parameters are solved
    densely, which is exact and sees multiplicities, where the budget has room for as many products. The basis has
    ``basis`` vectors of P numbers, or as many as fit into ``memory`` bytes with what is held beside them (kept graphs
    have a limit of their own). ``storage="float32"`` halves the basis and keeps every inner product in float64:
    residuals, which are from fresh products, then end near 1e-7 of the largest |eigenvalue|. ``start`` is a vector [P]
    or a spectrum found nearby, such as the one a step earlier on a trajectory, whose eigenvectors then start the
    iteration. On a manifold the spectrum is that of
    the tangent space. Thick restart: Wu & Simon 2000.

    Raises
    ------
    InputError
        If k < 1, tol is not positive, an option is unknown, or k + 2 vectors do not fit into memory
        with what goes with them.
    """

    k: int = 10
    which: Which = "LA"
    operator: Kind = "hessian"
    tol: float = 1e-6
    basis: int | None = None
    max_products: int | None = None
    dense_below: int = 128
    memory: int = 2**32
    storage: Literal["float64", "float32"] = "float64"
    start: Tensor | Spectrum | None = None

    def __post_init__(self) -> None:
        if self.k < 1 or not 0 < self.tol < float("inf"):
            raise InputError(f"k={self.k}, tol={self.tol}: both must be positive and finite")
        if self.operator not in get_args(Kind):
            raise InputError(f"operator={self.operator!r}: choose one of {', '.join(map(repr, get_args(Kind)))}")
        if self.storage not in _STORAGE:
            raise InputError(f"storage={self.storage!r}: choose {' or '.join(map(repr, _STORAGE))}")
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
        with Operator(counted, here.point, self.operator) as matrix:
            chart = Chart(matrix, here.point)
            size, k = chart.size, min(self.k, chart.size)

            if size <= min(self.dense_below, chart.affordable):
                pairs, status = self._dense(Watched(chart, evaluate, size), size, k)
            else:
                pairs = self._iterated(chart, k, here, evaluate or Inline())
                status = _status(pairs)
        rounding = torch.finfo(space.dtype).eps
        return Spectrum(
            data={
                "eigenvalues": pairs.values.numpy(),
                "residuals": pairs.residuals.numpy(),
                "eigenvectors": chart.lift(pairs.vectors).numpy().astype(_float(space.dtype)),
            },
            status=status,
            **here.told(self),
            operator=chart.name,
            which=self.which,
            size=size,
            slack=float(rounding * pairs.norm * size**0.5),
            products=pairs.products,
        )

    def _iterated(self, chart: Chart, k: int, here: Located, evaluate: Evaluator) -> krylov.RitzPairs:
        """The iteration, from where an interrupted one was kept; what measures its residuals is set aside."""
        size = chart.size
        meter, ends = here.objective.meter, self._ends(size, k)
        kept = Checkpoints(evaluate, meter)
        begun = kept.restored(size, ends) or krylov.begin(size, here.rng, self._start(chart))
        matvec = Watched(chart, evaluate, begun.foretold(ends, size), begun.products)

        def restarted(restart: krylov.Restart) -> None:
            matvec.total = restart.foretold(ends, size)
            kept(restart)

        with meter.keeping(Cost(products=k).units):
            pairs = krylov.iterate(matvec, size, ends, begun, here.rng, restarted)
        matvec.total = pairs.products + len(pairs.values)
        with meter.timeless():
            return krylov.checked(matvec, pairs, self.tol)

    def _ends(self, size: int, k: int) -> krylov.Ends:
        return krylov.Ends(k, self.which, self.tol, self._basis(size, k), self.max_products, _STORAGE[self.storage])

    def _basis(self, size: int, k: int) -> int:
        """As many vectors as were asked for, or as the memory holds with all that is held beside them."""
        wanted, least = self.basis or max(2 * k + 10, 30), min(k + 2, size)
        room, storage = self.memory / (8 * size), _STORAGE[self.storage]
        fits = [m for m in range(least, max(wanted, least) + 1) if krylov.held(k, m, storage) <= room]
        if not fits:
            most = 8 * size * krylov.held(k, least, storage)
            less = " or storage='float32'" if self.storage == "float64" else ""
            raise InputError(
                f"memory={self.memory:,}: {k} eigenpairs of {size:,} parameters hold at least {most:,.0f} bytes; "
                f"raise it or ask for fewer{less}"
            )
        return min(wanted, fits[-1])

    def _start(self, chart: Chart) -> Tensor | None:
        if self.start is None:
            return None
        if isinstance(self.start, Tensor):
            return chart.lower(self.start[None])[0] if self.start.shape == (chart.matrix.size,) else self.start
        vectors = torch.from_numpy(self.start.eigenvectors.astype(np.float64))
        if vectors.shape[1:] != (chart.matrix.size,):
            raise InputError(
                f"start is a spectrum of {vectors.shape[1]:,} parameters: this space has {chart.matrix.size:,}"
            )
        return chart.lower(vectors.sum(0)[None])[0]

    def _dense(self, matvec: krylov.Matvec, size: int, k: int) -> tuple[krylov.RitzPairs, SpectrumStatus]:
        try:
            matrix = krylov.dense(matvec, size)
        except BudgetSpent:  # a budget in seconds: of a part of the matrix nothing can be said
            return krylov.nothing(size, 0, float("nan")), SpectrumStatus.BUDGET
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
