"""Is a point second-order stationary? A certificate with its probability, or a step that leaves the point."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from thalweg.core.describe import provenance
from thalweg.core.evaluate import Evaluator
from thalweg.core.metered import Budget, Metered
from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.core.space import Point
from thalweg.critical.geometry import Local, local
from thalweg.critical.krylov_ends import Ends, ends
from thalweg.errors import InputError
from thalweg.records import Bracket, Certificate, CertificateStatus, Guarantee

LADDER = 30
"""Steps tried along a direction of negative curvature, each twice as long as the one before."""

SHORTEST = 1e-6
"""The first of them, as a share of max(1, ‖θ‖)."""

PART = 8
"""Points of the ladder that are held at once."""


@dataclass(frozen=True)
class Certify:
    """‖∇F‖ ≤ ``tolerance`` and λ_min ≥ −``curvature``, except with probability ``failure``; or how to leave the point.

    The Krylov space of ``block`` random vectors grows until one of both is shown or ``products`` are taken, and is held
    in ``memory`` bytes of float64; the bound is that of :mod:`thalweg.critical.krylov_ends`, and where the space is
    everything the answer is exact. The vectors are drawn from the seed and the point together, so that no direction is
    blind for more than one point; there is no way to give a start vector, because a certificate from one that was
    chosen, or from the gradient, is none. Where an eigenvalue lies below −curvature, F is evaluated along its direction
    at doubling steps and the lowest before F rises again is the escape. The bracket of λ_min is given in every case.

    Raises
    ------
    InputError
        If a number is not positive, failure is not below 1, or the memory does not hold 4 vectors.
    """

    tolerance: float = 1e-5
    curvature: float = 1e-4
    failure: float = 1e-6
    products: int = 1000
    block: int = 2
    memory: int = 2**31

    def __post_init__(self) -> None:
        for name in ("tolerance", "curvature", "failure", "products", "block", "memory"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise InputError(f"{name}={value}: it must be positive and finite")
        if self.failure >= 1:
            raise InputError(f"failure={self.failure}: a probability below 1, such as 1e-6")

    def __call__(
        self,
        objective: Objective,
        theta: Point | Tensor | np.ndarray,
        *,
        rng: int | Stream = 0,
        evaluate: Evaluator | None = None,
        budget: Budget | None = None,
    ) -> Certificate:
        """Certify one point, in float64."""
        source = stream(rng)("certify")
        double = objective if objective.space.dtype == torch.float64 else objective.to(torch.float64)
        point = double.point(theta)
        point = replace(point, theta=double.retract(double.space.check(point.theta)))
        counted = Metered(double.at(point), budget)
        with local(counted, point.theta) as here:
            norm = float(here.gradient.norm())
            found = self._ends(here, source, evaluate) if np.isfinite([here.value, norm]).all() else None
        data: dict[str, np.ndarray] = {}
        step = decrease = None
        status = CertificateStatus.NONFINITE
        if found is not None:
            status, data["direction"] = self._status(found, norm), found.vector.numpy()
            if found.smallest < -self.curvature:
                way = -found.vector if float(here.gradient @ found.vector) > 0 else found.vector
                lengths, values = _along(counted, point.theta, way)
                data = {"direction": way.numpy(), "steps": lengths.numpy(), "along": values.numpy()}
                step, decrease = _escape(here.value, lengths, values, counted.tolerance * abs(here.value))
                if step is not None and step < 0:
                    step, data = -step, {**data, "direction": -data["direction"], "steps": -data["steps"]}
            if status is CertificateStatus.ESCAPES and step is None:
                status = CertificateStatus.NEGATIVE_CURVATURE
        return Certificate(
            data=data,
            status=status,
            cost=counted.meter.read(),
            provenance=provenance(counted, self, (point,), source),
            size=here.size,
            value=here.value,
            gradient_norm=norm,
            tolerance=self.tolerance,
            curvature=self.curvature,
            smallest=_bracket(found),
            residual=float("nan") if found is None else found.residual,
            failure=0.0 if found is not None and found.exact else self.failure,
            starts=min(self.block, here.size),
            basis=0 if found is None else found.basis,
            products=0 if found is None else found.products,
            step=step,
            decrease=decrease,
        )

    def _ends(self, here: Local, rng: Stream, evaluate: Evaluator | None) -> Ends | None:
        held = self.memory // (8 * len(here.theta))
        if held < min(4, here.size):
            raise InputError(
                f"memory={self.memory:,}: a Krylov space of {len(here.theta):,} parameters takes at least 4 vectors, "
                f"{32 * len(here.theta):,} bytes; raise it"
            )
        most = max(self.block, min(self.products, held))
        digest = hashlib.blake2b(here.theta.numpy().tobytes(), digest_size=8).hexdigest()

        def enough(found: Ends) -> bool:
            if evaluate is not None:
                evaluate.progress(found.basis, most)
            low = found.smallest - found.margin - found.slack
            if low >= -self.curvature:
                return True
            # Once negative curvature is shown, go on until its direction is as good as another within a factor of 2.
            return found.smallest + found.slack < -self.curvature and low >= 2 * found.smallest

        try:
            return ends(
                here.matvec, len(here.theta), rng(digest), enough,
                block=self.block, failure=self.failure, most=most, normals=here.normals,
            )  # fmt: skip
        except InputError as error:
            if "finite" not in str(error):
                raise
            return None

    def _status(self, found: Ends, norm: float) -> CertificateStatus:
        if norm > self.tolerance:
            return CertificateStatus.NOT_STATIONARY
        if found.smallest + found.slack < -self.curvature:
            return CertificateStatus.ESCAPES
        if found.smallest - found.margin - found.slack >= -self.curvature:
            return CertificateStatus.SECOND_ORDER_STATIONARY
        return CertificateStatus.INCONCLUSIVE


def certify(objective: Objective, theta: Point | Tensor | np.ndarray, **options: object) -> Certificate:
    """A certificate by :class:`Certify` with these options; ``rng``, ``evaluate`` and ``budget`` as there.

    Raises
    ------
    InputError
        If a start vector is given.
    """
    for name in ("start", "seed", "probe", "vector"):
        if name in options:
            raise InputError(
                f"{name} was given: a certificate starts from random vectors alone, since a chosen one may be blind to "
                f"the direction sought; leave it out (rng=… is the seed of the random ones)"
            )
    call = {name: options.pop(name) for name in ("rng", "evaluate", "budget") if name in options}
    return Certify(**options)(objective, theta, **call)  # type: ignore[arg-type]


def _bracket(found: Ends | None) -> Bracket:
    if found is None:
        return Bracket(None, None)
    sure = Guarantee.EXACT if found.exact else Guarantee.CERTIFIED
    low = found.smallest - found.margin if np.isfinite(found.margin) else None
    return Bracket(low, found.smallest, None if low is None else sure, sure, found.slack)


def _along(objective: Objective, theta: Tensor, way: Tensor) -> tuple[Tensor, Tensor]:
    """F on both sides of the point at doubling steps: lengths [2k] ascending, values float64 [2k]."""
    scale = SHORTEST * max(1.0, float(theta.norm()))
    half = scale * 2.0 ** torch.arange(LADDER, dtype=torch.float64)
    lengths = torch.cat([-half.flip(0), half])
    points = [theta + part[:, None].to(theta) * way.to(theta) for part in lengths.split(PART)]
    return lengths, torch.cat([objective.losses(objective.retract(part)) for part in points]).cpu()


def _escape(value: float, lengths: Tensor, values: Tensor, rounding: float) -> tuple[float, float] | tuple[None, None]:
    """The step, with its sign, at which F is lowest before it first rises; None where it does not fall."""
    best, step = value, 0.0
    for side in (lengths > 0, lengths < 0):
        order = lengths[side].abs().argsort()
        low, at = value, 0.0
        for length, reached in zip(lengths[side][order].tolist(), values[side][order].tolist(), strict=True):
            if not reached <= low + rounding:
                break
            if reached < low:
                low, at = reached, length
        if low < best:
            best, step = low, at
    return (step, value - best) if best < value - rounding else (None, None)
