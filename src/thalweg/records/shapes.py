"""Shapes that the arrays of a record must have together, so that what somebody else wrote fails when it is read."""

from __future__ import annotations

import dataclasses
import itertools
from fnmatch import fnmatchcase
from functools import cache

from thalweg.records.base import Record

SLICE = """
    path: T d, path_loss: T, path_projected: T, path_distance: T, path_run: T, path_step: T, walk: m, explained: m,
    walk_lengths: m, walk_spread: m, evaluated: grid*, lower: grid*, upper: grid*, largest: grid*, smallest: grid*,
    largest_residual: grid*, smallest_residual: grid*, converged: grid*, gradient_norm: grid*, gradient_inside: grid*,
    test_loss: grid*, test_METRIC: grid*, repeat_test_loss: R grid*, repeat_loss: R grid*, repeat_METRIC: R grid*,
    repeats: R, loss: grid*, METRIC: grid*
"""

SHAPES = {
    "profile": f"loss: steps, coordinates: steps, center: 1, {SLICE}",
    "surface": f"loss: n0 n1, coordinates: n0 n1 2, center: 2, {SLICE}",
    "volume": f"loss: n0 n1 n2, coordinates: n0 n1 n2 3, center: 3, {SLICE}",
    "simplex": "weights: n q, loss: n, METRIC: n, test_loss: n, test_METRIC: n, marks: q",
    "spectrum": "eigenvalues: k, residuals: k, eigenvectors: k P",
    "density": "nodes: p m, weights: p m, grid: q, lower: q, upper: q",
    "trace": "samples: m, squares: m2",
    "finite_scale": "directions: k P, changes: k P, curvatures: k",
    "outliers": "eigenvalues: k, ratios: r, overlap: k, class_means: C",
    "classification": "eigenvalues: k, descent: P",
    "certificate": "direction: P, steps: k, along: k",
    "cnc_ratio": "along: m, squares: m, direction: P",
    "census": """loss: B, gradient_norm: B, index_low: B, index_high: B, nullity_low: B, critical: B, flat: B,
        thetas: B P, starts: B P, start_loss: B, *.loss: .q, *.share: .q""",
    "run": """steps: T, thetas: T B P, loss: T B, gradient_norm: T B, METRIC: T B, ended: B, gradients: B, forwards: B,
        products: B, endings: B, hamiltonian: T B, reported_loss: T 1, learning_rate: T 1""",
    "along_run": """steps: T, loss: T, gradient_norm: T, sharpness: T, residual: T, from_start: T, from_end: T,
        rank: T L, stable_rank: T L, tensors: L, imbalance: T J, imbalance_change: T J, pairs: J, kernel_change: T,
        kernel_turn: T""",
    "edge_of_stability": "steps: T, loss: T, sharpness: T, residual: T",
    "plateaus": "steps: T, loss: T, gradient_norm: T, decrease: -",
    "error_terms": "steps: T, loss: T, test: T",
    "funnel": """distance: N, loss: N, step: N, descent: N, run: D, rank_correlation: D, nearer: D, reach: D""",
    "descent_basins": "loss: n m, reached: n m, noisy: n m, x: n, y: m",
    "path": "knots: K P, t: m, loss: m, METRIC: m, distance: m, test_loss: m, test_METRIC: m",
    "connection": "*.knots: - P, *.t: .m, *.loss: .m, *.distance: .m, *.METRIC: .m",
    "path_search": "t: m, choosing: m, judging: m, theta: P",
    "top": "start: P, theta: P, mode: P, eigenvalues: k, errors: k, descended: 2 P",
    "minima_graph": """thetas: n P, values: n, names: n, edges: e 2, levels: e, lengths: e, guarantees: e, why: e,
        tree: k, minimax: n n, path_*: - P, births: b, deaths: b, parents: b, minima: b""",
    "complex": """vertices: V P, values: V, facets: f k, edges: e 2, edge_max: e, edge_upper: e, guarantees: e,
        profiles: e g, mixtures: s V, loss: s, METRIC: s, facet: s, test_loss: s""",
    "alignment": """theta: P, t: m, before_loss: m, after_loss: m, before_METRIC: m, after_METRIC: m,
        before_test_loss: m, after_test_loss: m""",
    "instability": "forks: f, alphas: m, errors: f r m, ends: f r 2 P",
    "ensembles": "independent: r P, cyclic: r k P",
    "tangent_kernel": "eigenvalues: k, residuals: k, energies: k",
    "kernel_drift": "steps: T, change: T, turn: T, largest: T, smallest: T, alignment: T, centred: T",
    "linear_training": """steps: T, loss: T, linear_loss: T, predicted: T, gap: T, apart: T, movement: T L,
        spectral: T L, tensors: L, change: s, kernel_steps: s""",
    "race": """steps: L N, gradients: L N, products: L N, forwards: L N, passed: L N, escaped: L N, diverged: L N,
        returned: L N, loss: L N, gradient_norm: L N, smallest: L N, stationary: L N, lanes: L, spectra: S s,
        landscapes: S""",
    "rays": "radii: R, loss: r R, growth: r, kinds: r",
    "topology": """births: k, deaths: k, areas: k, parents: k, minima: k d, saddles: k d, places: k d, labels: grid*,
        margins: k, mark_cells: q d, mark_levels: q q, marks: q, values: grid*, coordinates: grid* d, axes: d,
        path_*_*: - d""",
    "reproduction": "*.x: .n, *.published: .n -*, *.ours: .n -*, *.error: .n -*",
    "comparison": "distances: m, rise_first: Ra m, rise_second: Rb m, p: m",
    "baseline": """starts: B P, thetas: B P, loss: B, gradient_norm: B, steps: B, gradients: B, forwards: B,
        products: B, converged: B, reached: B, messages: B""",
}
"""Axes of the arrays of every kind, as its docstring lists them: equal names have equal lengths within a record.

A number is a length, ``-`` any one, ``name*`` any number of axes, ``.name`` one of the arrays with the same beginning.
``METRIC`` stands for every metric, and names may have wildcards. A name that is no array is a field that lists one
thing per entry of the axis. Arrays that are not listed may have any shape.
"""


def check(record: Record) -> None:
    """Refuse a record whose arrays do not fit each other or hold what are no numbers.

    Raises
    ------
    ValueError
        With the array, its shape, and what it should be.
    """
    known: dict[str, tuple[int, ...]] = {}
    metrics = tuple(getattr(record, "metrics", ()))
    for pattern, axes in _listed(SHAPES.get(record.record_type, "")):
        written = [pattern.replace("METRIC", metric) for metric in metrics] if "METRIC" in pattern else [pattern]
        for name in itertools.chain.from_iterable(_meant(record, one) for one in written):
            shape = _shape(record, name)
            own = tuple(name.rpartition(".")[0] + a if a.startswith(".") else a for a in axes)
            if not _fits(shape, own, known):
                said = " ".join("×".join(map(str, known[a])) if a in known else a for a in own)
                raise ValueError(f"{name} has shape {list(shape)} where [{said}] belongs")


@cache
def _listed(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    parts = (part.partition(":") for part in text.split(",") if part.strip())
    return tuple((name.strip(), tuple(axes.split())) for name, _, axes in parts)


def _meant(record: Record, pattern: str) -> list[str]:
    """The arrays, or the field, that a pattern names."""
    if "*" in pattern:
        return [name for name in record.data if fnmatchcase(name, pattern)]
    if pattern in record.data:
        return [pattern]
    kept = {f.name: f.default is dataclasses.MISSING for f in dataclasses.fields(record)}
    listed = getattr(record, pattern) if pattern in kept else None
    return [pattern] if isinstance(listed, tuple) and (listed or kept[pattern]) else []


def _shape(record: Record, name: str) -> tuple[int, ...]:
    if name not in record.data:
        return (len(getattr(record, name)),)
    array = record.data[name]
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {array.dtype}, and no numbers")
    return array.shape


def _fits(shape: tuple[int, ...], axes: tuple[str, ...], known: dict[str, tuple[int, ...]]) -> bool:
    """Whether a shape has these axes; lengths that are met first are entered into ``known``."""
    left = list(shape)
    for i, axis in enumerate(axes):
        count = len(left) - len([a for a in axes[i + 1 :] if not a.endswith("*")]) if axis.endswith("*") else 1
        if count < 0 or len(left) < count:
            return False
        here, left = tuple(left[:count]), left[count:]
        if axis.isdigit() and here != (int(axis),):
            return False
        if not axis.isdigit() and axis.rstrip("*") != "-" and known.setdefault(axis, here) != here:
            return False
    return not left
