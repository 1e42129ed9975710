"""Weight matching: the order of units that brings two networks' weights closest (Ainsworth et al. 2022, §3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from thalweg.core.risk import EmpiricalRisk
from thalweg.core.rng import Stream
from thalweg.errors import InputError
from thalweg.paths.align.aligner import Aligner, Found, Work
from thalweg.paths.align.find import symmetries
from thalweg.paths.align.matching import Pair, ascend
from thalweg.paths.align.scaling import aligned_scales, closest
from thalweg.paths.align.symmetries import Symmetries


@final
@dataclass(frozen=True)
class WeightMatching(Aligner):
    """The permutations that maximise ⟨θ_a, θ_b permuted⟩, which minimise the distance (Ainsworth et al. 2022, Alg. 1).

    One group at a time, in random order, is set to the best assignment with the others held, until a sweep of all
    groups improves nothing: a local optimum. Heads are exchanged together with the best order of units inside each.
    ``restarts`` further searches begin at random permutations; the best one counts. ``signs`` also turns units round
    whose sign may be chosen (behind tanh); ``scales`` compares units whose scale may be chosen (behind ReLU, or
    normalised) at equal norms in and out, and then gives those of b the scales that bring it closest to a.

    Raises
    ------
    InputError
        If sweeps is below 1 or restarts below 0.
    """

    name: ClassVar[str] = "weight matching"

    sweeps: int = 100
    restarts: int = 0
    signs: bool = False
    scales: bool = False

    def __post_init__(self) -> None:
        if self.sweeps < 1 or self.restarts < 0:
            raise InputError(f"sweeps={self.sweeps}, restarts={self.restarts}: give at least 1 sweep and 0 restarts")

    def groups(self, risk: EmpiricalRisk, rng: Stream) -> Symmetries:
        """With the groups whose signs and scales may be chosen, where that is asked for."""
        return symmetries(risk, skip=self.skip, signs=self.signs, scales=self.scales, rng=rng)

    def search(self, work: Work, rng: Stream) -> Found:
        """Coordinate ascent from the identity and from random permutations."""
        a, b = (work.risk.space.unravel(p.theta.detach().double()) for p in (work.a, work.b))
        given = paired(work.symmetries, a, b)
        pairs = aligned_scales(work.symmetries, given) if work.symmetries.scaled else given
        tried = []
        for k in range(self.restarts + 1):
            draws = rng("sweeps", k).numpy()
            start = work.symmetries.random(draws) if k else work.symmetries.identity()
            tried.append(ascend(work.symmetries, pairs, start, draws, self.sweeps))
            work.counted.meter.check()
        values = [found.value for found in tried]
        best = values.index(max(values))
        permutations, signs, sweeps = tried[best].permutations, tried[best].signs, tried[best].sweeps
        ended = f"{sweeps} sweeps of {len(work.symmetries.groups)} groups"
        said = [f"{ended}, the last without gain." if sweeps < self.sweeps else f"{ended}, which were all."]
        if self.restarts:
            said.append(f"Start {best + 1} of {len(tried)} ended best; ⟨a, b⟩ was " + _listed(values))
        arrays = {f"sign.{name}": sign for name, sign in signs.items()}
        factors = dict(signs)
        if work.symmetries.scaled:
            now = [Pair(p.block, p.a, work.symmetries.moved(p.block, p.b, permutations, signs)) for p in given]
            scales = closest(work.symmetries, now)
            arrays |= {f"scale.{name}": scale for name, scale in scales.items()}
            factors |= {name: scale * signs.get(name, 1.0) for name, scale in scales.items()}
        return Found(permutations, factors, arrays, tuple(said))


def paired(symmetries: Symmetries, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> list[Pair]:
    """The blocks of the parameters of two points on which some group acts, in float64 on the CPU."""
    return [
        Pair(block, *(block.take(named[name].to("cpu", torch.float64)) for named in (a, b)))
        for name in a
        for block in symmetries.blocks.get(name, ())
    ]


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values) + "."
