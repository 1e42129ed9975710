"""Which basins survive the error of the values they were found in."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from thalweg.errors import InputError
from thalweg.topology.lattice import Lattice, real
from thalweg.topology.merge_tree import MergeTree
from thalweg.topology.regions import regions
from thalweg.topology.union_find import UnionFind


def margins(tree: MergeTree, error: float | np.ndarray) -> np.ndarray:
    """Rise that is sure to be left of each basin, [k], when every value may be wrong by the error.

    It is +inf for the eldest basin of each piece: with one error per cell, for the surely lowest one.

    The assumption: |f − f_true| ≤ error at all cells at once, with the same holes; a statistical error must
    hold simultaneously (:func:`simultaneous`). Then f_true on the same grid has at least as many basins,
    eldest ones included, as have a positive margin. Nothing follows for what lies between cells.

    One number: persistence − 2 · error. Diagrams differ by at most the error in bottleneck distance
    (Cohen-Steiner, Edelsbrunner & Harer 2007, main theorem), so what rises by more than twice that is no
    noise. On a graph the error bounds vertices and edges alike.

    One number per cell: the lowest level at which the basin's minimum can meet that of an elder basin in
    f − error, less the minimum in f + error, elders being judged in f + error. Minima kept apart in this
    way are in different components of {f_true ≤ t} when the later of them has appeared, whatever the truth
    within the error; with one number for all cells this is the same test. A margin of zero or less says
    no more than that nothing is sure.

    Raises
    ------
    InputError
        If an error is negative or NaN (but for holes), its shape is not the grid's, or a graph has more than one.
    """
    bound = real(error, "error")
    if not bound.ndim:
        _refuse_negative(bound.reshape(1))
        with np.errstate(invalid="ignore"):
            left = tree.persistence - 2 * float(bound)
        return np.where(np.isfinite(tree.deaths), left, np.inf)
    if not isinstance(tree.domain, Lattice) or bound.shape != tree.domain.shape:
        raise InputError(f"error has shape {bound.shape}: give one number, or one per cell of {tree.domain.shape}")
    bound = np.where(tree.domain.finite, bound, 0.0)
    _refuse_negative(bound.ravel())
    if not np.isfinite(bound).all():
        raise InputError("error is infinite at a finite cell: make that cell NaN in the values, which leaves it out")
    return _local(tree, tree.domain, bound)


def _refuse_negative(bound: np.ndarray) -> None:
    wrong = bound[~(bound >= 0)]
    if wrong.size:
        raise InputError(f"error={wrong[0]}: give the largest possible error, at least 0")


def simultaneous(standard_error: np.ndarray, confidence: float = 0.99) -> np.ndarray:
    """Errors that hold at all cells at once with the given confidence, from one standard error per cell.

    Assumes that each cell's error is normal with that standard deviation; cells may depend on each other,
    as they do when they share their data (Bonferroni). NaN stays NaN and is not counted.

    Raises
    ------
    InputError
        If the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence={confidence}: choose a number between 0 and 1, such as 0.99")
    spread = real(standard_error, "standard errors")
    cells = max(1, int(np.count_nonzero(~np.isnan(spread))))
    return -NormalDist().inv_cdf((1 - confidence) / (2 * cells)) * spread


def _local(tree: MergeTree, lattice: Lattice, error: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # a bound beyond float64 stays a bound, and its cell no hole
        low = np.maximum(lattice.values - error, np.finfo(np.float64).min)
        born = tree.births + error.flat[tree.minima]
    age = np.lexsort((tree.minima, born))  # candidates from the surely lowest on
    found = regions(Lattice(low, lattice.connectivity))
    left = np.full(len(tree), np.inf)

    m = found.minima.size
    eldest = [-1] * m  # per set of regions, by its eldest region: the candidate that leads it
    for b in age.tolist():
        home = int(found.region[tree.minima[b]])
        if eldest[home] < 0:
            eldest[home] = b
        else:  # both slide into one minimum of f − error: they meet at the higher of the two
            ends = tree.minima[[b, eldest[home]]]
            left[b] = low.flat[ends].max() - born[b]
    order = np.empty(len(tree), dtype=np.intp)
    order[age] = np.arange(len(tree))
    sets = UnionFind(m)
    for level, (x, y) in zip(found.levels.tolist(), found.pairs.tolist(), strict=True):
        one, other = eldest[sets.eldest(x)], eldest[sets.eldest(y)]
        joined = sets.union(x, y)
        if joined is None:
            continue
        if one >= 0 and other >= 0:
            one, other = (one, other) if order[one] < order[other] else (other, one)
            left[other] = level - born[other]
        eldest[joined[0]] = max(one, other) if min(one, other) < 0 else one
    return left
