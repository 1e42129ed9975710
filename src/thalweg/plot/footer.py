"""What must be known to read a picture of a record, as short lines for its foot."""

from __future__ import annotations

import numpy as np

from thalweg.records import Record, Run, Slice, Spectrum

OPERATORS = {"LA": "largest", "SA": "smallest", "LM": "largest in magnitude", "BE": "from both ends"}
"""ARPACK's names for which eigenvalues were asked for, in words."""


def footer(record: Record) -> list[str]:
    """Directions with norms, cosines and rule; grid; what is not finite; guarantee, rows and numerics."""
    lines = []
    if isinstance(record, Slice):
        lines += _slice(record)
    elif isinstance(record, Spectrum):
        lines.append(f"{record.products:,} products; bars are residuals ‖Av − λv‖, slack {record.slack:.1e}")
    elif isinstance(record, Run):
        lost = int(np.count_nonzero(~np.isfinite(record.data["loss"])))
        lines += [f"{lost} of {record.data['loss'].size} recorded losses are NaN or infinite (gaps)"] if lost else []
    return [*lines, _numerics(record)]


def guarantee_of(record: Record) -> str:
    """The guarantee's word, ``none`` where nothing is claimed."""
    return record.guarantee.value if record.guarantee is not None else "none"


def order_of(record: Spectrum) -> str:
    """How the eigenvalues on the axis are ordered and which they are."""
    return f"eigenvalue number, descending ({OPERATORS.get(record.which, record.which)})"


def label_of(record: Slice, i: int) -> str:
    """A direction's name with the share of the trajectory it explains."""
    label = record.directions.labels[i]
    if record.directions.explained is not None:
        label += f" ({record.directions.explained[i]:.0%} of squared distance)"
    return label


def _slice(record: Slice) -> list[str]:
    d = record.directions
    rule = d.recipe.get("norm", d.recipe.get("kind", "given"))
    said = [f"{'×'.join(map(str, record.loss.shape))} points", f"directions: {rule}"]
    said.append("norms " + ", ".join(f"{n:.3g}" for n in d.norms))
    if d.cosines:
        said.append("cosines " + ", ".join(f"{c:.1e}" for c in d.cosines))
    if d.explained is not None:
        said.append("explained " + ", ".join(f"{e:.0%}" for e in d.explained))
    lines = [", ".join(said)]
    if "path_distance" in record.data:
        lines.append(f"the path lies up to {record.data['path_distance'].max():.3g} away from this plane")
    away = [m for m in record.marks if m.distance > 1e-6 * max(d.norms, default=1.0)]
    if away:
        lines.append("distance from the slice: " + ", ".join(f"{m.name} {m.distance:.3g}" for m in away))
    if record.nonfinite:
        where = "gaps" if record.loss.ndim == 1 else "hatched, with the cells that touch them"
        lines.append(f"{record.nonfinite} of {record.points} points are NaN or infinite ({where})")
    return lines


def _numerics(record: Record) -> str:
    p = record.provenance
    said = [f"guarantee: {guarantee_of(record)}", f"{p.rows:,} rows", f"{p.dtype}, {p.backend}"]
    said += [f"statistics {p.statistics}"] if p.statistics else []
    return " · ".join([*said, f"seed {p.seed}"])
