"""The command ``trajectory``: what changes along a run, the edge of stability, its plateaus, funnel and plane."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.core.evaluate import Evaluator
from thalweg.core.objective import Objective
from thalweg.descent import GradientDescent, Momentum
from thalweg.errors import InputError, StoreError
from thalweg.records import (
    AlongRun,
    DescentBasins,
    EdgeOfStability,
    ErrorTerms,
    Funnel,
    Plateaus,
    Record,
    Run,
    Surface,
    encode,
)
from thalweg.slices import TrajectoryPlane
from thalweg.study.cells import from_cells
from thalweg.trajectories import Along, Edge, Rate, is_recorded, rate_of
from thalweg.trajectories import ErrorTerms as ErrorTermsOf
from thalweg.trajectories import Funnel as FunnelOf
from thalweg.trajectories import Plateaus as PlateausOf

Work = Callable[[Evaluator], Record]

COLUMNS = ("steps", "loss", "gradient_norm", "sharpness", "from_start", "from_end")
"""What the table shows."""

IN_ATLAS = 12
"""Points of the run in the atlas."""


def followed_run(runs: Run | dict[str, Run]) -> Run:
    """The run that is followed: the first of those given."""
    return runs if isinstance(runs, Run) else next(iter(runs.values()))


def following(request: Any, objective: Objective, runs: Run | dict[str, Run]) -> Work:
    """What changes along the first run.

    Raises
    ------
    InputError
        If an option is out of range, a momentum comes without a rate, or terms that are asked for cannot be told.
    StoreError
        If another network's run is no `train` study.
    """
    o = request.options
    if o["lr"] is None and o["momentum"]:
        raise InputError(f"--momentum {o['momentum']} without --lr: give both, or neither for what the run says")
    along, run = _along(o), followed_run(runs)
    _beside(o, runs)  # what is asked for later is refused before anything is computed
    if o["long"]:
        _terms(o).known(objective, run)
    return lambda evaluate: along(objective, run, rng=request.subject.seed, evaluate=evaluate)


def further(request: Any, objective: Objective, record: Record, runs: Run | dict[str, Run]) -> dict[str, Work]:
    """The edge where the rate is known, plateaus and funnel where asked for, and the plane of all runs."""
    o, seed, run, found = request.options, request.subject.seed, followed_run(runs), dict[str, Work]()
    assert isinstance(record, AlongRun)
    rate = Rate(o["lr"], o["momentum"]) if o["lr"] is not None else rate_of(run, objective.row_count)
    if rate is not None and o["sharpness"]:
        edge = Edge(rate, which=o["which"], along=record)
        found["edge"] = lambda evaluate: edge(objective, run, rng=seed, evaluate=evaluate)
    if o["plateaus"]:
        judged = PlateausOf(rate=o["rate"], least=o["least"], window=o["window"], learned=rate, which=o["which"])
        found["plateaus"] = lambda evaluate: judged(objective, run, rng=seed, evaluate=evaluate)
    every = _beside(o, runs)
    found["funnel"] = lambda evaluate: FunnelOf()(every)
    if o["long"]:
        terms = _terms(o)
        found["errors"] = lambda evaluate: terms(objective, run, rng=seed, evaluate=evaluate)
    if o["steps"]:
        plane = TrajectoryPlane(steps=o["steps"])
        found["plane"] = lambda evaluate: plane(objective, runs, rng=seed, evaluate=evaluate)
    return found


def _along(o: dict[str, Any]) -> Along:
    return Along(o["points"] or None, o["sharpness"], kernel_rows=o["kernel_rows"], which=o["which"])


def _terms(o: dict[str, Any]) -> ErrorTermsOf:
    """How the error is split: continued by what the run says of its rule, or by the rate that was given."""
    rule = None
    if o["lr"] is not None:
        rule = Momentum(o["lr"], o["momentum"]) if o["momentum"] else GradientDescent(o["lr"])
    return ErrorTermsOf(least=o["least"], best=o["best"], rule=rule, long=o["long"], which=o["which"])


def _beside(o: dict[str, Any], runs: Run | dict[str, Run]) -> Run | dict[str, Run]:
    """All runs of the funnel: those of this network, and those of others, each called after its directory."""
    if not o["beside"]:
        return runs
    from thalweg.store import read_record

    found = {Path(o["run"][0]).resolve().name: runs} if isinstance(runs, Run) else dict(runs)
    for path in o["beside"]:
        where, name = Path(path), Path(path).resolve().name
        if is_recorded(where):
            raise StoreError(
                f"--beside {path} is a recording, which holds no F over all rows: give one of the same network by "
                "--run, and of another network a `train` study, whose F was found as it trained"
            )
        if not (where / "records" / "train.zarr").exists():
            raise StoreError(f"--beside {path} holds no run: give a `train` study, whose F was found as it trained")
        record = read_record(where / "records" / "train.zarr")
        assert isinstance(record, Run)
        if name in found:
            raise InputError(f"--beside {path}: a run called {name} is there already; give different names")
        found[name] = record
    return found


def followed(record: AlongRun) -> dict[str, Any]:
    """What the command says of a run."""
    return {
        "followed": record.name,
        **{name: array.tolist() for name, array in record.arrays().items()},
        "tensors": list(record.tensors),
        "pairs": list(record.pairs),
        "rank_share": record.rank_share,
        "kernel": record.kernel,
    }


def beside_followed(record: Record) -> dict[str, Any]:
    """What the other records add."""
    if isinstance(record, EdgeOfStability):
        edge = {
            name: getattr(record, name) for name in ("lr", "momentum", "nesterov", "threshold", "reached", "hovers")
        }
        return {"edge": {**edge, "status": record.status.name, "full_batch": record.full_batch}}
    if isinstance(record, Plateaus):
        told = {"rate": record.rate, "least": record.least, "share": record.share, "status": record.status.name}
        return {"plateaus": [encode(p) for p in record.plateaus], "plateau": told}
    if isinstance(record, Funnel):
        return {"funnel": record.rows}
    if isinstance(record, ErrorTerms):
        return {"errors": _split(record)}
    if isinstance(record, DescentBasins):
        return from_cells(record)
    if isinstance(record, Surface) and record.directions.explained is not None:
        off = float(record.data["path_distance"].max())
        return {"plane": {"explained": list(record.directions.explained), "off_plane": off}}
    return {}


def _split(record: ErrorTerms) -> dict[str, Any]:
    """Every term at the points of the run; None where it cannot be told."""
    known = record.generalisation
    return {
        "steps": record.data["steps"].tolist(),
        "non_convergence": record.non_convergence.tolist(),
        "infinite_time": record.infinite_time,
        "generalisation": None if known is None else known.tolist(),
        "representation": record.best,
        "test": record.data["test"].tolist() if "test" in record.data else None,
        "least": record.least,
        "limit": record.limit,
        "limit_gradient": record.limit_gradient,
        "continued": record.continued,
        "status": record.status.name,
    }


def followed_table(record: Record) -> str:
    """Loss, gradient, sharpness and distances at every point; plateaus, and runs of a funnel, one a line."""
    if isinstance(record, Plateaus):
        return "\n".join(f"{i + 1}. {plateau}" for i, plateau in enumerate(record.plateaus))
    if isinstance(record, Funnel) and len(record.rows) > 1:
        return _side_by_side(record)
    if not isinstance(record, AlongRun):
        return ""
    shown = [name for name in COLUMNS if np.isfinite(record.data[name]).any()]
    lines = ["  ".join(f"{name.replace('_', ' '):>13}" for name in shown)]
    for i, step in enumerate(record.data["steps"]):
        lines.append("  ".join([f"{step:>13,.0f}", *(f"{record.data[n][i]:>13.5g}" for n in shown[1:])]))
    return "\n".join(lines)


def _side_by_side(record: Funnel) -> str:
    """The runs of a funnel, one a line."""
    wide = max(len("run"), *(len(str(row["run"])) for row in record.rows))
    lines = [f"{'run':<{wide}}  descents  rank correlation  least of them  steps nearer  distance"]
    for row in record.rows:
        lines.append(
            f"{row['run']:<{wide}}  {row['descents']:>8}  {row['rank_correlation']:>16.3f}  "
            f"{row['least_rank_correlation']:>13.3f}  {row['nearer']:>12.1%}  {row['reach']:>8.4g}"
        )
    return "\n".join(lines)
