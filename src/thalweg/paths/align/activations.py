"""Activation matching: units that do the same on the data, whatever their weights (Li et al. 2015; Ainsworth 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from thalweg.core.rng import Stream
from thalweg.core.space import Point
from thalweg.errors import InputError
from thalweg.paths.align.aligner import Aligner, Found, Work
from thalweg.paths.align.find import tensors_of
from thalweg.paths.align.matching import Scores, best
from thalweg.paths.align.symmetries import Block, blocked, labelled
from thalweg.paths.align.tape import watch
from thalweg.records import Cost

CHUNK = 128
"""Rows whose activations are held at once."""


@final
@dataclass(frozen=True)
class ActivationMatching(Aligner):
    """The permutations that maximise the summed correlation of paired units over the data.

    What a unit does is the output of every operation that a parameter goes into (pre-activations, normalised values,
    lookups) and that has the unit as an axis; the correlation is over rows and all other axes, and its mean over those
    outputs is assigned exactly, group by group: groups do not depend on each other (Ainsworth et al. 2022, §3.1).
    ``rows`` rows at most are used, drawn without replacement.

    Raises
    ------
    InputError
        If rows is below 2.
    """

    name: ClassVar[str] = "activation matching"

    rows: int = 1024

    def __post_init__(self) -> None:
        if self.rows < 2:
            raise InputError(f"rows={self.rows}: a correlation needs at least 2 rows")

    def search(self, work: Work, rng: Stream) -> Found:
        """One pass of each point over the rows, then one assignment per group."""
        index = torch.from_numpy(np.sort(rng("rows").numpy().permutation(work.risk.row_count)[: self.rows]))
        sums: list[_Moments] = []
        for part in index.split(CHUNK):
            one, other = (_seen(work, point, part) for point in (work.a, work.b))
            sums = sums or [_Moments(block) for block, _ in one]
            for moments, (_, x), (_, y) in zip(sums, one, other, strict=True):
                moments.add(x, y)
            share = len(part) / work.risk.row_count
            work.counted.meter.add(Cost(forwards=2 * share, rows=2 * len(part)))
        start = work.symmetries.identity()
        permutations = dict(start)
        quality = []
        for group in work.symmetries.groups:
            if group.within is not None:
                continue
            inside = {f.name for f in work.symmetries.inside(group.name)}
            scores = Scores(np.zeros((group.size, group.size)))
            count = 0
            for moments in sums:
                places = [g for g in moments.block.groups if g == group.name or g in inside]
                families = [g for g in places if g in inside]
                if places.count(group.name) != 1 or len(families) > 1:
                    continue
                count += 1
                for name in families:
                    assert name is not None
                    scores.families[name] = scores.families.get(name, 0.0) + moments.correlation(group.name, name)
                if not families:
                    scores.own += moments.correlation(group.name)
            if not count:
                continue
            found = best(work.symmetries, group, scores, start)
            permutations |= found
            if not inside:
                worth = scores.own[np.arange(group.size), found[group.name]] / count
                quality.append(f"{group.name} {worth.mean():.3f}")
        said = "Mean correlation of paired units: " + ", ".join(quality[:8]) + ("." if len(quality) < 9 else ", …")
        return Found(permutations, evidence=(said,) if quality else ())


def _seen(work: Work, point: Point, rows: Tensor) -> list[tuple[Block, Tensor]]:
    """What units do at a point on some rows: blocks of outputs, laid out by group."""
    network = work.risk.network
    named = tensors_of(work.risk, network, point)
    watched = watch(network, named, work.risk.table.at(rows).inputs, keep=True)
    names = labelled(watched.named)
    return [
        (block, block.take(site.values).double())
        for site in watched.sites
        if site.values is not None
        for block in blocked(site.axes, names)
    ]


class _Moments:
    """Sums over rows of what the units of two points do, from which the correlation of any two follows."""

    def __init__(self, block: Block) -> None:
        self.block, self.count = block, 0
        self._dims = [d for d, g in enumerate(block.groups) if g is not None]
        self._sums: Sequence[Tensor] = ()

    def add(self, x: Tensor, y: Tensor) -> None:
        """Count further rows; x and y have the shape of the block."""
        one, two = (self._flat(v) for v in (x, y))
        new = (one.sum(1), two.sum(1), one.square().sum(1), two.square().sum(1), one @ two.T)
        self._sums = [a + b for a, b in zip(self._sums, new, strict=True)] if self._sums else new
        self.count += one.shape[1]

    def _flat(self, x: Tensor) -> Tensor:
        x = x.movedim(self._dims, list(range(len(self._dims))))
        self.shape = tuple(x.shape[: len(self._dims)])
        return x.reshape(int(np.prod(self.shape)), -1).cpu()

    def correlation(self, group: str, family: str | None = None) -> np.ndarray:
        """Correlations of the units of a group, [n, n], or of one inside it, [n, m, n, m]; 0 for constant units."""
        x, y, xx, yy, xy = self._sums
        n = self.count
        covariance = xy / n - torch.outer(x, y) / n**2
        spread = torch.outer((xx / n - (x / n).square()).clamp(min=0), (yy / n - (y / n).square()).clamp(min=0)).sqrt()
        found = torch.where(spread > 0, covariance / spread.clamp(min=torch.finfo(spread.dtype).tiny), 0.0)
        named = [self.block.groups[d] for d in self._dims]
        kept = [named.index(g) for g in (group, family) if g is not None]
        # Other groups on the same output: units are compared where the others are the same, and averaged over them.
        count = len(self.shape)
        found = found.reshape(*self.shape, *self.shape)
        for d in reversed([d for d in range(count) if d not in kept]):
            found = found.diagonal(dim1=d, dim2=d + (found.ndim // 2)).mean(-1)
        return found.numpy()
