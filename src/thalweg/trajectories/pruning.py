"""What is left of trained networks without their smallest weights, and of those trained on: metric, F and barrier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from thalweg.core.objective import Objective
from thalweg.core.rng import Stream, stream
from thalweg.descent import Descent, Masked, Rule, smallest_pruned
from thalweg.errors import InputError


def segment_barriers(objective: Objective, begins: Tensor, ends: Tensor, points: int = 11) -> Tensor:
    """How far F at ``points`` points of each segment from begins to ends [B, P] rises above its higher end, [B].

    Seen on the points alone, so that a barrier between them is missed. Zero where F is nowhere above both ends.
    """
    ts = torch.linspace(0, 1, points, dtype=begins.dtype)[1:-1]
    inside = torch.stack([objective.losses(begins + t * (ends - begins)) for t in ts]).amax(0)
    return (inside - torch.maximum(objective.losses(begins), objective.losses(ends))).clamp(min=0)


def pruned_curve(
    objective: Objective,
    trained: Tensor,
    shares: Sequence[float],
    rule: Rule,
    *,
    metric: str = "accuracy",
    steps: int = 100,
    batch: int | None = None,
    points: int = 11,
    rng: int | Stream = 0,
) -> dict[str, np.ndarray]:
    """Networks trained [B, P] without each of the ``shares`` of their smallest weights, and after ``steps`` more.

    A share of every matrix is set to zero at once (Han, Pool, Tran & Dally 2015, in one round) and what stays is
    trained on by the rule. Arrays float64 [shares, B], each of ``pruned`` and of ``again``: the metric on the test rows
    under that name, ``_loss`` on the training rows, and ``_barrier``, that of the segment from the original.

    Raises
    ------
    InputError
        If the objective has no test rows, or a share does not lie in [0, 1].
    """
    test = objective.test
    if test is None:
        raise InputError(
            f"objective.test is None and {metric} is taken there: build the risk with test=(inputs, labels)"
        )
    masks = torch.cat([smallest_pruned(objective.space, trained, share) for share in shares])
    original = trained.repeat(len(shares), 1)
    pruned = original * masks
    run = Descent(Masked(rule, masks), steps=steps, batch=batch, every=steps)(objective, pruned, rng=stream(rng))
    found: dict[str, Tensor] = {}
    for name, thetas in (("pruned", pruned), ("again", torch.tensor(run.final))):
        found[name] = test.evaluate(thetas)[metric]
        found[f"{name}_loss"] = objective.losses(thetas)
        found[f"{name}_barrier"] = segment_barriers(objective, original, thetas, points)
    return {name: x.view(len(shares), len(trained)).numpy() for name, x in found.items()}


def removable_share(shares: Sequence[float], before: np.ndarray, after: np.ndarray, close: float) -> np.ndarray:
    """The largest of ascending ``shares`` [n] up to which a network loses at most ``close`` of its metric, [B].

    ``before`` [B] is the metric of the whole networks, ``after`` [n, B] that without each share; a share counts only
    where every smaller one is kept too, and the first of them counts always.
    """
    kept = after >= before - close - 1e-12
    kept[0] = True
    found: np.ndarray = np.array(shares)[np.logical_and.accumulate(kept, axis=0).sum(0) - 1]
    return found
